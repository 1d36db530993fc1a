//! Signed tree heads: what the server says about its log, and cannot take back.
//!
//! After RFC 6962 section 3.5, with Ed25519 (RFC 8032) over an encoding of our own that names what is
//! signed, so that a signature over anything else never passes for a head.

use std::fs;
use std::io::Write;
use std::path::Path;

use aws_lc_rs::signature::{ED25519, Ed25519KeyPair, KeyPair, UnparsedPublicKey};

use crate::error::Error;
use crate::merkle::{Hash, leaf_hash};

/// The size and root of a tenant's log at a moment, signed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignedTreeHead {
    /// The tenant whose log it is.
    pub tenant: i32,
    /// How many leaves the log has.
    pub size: u64,
    /// The root over them.
    pub root: Hash,
    /// When it was signed, microseconds since 1970-01-01T00:00:00Z.
    pub timestamp: i64,
    /// Which key signed it: [`HeadPublicKey::id`].
    pub key_id: Hash,
    /// The Ed25519 signature, 64 bytes.
    pub signature: Vec<u8>,
}

impl SignedTreeHead {
    /// The bytes that are signed: a tag, tenant (4), size (8), root (32), timestamp (8) and key id
    /// (32); integers big-endian.
    #[must_use]
    pub fn signed_bytes(&self) -> Vec<u8> {
        signed_bytes(self.tenant, self.size, &self.root, self.timestamp, &self.key_id)
    }

    /// Checks the signature.
    ///
    /// # Errors
    /// [`Error::Signature`] where another key signed it or anything in it was changed.
    pub fn verify(&self, key: &HeadPublicKey) -> Result<(), Error> {
        if self.key_id != key.id() {
            return Err(Error::Signature);
        }
        UnparsedPublicKey::new(&ED25519, key.0)
            .verify(&self.signed_bytes(), &self.signature)
            .map_err(|_| Error::Signature)
    }
}

const HEAD_TAG: &[u8] = b"salus-audit-tree-head-v1\0";

fn signed_bytes(tenant: i32, size: u64, root: &Hash, timestamp: i64, key_id: &Hash) -> Vec<u8> {
    [HEAD_TAG, &tenant.to_be_bytes(), &size.to_be_bytes(), root, &timestamp.to_be_bytes(), key_id].concat()
}

/// The public half of a [`HeadKey`]: 32 bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct HeadPublicKey(pub [u8; 32]);

impl HeadPublicKey {
    /// The key's id: the RFC 6962 leaf hash of its bytes.
    #[must_use]
    pub fn id(&self) -> Hash {
        leaf_hash(&self.0)
    }

    /// Reads 32 bytes.
    ///
    /// # Errors
    /// [`Error::Key`] where there are more or fewer.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, Error> {
        let key = bytes.try_into().map_err(|_| Error::Key("a public key has 32 bytes".into()))?;
        Ok(Self(key))
    }
}

/// The key that signs tree heads. Its private half never leaves it but for its file.
pub struct HeadKey {
    pair: Ed25519KeyPair,
    pkcs8: Vec<u8>,
    public: HeadPublicKey,
}

impl std::fmt::Debug for HeadKey {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("HeadKey").field("public", &self.public).finish_non_exhaustive()
    }
}

impl HeadKey {
    /// A new key.
    ///
    /// # Errors
    /// [`Error::Key`] where the system has no randomness to give.
    pub fn generate() -> Result<Self, Error> {
        let pair = Ed25519KeyPair::generate().map_err(|_| Error::Key("generation failed".into()))?;
        let pkcs8 = pair.to_pkcs8v1().map_err(|_| Error::Key("encoding failed".into()))?;
        Self::from_pkcs8(pkcs8.as_ref())
    }

    /// Reads a key in PKCS#8 (DER).
    ///
    /// # Errors
    /// [`Error::Key`] where it is not an Ed25519 key.
    pub fn from_pkcs8(pkcs8: &[u8]) -> Result<Self, Error> {
        let pair = Ed25519KeyPair::from_pkcs8_maybe_unchecked(pkcs8).map_err(|error| Error::Key(error.to_string()))?;
        let public = HeadPublicKey::from_bytes(pair.public_key().as_ref())?;
        Ok(Self { pair, pkcs8: pkcs8.to_vec(), public })
    }

    /// Reads the key from its file.
    ///
    /// # Errors
    /// [`Error::KeyFile`] where the file cannot be read, [`Error::Key`] where it holds no key.
    pub fn load(path: &Path) -> Result<Self, Error> {
        let bytes = fs::read(path).map_err(|source| key_file(path, source))?;
        Self::from_pkcs8(&bytes)
    }

    /// Writes the key to a new file that only its owner may read (mode 0600), durably. A file that
    /// is there already is never overwritten: a lost key would make every former head unverifiable.
    ///
    /// # Errors
    /// [`Error::KeyFile`] where the file exists or cannot be written.
    pub fn store(&self, path: &Path) -> Result<(), Error> {
        write_private(path, &self.pkcs8).map_err(|source| key_file(path, source))
    }

