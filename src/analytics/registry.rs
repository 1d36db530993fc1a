//! The models that are loaded.

use crate::error::{Error, Result};
use crate::model::Model;
use std::path::Path;
use std::sync::Arc;

/// Every usable model, by name and version.
#[derive(Debug, Default, Clone)]
pub struct Models {
    models: Vec<Arc<Model>>,
}

impl Models {
    /// Loads every folder below `directory` that holds a `model.json`, in order of names.
    ///
    /// # Errors
    /// The first folder that cannot be used, two folders with one name and version, or two defaults
    /// of one operation: a server that starts without a model it was given would answer differently
    /// without saying so.
    pub fn load(directory: &Path) -> Result<Models> {
        let failed = |source| Error::Read { path: directory.to_owned(), source };
        let mut folders: Vec<_> = std::fs::read_dir(directory)
            .map_err(failed)?
            .collect::<std::io::Result<Vec<_>>>()
            .map_err(failed)?
            .into_iter()
            .map(|entry| entry.path())
            .filter(|path| path.join("model.json").is_file())
            .collect();
        folders.sort();
        let mut models = Models::default();
        for folder in folders {
            models.add(Model::load(&folder)?)?;
        }
        Ok(models)
    }

    /// Adds a model.
    ///
    /// # Errors
    /// [`Error::Invalid`] where its name and version are taken, or its operation has a default.
    pub fn add(&mut self, model: Model) -> Result<()> {
        let new = &model.description;
        let clash = self.models.iter().map(|model| &model.description).find_map(|old| {
            if old.name == new.name && old.version == new.version {
                return Some("is loaded already".to_owned());
            }
            (old.operation == new.operation && old.default && new.default)
                .then(|| format!("{} is the default of ${} already", old.name, old.operation))
        });
        if let Some(reason) = clash {
            return Err(Error::Invalid { model: model.canonical(), reason });
        }
        tracing::info!(model = %model.canonical(), inputs = new.inputs.len(), "model loaded");
        self.models.push(Arc::new(model));
        Ok(())
    }

    /// A model by `name` (its highest version) or `name|version`.
    ///
    /// # Errors
    /// [`Error::UnknownModel`].
    pub fn get(&self, name: &str) -> Result<&Arc<Model>> {
        let (name, version) = match name.split_once('|') {
            Some((name, version)) => (name, Some(version)),
            None => (name, None),
        };
        self.models
            .iter()
            .filter(|model| model.description.name == name)
            .filter(|model| version.is_none_or(|version| model.description.version == version))
            .max_by_key(|model| version_key(&model.description.version))
            .ok_or_else(|| Error::UnknownModel(name.chars().take(60).collect()))
    }

    /// The model that answers an operation where a request names none.
    ///
    /// # Errors
    /// [`Error::UnknownModel`] where the operation has no default.
    pub fn default_of(&self, operation: &str) -> Result<&Arc<Model>> {
        self.models
            .iter()
            .find(|model| model.description.default && model.description.operation == operation)
            .ok_or_else(|| Error::UnknownModel(format!("default of ${operation}")))
    }

    /// All models.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<Model>> {
        self.models.iter()
    }
}

/// Versions in the order of their numbers: 1.10 is above 1.9.
fn version_key(version: &str) -> Vec<u64> {
    version.split('.').map(|part| part.parse().unwrap_or(0)).collect()
}
