//! Model folders that may and may not be loaded.

#![allow(clippy::unwrap_used)]

use salus_analytics::{Error, Model, Models};
use std::path::{Path, PathBuf};

fn shipped() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../operations/risk-score")
}

/// A copy of the shipped folder inside a fresh directory of models, with one file changed.
struct Copy(PathBuf);

impl Copy {
    fn new(name: &str, file: &str, change: impl Fn(String) -> String) -> Copy {
        let root = std::env::temp_dir().join(format!("salus-analytics-{}-{name}", std::process::id()));
        let folder = root.join("model");
        std::fs::create_dir_all(&folder).unwrap();
        for file in ["model.onnx", "model.json", "examples.json"] {
            std::fs::copy(shipped().join(file), folder.join(file)).unwrap();
        }
        if file == "model.onnx" {
            std::fs::write(folder.join(file), change(String::new())).unwrap();
        } else {
            let text = change(std::fs::read_to_string(folder.join(file)).unwrap());
            std::fs::write(folder.join(file), text).unwrap();
        }
        Copy(root)
    }

    fn load(&self) -> Result<Models, Error> {
        Models::load(&self.0)
    }
}

impl Drop for Copy {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

#[test]
fn an_untouched_copy_loads_and_is_found_by_name_and_version() {
    let models = Copy::new("same", "model.json", |text| text).load().unwrap();
    assert_eq!(models.get("icu-mortality").unwrap().canonical(), "icu-mortality|1.0.0");
    assert!(models.get("icu-mortality|1.0.0").is_ok());
    assert!(models.default_of("risk-score").is_ok());
    for unknown in ["icu-mortality|2", "other", ""] {
        assert!(matches!(models.get(unknown), Err(Error::UnknownModel(_))), "{unknown}");
    }
}

#[test]
fn a_graph_with_another_hash_is_refused() {
    let copy = Copy::new("hash", "model.onnx", |_| "not the graph".into());
    let fault = copy.load().unwrap_err().to_string();
    assert!(fault.contains("SHA-256"), "{fault}");
}

#[test]
fn a_graph_that_says_something_else_than_its_examples_is_refused() {
    let copy = Copy::new("examples", "examples.json", |text| {
        let mut examples: serde_json::Value = serde_json::from_str(&text).unwrap();
        let stored = examples["rows"][5]["probability"].as_f64().unwrap();
        examples["rows"][5]["probability"] = (stored + 3e-6).into();
        examples.to_string()
    });
    match copy.load() {
        Err(Error::Disagrees { row: 5, output, .. }) => assert_eq!(output, "probability"),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_description_that_breaks_the_contract_is_refused() {
    for (name, from, to) in [
        ("schema", "model-folder/1", "model-folder/9"),
        ("unit", "\"unit\": \"mg/dL\"", "\"unit\": \"furlong\""),
        ("field", "\"license\"", "\"licence\""),
        ("twice", "\"name\": \"lactate-last\"", "\"name\": \"age\""),
        ("file", "\"file\": \"model.onnx\"", "\"file\": \"../model.onnx\""),
        ("output", "\"probability\": \"probability\"", "\"probability\": \"risk\""),
        ("bands", "\"below\": 0.1", "\"below\": 0.001"),
    ] {
        let copy = Copy::new(name, "model.json", |text| {
            assert!(text.contains(from), "{from}");
            text.replacen(from, to, 1)
        });
        let fault = copy.load().unwrap_err();
        assert!(matches!(fault, Error::Invalid { .. } | Error::Runtime { .. }), "{name}: {fault}");
    }
}

#[test]
fn another_number_of_inputs_than_the_graph_has_is_refused() {
    let copy = Copy::new("width", "model.json", |text| {
        let mut description: serde_json::Value = serde_json::from_str(&text).unwrap();
        description["inputs"].as_array_mut().unwrap().pop();
        description.to_string()
    });
    assert!(copy.load().is_err());
}

#[test]
fn a_second_model_of_one_name_and_version_is_refused() {
    let mut models = Models::default();
    models.add(Model::load(&shipped()).unwrap()).unwrap();
    let fault = models.add(Model::load(&shipped()).unwrap()).unwrap_err();
    assert!(fault.to_string().contains("loaded already"), "{fault}");
}

#[test]
fn a_folder_that_is_not_there_is_named() {
    let fault = Models::load(Path::new("/nowhere/models")).unwrap_err();
    assert!(matches!(&fault, Error::Read { path, .. } if path == Path::new("/nowhere/models")), "{fault}");
}
