//! FHIR packages: npm-style archives of definitions.
//!
//! Source: the FHIR NPM package specification. An archive is a gzipped tar with `package/package.json`
//! and one JSON file a resource beside it, named `Type-id.json`.
//!
//! Packages are read from files that the set-up has fetched; nothing here opens a socket.

use std::io::Read;
use std::path::{Path, PathBuf};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use sha2::{Digest, Sha512};

use crate::json::{self, JsonError, Limits};

/// A package pinned by its content.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PinnedPackage {
    /// `hl7.fhir.r4.examples`
    pub name: &'static str,
    /// `4.0.1`
    pub version: &'static str,
    /// SHA-512 of the archive, as npm writes it: `sha512-` and base64.
    pub integrity: &'static str,
}

/// FHIR R4 itself. Despite its name the package holds all definitions of R4 4.0.1 (CC0).
pub const R4_CORE: PinnedPackage = PinnedPackage {
    name: "hl7.fhir.r4.examples",
    version: "4.0.1",
    integrity: "sha512-DXBdIZOeQaSKIgCU7w6HOC7sw/6BzylmipLkBW4f//pT+Bc94x+8LImwTdvaNThPJoOzpBzvxAzNqjeu3X/zLw==",
};

impl PinnedPackage {
    /// The file name of the archive: `hl7.fhir.r4.examples-4.0.1.tgz`.
    pub fn file_name(&self) -> String {
        format!("{}-{}.tgz", self.name, self.version)
    }

    /// Where the archive lies below a cache directory.
    pub fn path(&self, cache_dir: &Path) -> PathBuf {
        cache_dir.join("packages").join(self.file_name())
    }
}

/// Why a package could not be read. All become a failed start, or exit status 1 of
/// `salus packages add`; none is a client's fault.
#[derive(Debug, thiserror::Error)]
pub enum PackageError {
    /// The file could not be read, or is no gzipped tar.
    #[error("cannot read the FHIR package {path}: {source}")]
    Read {
        /// The archive.
        path: PathBuf,
        /// What the operating system or the decompressor says.
        source: std::io::Error,
    },
    /// The archive is not the one that was pinned.
    #[error(
        "the FHIR package {path} is damaged or not the expected one: its integrity is {found}, expected {expected}; delete the file and fetch it again"
    )]
    Integrity {
        /// The archive.
        path: PathBuf,
        /// The pinned hash.
        expected: String,
        /// The hash of what is there.
        found: String,
    },
    /// `package/package.json` is missing, or lacks name or version.
    #[error("{path} is no FHIR package: it has no package/package.json with name and version")]
    NoManifest {
        /// The archive.
        path: PathBuf,
    },
    /// A file in the archive is not JSON.
    #[error("{member} in the FHIR package {path}: {source}")]
    Json {
        /// The archive.
        path: PathBuf,
        /// The file inside.
        member: String,
        /// The fault.
        source: JsonError,
    },
}

/// An archive in memory.
pub struct Package {
    path: PathBuf,
    archive: Vec<u8>,
}

/// Name and version of a package, and what it builds on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Manifest {
    /// `hl7.fhir.us.core`
    pub name: String,
    /// `6.1.0`
    pub version: String,
    /// The FHIR versions it is for.
    pub fhir_versions: Vec<String>,
    /// Names and versions of the packages it depends on.
    pub dependencies: Vec<(String, String)>,
}

/// The member that holds the [`Manifest`].
pub(crate) const MANIFEST: &str = "package.json";

impl Manifest {
    /// Reads `package.json`. None if it lacks name or version.
    pub(crate) fn from_json(value: &json::Value<'_>) -> Option<Self> {
        let versions = value.items("fhirVersions").iter().filter_map(json::Value::as_str);
        let dependencies = value.get("dependencies").and_then(json::Value::as_object);
        Some(Self {
            name: value.get_str("name")?.to_owned(),
            version: value.get_str("version")?.to_owned(),
            fhir_versions: versions.map(str::to_owned).collect(),
            dependencies: dependencies
                .into_iter()
                .flat_map(json::Object::iter)
                .filter_map(|(name, version)| Some((name.to_owned(), version.as_str()?.to_owned())))
                .collect(),
        })
    }

