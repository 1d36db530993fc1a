//! The server's signing keys: files in the data dir, rotated by command.
//!
//! Access tokens are signed with ES256. Each key is a file `es256-<created>-<kid>.pem` (PKCS#8, mode
//! 0600; `created` in milliseconds since the epoch, `kid` the RFC 7638 thumbprint). The newest signs.
//! An older one verifies until every token it signed has expired, and its file is deleted then. All
//! this follows from the file names alone, so several nodes can share the directory.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::Write;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::{Arc, RwLock};
use std::time::Duration;

use jsonwebtoken::jwk::{Jwk, JwkSet};
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey};

use crate::credentials::{generate_ec_pem, public_jwk};
use crate::{Error, Result};

/// What access tokens are signed with, and the only algorithm they are accepted with.
pub(crate) const ACCESS_TOKEN_ALGORITHM: Algorithm = Algorithm::ES256;

/// How much longer than its last token a replaced key is kept (ms): other nodes may sign with it until
/// they hear of the new one.
const RETIREMENT_MARGIN: i64 = 120_000;

/// One key, ready for use.
pub(crate) struct Key {
    pub kid: String,
    pub encoding: EncodingKey,
    pub decoding: DecodingKey,
    jwk: Jwk,
    /// Milliseconds since the epoch.
    created: i64,
    path: PathBuf,
}

/// What an operator may see of a key.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct KeyInfo {
    /// RFC 7638 thumbprint.
    pub kid: String,
    /// When it was made, milliseconds since 1970-01-01T00:00:00Z.
    pub created: i64,
    /// Whether it signs; the others only verify.
    pub signing: bool,
}

/// The keys of one key directory.
pub struct ServerKeys {
    directory: PathBuf,
    /// Of an access token, milliseconds.
    lifetime: i64,
    /// Newest first; never empty.
    keys: RwLock<Arc<Vec<Arc<Key>>>>,
}

impl ServerKeys {
    /// Opens `directory`, made (mode 0700) with a first key where there is none. `lifetime` is how long
    /// the tokens signed with the keys hold.
    ///
    /// # Errors
    /// [`Error::Keys`] where the directory or a file cannot be read or written, a file is readable by
    /// others, or does not hold the key its name says.
    pub fn open(directory: &Path, lifetime: Duration) -> Result<Self> {
        DirBuilder::new().recursive(true).mode(0o700).create(directory).map_err(|error| failed(directory, &error))?;
        let lifetime = i64::try_from(lifetime.as_millis()).unwrap_or(i64::MAX / 4);
        let lock = lock(directory)?;
        if load(directory)?.is_empty() {
            create(directory, now_ms())?;
        }
        drop(lock);
        let keys = Self { directory: directory.to_owned(), lifetime, keys: RwLock::default() };
        keys.reload()?;
        Ok(keys)
    }

    /// Makes a new key, which signs from now on. Other nodes learn of it by
    /// [`AuthServer::rotate_keys`](crate::AuthServer::rotate_keys).
    ///
    /// # Errors
    /// [`Error::Keys`] where the file cannot be written; the old key then stays.
    pub fn rotate(&self) -> Result<KeyInfo> {
        let lock = lock(&self.directory)?;
        // Later than every other, whatever the clock says, or it would not be the one that signs.
        let newest = self.snapshot().first().map_or(0, |key| key.created);
        create(&self.directory, now_ms().max(newest + 1))?;
        drop(lock);
        self.reload()?;
        self.list().into_iter().next().ok_or_else(|| Error::Keys("the new key is gone".to_owned()))
    }

    /// Reads the directory again, deleting keys that no live token was signed with.
    ///
    /// # Errors
    /// As [`ServerKeys::open`]; the keys in use stay.
    pub fn reload(&self) -> Result<()> {
        self.reload_at(now_ms())
    }

