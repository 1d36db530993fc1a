//! `salus import`: Bundles and bulk data from files, as a named internal job.

use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use salus_access::Access;
use salus_audit::{AuditKind, AuditRecord, Entity};
use salus_fhir::json::{self, Limits, Value};
use salus_store::write::transaction::{Entry, Target};
use salus_store::write::{Change, Method};
use salus_store::{Precondition, Store, Written};

use super::parts::{self, Database};
use super::{Outcome, say};
use crate::settings::{Flags, Settings};

/// Arguments of `salus import`.
#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// Files (.json, .ndjson, also .gz) or directories of them
    #[arg(required = true)]
    paths: Vec<PathBuf>,
}

/// Lines of bulk data written in one transaction.
const LINES: usize = 500;

/// Imports.
pub(super) async fn run(flags: &Flags, arguments: &Arguments) -> Outcome {
    let settings = Settings::read(flags)?;
    let database = Database::attach(&settings).await?;
    let outcome = import(&settings, &database, arguments).await;
    let stopped = database.stop().await;
    outcome.and(stopped)
}

async fn import(settings: &Settings, database: &Database, arguments: &Arguments) -> Outcome {
    let store = parts::store(settings, database, parts::definitions(settings)?).await?;
    let access = Arc::new(Access::system("import", parts::TENANT));
    let mut total = 0;
    for file in files(&arguments.paths)? {
        let text = read(&file).map_err(|error| format!("{}: {error}", file.display()))?;
        let name = file.to_string_lossy();
        let written = if name.trim_end_matches(".gz").ends_with(".ndjson") {
            lines(&store, &access, &text).await
        } else {
            bundle(&store, &access, &text).await
        };
        let written =
            written.map_err(|error| format!("{name}: {error}; files before it are imported, this one is not"))?;
        total += written;
        say(&format!("{name}: {written} resources"));
    }
    say(&format!("{total} resources imported"));
    Ok(())
}

/// The files, in order; of directories those with a name that says what they hold.
fn files(paths: &[PathBuf]) -> Result<Vec<PathBuf>, String> {
    let mut files = Vec::new();
    for path in paths {
        if path.is_dir() {
            let entries = std::fs::read_dir(path).map_err(|error| format!("{}: {error}", path.display()))?;
            let mut inside: Vec<PathBuf> =
                entries.filter_map(|entry| Some(entry.ok()?.path())).filter(|path| is_data(path)).collect();
            inside.sort();
            files.extend(inside);
        } else {
            files.push(path.clone());
        }
    }
    Ok(files)
}

fn is_data(path: &Path) -> bool {
    let name = path.to_string_lossy();
    let name = name.trim_end_matches(".gz");
    name.ends_with(".json") || name.ends_with(".ndjson")
}

fn read(path: &Path) -> std::io::Result<String> {
    let file = std::fs::File::open(path)?;
    let mut text = String::new();
    if path.extension().is_some_and(|extension| extension == "gz") {
        flate2::read::MultiGzDecoder::new(file).read_to_string(&mut text)?;
    } else {
        std::io::BufReader::new(file).read_to_string(&mut text)?;
    }
    Ok(text)
}

async fn bundle(store: &Store, access: &Arc<Access>, text: &str) -> Result<usize, String> {
    let bundle = json::parse(text, &Limits::default()).map_err(|error| error.to_string())?;
    if bundle.get_str("resourceType") != Some("Bundle") {
        return Err("neither a Bundle nor bulk data".to_owned());
    }
    let mut entries = Vec::new();
    for (position, entry) in bundle.items("entry").iter().enumerate() {
        let location = format!("Bundle.entry[{position}]");
        let resource = entry.get("resource").ok_or_else(|| format!("{location} has no resource"))?;
        let resource_type = checked(store, resource).map_err(|error| format!("{location}: {error}"))?;
        let method = entry.get("request").and_then(|request| request.get_str("method"));
        let unless = entry.get("request").and_then(|request| request.get_str("ifNoneExist"));
        let (method, target) = match (method, unless, resource.get_str("id")) {
            (Some("PUT"), _, Some(id)) | (None, _, Some(id)) => (Method::Put, Target::Id(id.to_owned())),
            (Some("POST") | None, Some(criteria), _) => (Method::Post, Target::NewUnless(criteria.to_owned())),
            (Some("POST") | None, None, _) => (Method::Post, Target::New),
            (Some(other), ..) => return Err(format!("{location}: import creates and updates, it does not {other}")),
        };
        entries.push(Entry {
            access: access.clone(),
            location,
            full_url: entry.get_str("fullUrl").map(str::to_owned),
            resource_type,
            target,
            method,
            resource: Some(resource.clone()),
            revision: None,
            precondition: Precondition::None,
        });
    }
    let written = store.transaction(&entries, records).await.map_err(|error| error.to_string())?;
    Ok(written.len())
}

async fn lines(store: &Store, access: &Arc<Access>, text: &str) -> Result<usize, String> {
    let lines: Vec<&str> = text.lines().filter(|line| !line.trim().is_empty()).collect();
    for (part, chunk) in lines.chunks(LINES).enumerate() {
        let mut changes = Vec::with_capacity(chunk.len());
        for (position, line) in chunk.iter().enumerate() {
            let at = part * LINES + position + 1;
            let resource = json::parse(line, &Limits::default()).map_err(|error| format!("line {at}: {error}"))?;
            let resource_type = checked(store, &resource).map_err(|error| format!("line {at}: {error}"))?;
            let id = resource.get_str("id").ok_or_else(|| format!("line {at}: the resource has no id"))?.to_owned();
            changes.push(Change {
                access: access.clone(),
                content: Some(store.content(&resource_type, &id, &resource)),
                resource_type,
                id,
                method: Method::Put,
                precondition: Precondition::None,
            });
        }
        store.commit(&changes, records).await.map_err(|error| error.to_string())?;
    }
    Ok(lines.len())
}

/// The type of a resource that has the structure its type demands.
fn checked(store: &Store, resource: &Value<'_>) -> Result<String, String> {
    let mut issues = salus_fhir::validation::validate(resource, &store.definitions());
    issues.extend(store.check_search_parameter(resource.get_str("id"), resource));
    match issues.iter().find(|issue| issue.is_error()) {
        Some(issue) => {
            Err(format!("{} ({})", issue.diagnostics, issue.expression.as_deref().unwrap_or("the resource")))
        }
        None => Ok(resource.get_str("resourceType").unwrap_or_default().to_owned()),
    }
}

fn records(written: &[Written]) -> Vec<AuditRecord<'static>> {
    let record = |one: &Written| {
        let mut record = AuditRecord::new(AuditKind::Import, "");
        record.recorded = crate::account::now();
        record.client_id = Some("import".into());
        record.patients = one.patients.iter().map(|id| id.clone().into()).collect();
        record
            .entities
            .push(Entity::data(format!("{}/{}", one.resource_type, one.id), u64::try_from(one.version).ok()));
        record
    };
    written.iter().map(record).collect()
}