    /// Whether this is the package that `pinned` names.
    pub(crate) fn is(&self, pinned: &PinnedPackage) -> bool {
        self.name == pinned.name && self.version == pinned.version
    }
}

/// One file of a package.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Member {
    /// The name without folder: `StructureDefinition-Patient.json`.
    pub name: String,
    /// The content.
    pub content: Vec<u8>,
}

impl Package {
    /// Reads the archive at `path`.
    ///
    /// # Errors
    /// [`PackageError::Read`] if there is none.
    pub fn open(path: &Path) -> Result<Self, PackageError> {
        let archive = std::fs::read(path).map_err(|source| PackageError::Read { path: path.to_owned(), source })?;
        Ok(Self { path: path.to_owned(), archive })
    }

    /// The path it was read from.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The archive's bytes.
    pub fn bytes(&self) -> &[u8] {
        &self.archive
    }

    /// Checks the archive against an npm integrity string.
    ///
    /// # Errors
    /// [`PackageError::Integrity`] if it is another.
    pub fn verify(&self, integrity: &str) -> Result<(), PackageError> {
        let found = format!("sha512-{}", STANDARD.encode(Sha512::digest(&self.archive)));
        if found == integrity {
            return Ok(());
        }
        Err(PackageError::Integrity { path: self.path.clone(), expected: integrity.to_owned(), found })
    }

    /// Hands each file directly in `package/` that `wanted` names to `each`, in archive order, until
    /// `each` answers false.
    ///
    /// # Errors
    /// [`PackageError::Read`] if the archive is damaged.
    pub fn members(
        &self,
        wanted: impl Fn(&str) -> bool,
        mut each: impl FnMut(Member) -> bool,
    ) -> Result<(), PackageError> {
        self.read_members(wanted, &mut each).map_err(|source| PackageError::Read { path: self.path.clone(), source })
    }

    fn read_members(&self, wanted: impl Fn(&str) -> bool, each: &mut dyn FnMut(Member) -> bool) -> std::io::Result<()> {
        let mut archive = tar::Archive::new(flate2::read::GzDecoder::new(self.archive.as_slice()));
        for entry in archive.entries()? {
            let mut entry = entry?;
            let path = entry.path()?.into_owned();
            if path.parent() != Some(Path::new("package")) {
                continue;
            }
            let Some(name) = path.file_name().and_then(|name| name.to_str()) else {
                continue;
            };
            if !wanted(name) {
                continue;
            }
            // The size in the header is the archive's claim: a hint, not a promise.
            let mut content = Vec::with_capacity(entry.size().min(1 << 24) as usize);
            entry.read_to_end(&mut content)?;
            if !each(Member { name: name.to_owned(), content }) {
                break;
            }
        }
        Ok(())
    }

    /// The package's own description.
    ///
    /// # Errors
    /// [`PackageError::NoManifest`] if there is none; [`PackageError::Json`] if it is not JSON.
    pub fn manifest(&self) -> Result<Manifest, PackageError> {
        let mut found = None;
        self.members(
            |name| name == MANIFEST,
            |member| {
                found = Some(member);
                false
            },
        )?;
        let member = found.ok_or_else(|| PackageError::NoManifest { path: self.path.clone() })?;
        Manifest::from_json(&self.parse(&member)?).ok_or_else(|| PackageError::NoManifest { path: self.path.clone() })
    }

    /// Parses a member of this package.
    ///
    /// # Errors
    /// [`PackageError::Json`] if it is not JSON.
    pub fn parse<'m>(&self, member: &'m Member) -> Result<json::Value<'m>, PackageError> {
        json::parse_bytes(&member.content, &Limits::default()).map_err(|source| PackageError::Json {
            path: self.path.clone(),
            member: member.name.clone(),
            source,
        })
    }
}

/// The resource type in a member's file name: `Patient` of `Patient-example.json`. None for files
/// that are no resource.
pub fn resource_type(member_name: &str) -> Option<&str> {
    let (resource_type, _) = member_name.strip_suffix(".json")?.split_once('-')?;
    resource_type.starts_with(|first: char| first.is_ascii_uppercase()).then_some(resource_type)
}