    fn reload_at(&self, now: i64) -> Result<()> {
        let mut keys = load(&self.directory)?;
        if keys.is_empty() {
            return Err(Error::Keys(format!("{} holds no key", self.directory.display())));
        }
        let live = (1..keys.len())
            .find(|&at| keys[at - 1].created + self.lifetime + RETIREMENT_MARGIN < now)
            .unwrap_or(keys.len());
        for retired in keys.drain(live..) {
            // Another node may have been quicker.
            let _ = fs::remove_file(&retired.path);
            tracing::info!(kid = retired.kid, "signing key retired");
        }
        *self.keys.write().unwrap_or_else(|poisoned| poisoned.into_inner()) = Arc::new(keys);
        Ok(())
    }

    /// The public keys (RFC 7517) with which tokens of this server verify.
    pub fn jwks(&self) -> JwkSet {
        JwkSet { keys: self.snapshot().iter().map(|key| key.jwk.clone()).collect() }
    }

    /// The keys, the signing one first.
    pub fn list(&self) -> Vec<KeyInfo> {
        let info =
            |(at, key): (usize, &Arc<Key>)| KeyInfo { kid: key.kid.clone(), created: key.created, signing: at == 0 };
        self.snapshot().iter().enumerate().map(info).collect()
    }

    /// The key that signs.
    pub(crate) fn signing(&self) -> Result<Arc<Key>> {
        self.snapshot().first().cloned().ok_or_else(|| Error::Keys("no signing key".to_owned()))
    }

    /// The key of that id.
    pub(crate) fn find(&self, kid: &str) -> Option<Arc<Key>> {
        self.snapshot().iter().find(|key| key.kid == kid).cloned()
    }

    fn snapshot(&self) -> Arc<Vec<Arc<Key>>> {
        self.keys.read().unwrap_or_else(|poisoned| poisoned.into_inner()).clone()
    }
}

fn failed(path: &Path, error: &dyn std::fmt::Display) -> Error {
    Error::Keys(format!("{}: {error}", path.display()))
}

fn now_ms() -> i64 {
    crate::server::unix_now_ms()
}

/// Held while a key is made, so that two processes that start at once do not both make the first.
fn lock(directory: &Path) -> Result<File> {
    let path = directory.join(".lock");
    let file = OpenOptions::new()
        .create(true)
        .truncate(false)
        .write(true)
        .mode(0o600)
        .open(&path)
        .map_err(|error| failed(&path, &error))?;
    file.lock().map_err(|error| failed(&path, &error))?;
    Ok(file)
}

/// Writes a new key file: whole or not at all, readable by the owner only.
fn create(directory: &Path, created: i64) -> Result<()> {
    let pem = generate_ec_pem(ACCESS_TOKEN_ALGORITHM)?;
    let jwk = public_jwk(&EncodingKey::from_ec_pem(pem.as_bytes())?, ACCESS_TOKEN_ALGORITHM)?;
    let kid = jwk.common.key_id.unwrap_or_default();
    let partial = directory.join(".partial");
    let path = directory.join(format!("es256-{created:015}-{kid}.pem"));
    let write = || -> std::io::Result<()> {
        // A leftover would keep its mode.
        let _ = fs::remove_file(&partial);
        let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&partial)?;
        file.write_all(pem.as_bytes())?;
        file.sync_all()?;
        fs::rename(&partial, &path)?;
        File::open(directory)?.sync_all()
    };
    write().map_err(|error| failed(&path, &error))
}

/// Every key of the directory, newest first.
fn load(directory: &Path) -> Result<Vec<Arc<Key>>> {
    let mut keys = Vec::new();
    for entry in fs::read_dir(directory).map_err(|error| failed(directory, &error))? {
        let path = entry.map_err(|error| failed(directory, &error))?.path();
        let Some((created, kid)) = path.file_name().and_then(|name| parse_name(name.to_str()?)) else {
            continue;
        };
        match load_key(&path, created, kid) {
            Ok(key) => keys.push(Arc::new(key)),
            // Another node retired it between the listing and the reading.
            Err(_) if !path.exists() => {}
            Err(error) => return Err(error),
        }
    }
    keys.sort_by(|a, b| (b.created, &b.kid).cmp(&(a.created, &a.kid)));
    Ok(keys)
}

fn parse_name(name: &str) -> Option<(i64, &str)> {
    let (created, kid) = name.strip_prefix("es256-")?.strip_suffix(".pem")?.split_once('-')?;
    Some((created.parse().ok()?, kid))
}