    /// Reads the key from its file, or makes one and writes it where there is none.
    ///
    /// # Errors
    /// As [`load`](Self::load) and [`store`](Self::store).
    pub fn load_or_generate(path: &Path) -> Result<Self, Error> {
        if path.exists() {
            return Self::load(path);
        }
        let key = Self::generate()?;
        match key.store(path) {
            // Another process made one in the meantime: use that.
            Err(Error::KeyFile { source, .. }) if source.kind() == std::io::ErrorKind::AlreadyExists => {
                Self::load(path)
            }
            Err(error) => Err(error),
            Ok(()) => Ok(key),
        }
    }

    /// The public half.
    #[must_use]
    pub fn public_key(&self) -> HeadPublicKey {
        self.public
    }

    /// Signs the head of a tenant's log; `timestamp` in microseconds since 1970-01-01T00:00:00Z.
    #[must_use]
    pub fn sign(&self, tenant: i32, size: u64, root: Hash, timestamp: i64) -> SignedTreeHead {
        let key_id = self.public.id();
        let bytes = signed_bytes(tenant, size, &root, timestamp, &key_id);
        let signature = self.pair.sign(&bytes).as_ref().to_vec();
        SignedTreeHead { tenant, size, root, timestamp, key_id, signature }
    }
}

fn key_file(path: &Path, source: std::io::Error) -> Error {
    Error::KeyFile { path: path.to_owned(), source }
}

/// Writes beside the target and links it there, so that the file is whole as soon as it has its name.
fn write_private(path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    let temporary = path.with_extension(format!("{}.new", std::process::id()));
    let mut options = fs::OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let written = options.open(&temporary).and_then(|mut file| {
        file.write_all(bytes)?;
        file.sync_all()?;
        fs::hard_link(&temporary, path)
    });
    let removed = match &written {
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists && path.exists() => {
            fs::remove_file(&temporary).or(Ok(()))
        }
        _ => fs::remove_file(&temporary),
    };
    written?;
    removed?;
    if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
        fs::File::open(folder)?.sync_all()?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A folder of its own for each test, removed when it ends.
    struct Folder(std::path::PathBuf);

    impl Folder {
        fn new(name: &str) -> Self {
            let path = std::env::temp_dir().join(format!("salus-head-{name}-{}", std::process::id()));
            fs::create_dir_all(&path).unwrap();
            Self(path)
        }
    }

    impl Drop for Folder {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    #[test]
    fn a_head_verifies_under_its_key_only() {
        let (key, other) = (HeadKey::generate().unwrap(), HeadKey::generate().unwrap());
        let head = key.sign(1, 2, [3; 32], 4);
        head.verify(&key.public_key()).unwrap();
        assert!(matches!(head.verify(&other.public_key()), Err(Error::Signature)));
    }

    #[test]
    fn every_part_of_a_head_is_signed() {
        let key = HeadKey::generate().unwrap();
        let honest = key.sign(1, 2, [3; 32], 4);
        type Change = fn(&mut SignedTreeHead);
        let changes: [Change; 6] = [
            |head| head.tenant = 2,
            |head| head.size = 3,
            |head| head.root[31] ^= 1,
            |head| head.timestamp = 5,
            |head| head.key_id[0] ^= 1,
            |head| head.signature[63] ^= 1,
        ];
        for change in changes {
            let mut head = honest.clone();
            change(&mut head);
            assert!(matches!(head.verify(&key.public_key()), Err(Error::Signature)));
        }
    }

    #[test]
    fn a_key_survives_its_file() {
        let folder = Folder::new("survives");
        let path = folder.0.join("audit-head.key");
        let key = HeadKey::load_or_generate(&path).unwrap();
        let again = HeadKey::load_or_generate(&path).unwrap();
        assert_eq!(key.public_key(), again.public_key());
        again.sign(1, 2, [3; 32], 4).verify(&key.public_key()).unwrap();
        assert_eq!(fs::read_dir(&folder.0).unwrap().count(), 1, "no temporary file stays");
    }

    #[cfg(unix)]
    #[test]
    fn only_its_owner_may_read_the_file() {
        use std::os::unix::fs::PermissionsExt;
        let folder = Folder::new("mode");
        let path = folder.0.join("audit-head.key");
        HeadKey::generate().unwrap().store(&path).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    }

    #[test]
    fn a_key_file_is_never_overwritten() {
        let folder = Folder::new("overwrite");
        let path = folder.0.join("audit-head.key");
        let key = HeadKey::generate().unwrap();
        key.store(&path).unwrap();
        let refused = HeadKey::generate().unwrap().store(&path);
        assert!(matches!(refused, Err(Error::KeyFile { .. })));
        assert_eq!(HeadKey::load(&path).unwrap().public_key(), key.public_key());
    }

    #[test]
    fn a_damaged_key_file_is_an_error_and_not_a_new_key() {
        let folder = Folder::new("damaged");
        let path = folder.0.join("audit-head.key");
        fs::write(&path, b"not a key").unwrap();
        assert!(matches!(HeadKey::load_or_generate(&path), Err(Error::Key(_))));
    }

    #[test]
    fn a_key_does_not_show_its_private_half() {
        let key = HeadKey::generate().unwrap();
        assert!(!format!("{key:?}").contains("pkcs8"));
    }
}
