//! What the tests of this crate share.

use std::path::{Path, PathBuf};

use crate::{ClientKeyPair, NewClient};

/// A directory that goes away with the value.
pub(crate) struct TempDir(PathBuf);

impl TempDir {
    pub fn new() -> Self {
        let path = std::env::temp_dir().join(format!("salus-auth-{}", uuid::Uuid::new_v4().simple()));
        std::fs::create_dir(&path).unwrap();
        Self(path)
    }

    pub fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for TempDir {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// A backend service with a new key pair.
pub(crate) fn new_client(client_id: &str) -> (NewClient, ClientKeyPair) {
    let pair = ClientKeyPair::generate().unwrap();
    let new = NewClient {
        client_id: client_id.to_owned(),
        name: "A backend service".to_owned(),
        jwks: pair.jwks.clone(),
        jwks_uri: None,
        scope: "system/*.cruds".to_owned(),
        purpose_of_use: "TREAT".to_owned(),
        purposes: vec!["HRESCH".to_owned()],
        actors: vec!["Organization/1".to_owned()],
    };
    (new, pair)
}