fn load_key(path: &Path, created: i64, kid: &str) -> Result<Key> {
    let mode = fs::metadata(path).map_err(|error| failed(path, &error))?.permissions().mode();
    if mode & 0o077 != 0 {
        return Err(failed(path, &"others may read this private key; make it private again (chmod 600) and rotate"));
    }
    let pem = fs::read(path).map_err(|error| failed(path, &error))?;
    let encoding = EncodingKey::from_ec_pem(&pem).map_err(|error| failed(path, &error))?;
    let jwk = public_jwk(&encoding, ACCESS_TOKEN_ALGORITHM).map_err(|error| failed(path, &error))?;
    if jwk.common.key_id.as_deref() != Some(kid) {
        return Err(failed(path, &"the file holds another key than its name says"));
    }
    Ok(Key {
        kid: kid.to_owned(),
        decoding: DecodingKey::from_jwk(&jwk).map_err(|error| failed(path, &error))?,
        encoding,
        jwk,
        created,
        path: path.to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::TempDir;

    const LIFETIME: Duration = Duration::from_secs(300);

    #[test]
    fn the_first_start_makes_a_private_key_and_the_second_finds_it() {
        let dir = TempDir::new();
        let first = ServerKeys::open(&dir.path().join("keys"), LIFETIME).unwrap().list();
        let again = ServerKeys::open(&dir.path().join("keys"), LIFETIME).unwrap();
        assert_eq!(again.list(), first);
        for entry in fs::read_dir(dir.path().join("keys")).unwrap() {
            assert_eq!(entry.unwrap().metadata().unwrap().permissions().mode() & 0o777, 0o600);
        }
        assert_eq!(fs::metadata(dir.path().join("keys")).unwrap().permissions().mode() & 0o777, 0o700);
    }

    #[test]
    fn after_a_rotation_the_new_key_signs_and_the_old_one_verifies_until_its_tokens_expired() {
        let dir = TempDir::new();
        let keys = ServerKeys::open(dir.path(), LIFETIME).unwrap();
        let old = keys.signing().unwrap().kid.clone();
        let new = keys.rotate().unwrap();
        assert_eq!(keys.signing().unwrap().kid, new.kid);
        assert_ne!(old, new.kid);
        assert!(keys.find(&old).is_some());
        assert_eq!(keys.jwks().keys.len(), 2);

        keys.reload_at(new.created + 300_000).unwrap();
        assert!(keys.find(&old).is_some());
        keys.reload_at(new.created + 300_000 + RETIREMENT_MARGIN + 1).unwrap();
        assert!(keys.find(&old).is_none());
        assert_eq!(keys.signing().unwrap().kid, new.kid);
        assert_eq!(load(dir.path()).unwrap().len(), 1);
    }

    #[test]
    fn a_rotation_by_another_process_is_seen_after_a_reload() {
        let dir = TempDir::new();
        let here = ServerKeys::open(dir.path(), LIFETIME).unwrap();
        let new = ServerKeys::open(dir.path(), LIFETIME).unwrap().rotate().unwrap();
        here.reload().unwrap();
        assert_eq!(here.signing().unwrap().kid, new.kid);
    }

    #[test]
    fn keys_that_others_may_read_or_that_were_swapped_are_refused() {
        let dir = TempDir::new();
        let keys = ServerKeys::open(dir.path(), LIFETIME).unwrap();
        let path = keys.signing().unwrap().path.clone();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
        assert!(matches!(ServerKeys::open(dir.path(), LIFETIME), Err(Error::Keys(_))));
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        fs::write(&path, generate_ec_pem(ACCESS_TOKEN_ALGORITHM).unwrap()).unwrap();
        assert!(matches!(ServerKeys::open(dir.path(), LIFETIME), Err(Error::Keys(_))));
    }

    #[test]
    fn public_keys_hold_no_private_part() {
        let dir = TempDir::new();
        let json = serde_json::to_string(&ServerKeys::open(dir.path(), LIFETIME).unwrap().jwks()).unwrap();
        assert!(!json.contains("\"d\""));
        assert!(json.contains("\"alg\":\"ES256\"") && json.contains("\"use\":\"sig\""), "{json}");
    }
}