/// Where packages and their compiled form are kept: `SALUS_CACHE_DIR`, else `salus` in the user's
/// cache directory (`XDG_CACHE_HOME`, else `~/.cache`). None where the environment names neither.
pub fn default_cache_dir() -> Option<PathBuf> {
    let variable = |name| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    variable("SALUS_CACHE_DIR").or_else(|| {
        variable("XDG_CACHE_HOME")
            .or_else(|| variable("HOME").map(|home| home.join(".cache")))
            .map(|cache| cache.join("salus"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A package with the given files, as an archive in a directory of its own.
    fn archive(files: &[(&str, &str)]) -> (PathBuf, PathBuf) {
        static COUNT: std::sync::atomic::AtomicUsize = std::sync::atomic::AtomicUsize::new(0);
        let number = COUNT.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        let directory = std::env::temp_dir().join(format!("salus-packages-{}-{number}", std::process::id()));
        std::fs::create_dir_all(&directory).unwrap();
        let path = directory.join("test.tgz");
        let gzip = flate2::write::GzEncoder::new(std::fs::File::create(&path).unwrap(), flate2::Compression::fast());
        let mut tar = tar::Builder::new(gzip);
        for (name, content) in files {
            let mut header = tar::Header::new_gnu();
            header.set_size(content.len() as u64);
            header.set_mode(0o644);
            header.set_cksum();
            tar.append_data(&mut header, name, content.as_bytes()).unwrap();
        }
        tar.into_inner().unwrap().finish().unwrap();
        (directory, path)
    }

    #[test]
    fn reads_manifest_and_members() {
        let (directory, path) = archive(&[
            ("package/Patient-a.json", r#"{"resourceType":"Patient"}"#),
            ("package/other/Patient-b.json", "{}"),
            ("package/package.json", r#"{"name":"n","version":"1","fhirVersions":["4.0.1"],"dependencies":{"d":"2"}}"#),
        ]);
        let package = Package::open(&path).unwrap();
        let manifest = package.manifest().unwrap();
        assert_eq!((manifest.name.as_str(), manifest.version.as_str()), ("n", "1"));
        assert_eq!(manifest.fhir_versions, ["4.0.1"]);
        assert_eq!(manifest.dependencies, [("d".to_owned(), "2".to_owned())]);
        let mut names = Vec::new();
        let collect = |member: Member| {
            names.push(member.name);
            true
        };
        package.members(|name| resource_type(name).is_some(), collect).unwrap();
        assert_eq!(names, ["Patient-a.json"]);
        std::fs::remove_dir_all(directory).unwrap();
    }

    #[test]
    fn another_archive_than_the_pinned_one_is_refused() {
        let (directory, path) = archive(&[("package/package.json", "{}")]);
        let package = Package::open(&path).unwrap();
        let found = match package.verify(R4_CORE.integrity) {
            Err(PackageError::Integrity { found, .. }) => found,
            other => panic!("{other:?}"),
        };
        assert!(package.verify(&found).is_ok());
        assert!(matches!(package.manifest(), Err(PackageError::NoManifest { .. })));
        std::fs::remove_dir_all(directory).unwrap();
    }

    #[test]
    fn damaged_archives_are_refused() {
        let (directory, path) = archive(&[("package/package.json", r#"{"name":"n","version":"1"}"#)]);
        let bytes = std::fs::read(&path).unwrap();
        for damaged in [&bytes[..bytes.len() / 2], b"no gzip at all"] {
            std::fs::write(&path, damaged).unwrap();
            let package = Package::open(&path).unwrap();
            assert!(matches!(package.members(|_| true, |_| true), Err(PackageError::Read { .. })));
        }
        std::fs::remove_dir_all(&directory).unwrap();
        assert!(matches!(Package::open(&path), Err(PackageError::Read { .. })));
    }

    #[test]
    fn resource_types_by_file_name() {
        assert_eq!(resource_type("Patient-example.json"), Some("Patient"));
        assert_eq!(resource_type("package.json"), None);
        assert_eq!(resource_type("ig-r4.json"), None);
        assert_eq!(resource_type(".index.json"), None);
    }
}
