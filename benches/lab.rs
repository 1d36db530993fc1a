//! What is measured: a fresh Salus with its demo population, and the bare server with the same bodies.

use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::time::{Duration, Instant};

use salus_store::cluster::Cluster;
use serde_json::Value;
use tokio_postgres::NoTls;

use crate::Fallible;
use crate::http::request;
use crate::load::{self, Requests, Turn};
use crate::process::{Cpu, Place};

/// A token holds for five minutes; a turn never begins with one that is older than this.
const TOKEN_AGE: Duration = Duration::from_secs(120);
/// Observations that reads choose among.
const OBSERVATIONS: i64 = 4000;
/// Connections while nothing is measured.
const FETCHING: usize = 32;
const PATIENCE: Duration = Duration::from_secs(180);

/// How much of it to do.
#[derive(Debug, Clone, Copy)]
pub struct Scale {
    /// Turns of each server.
    pub turns: usize,
    /// How long a turn of Salus should last.
    pub seconds: f64,
}

/// Both servers, side by side.
pub struct Lab {
    /// Salus, everything switched on.
    pub salus: Place,
    /// The floor.
    pub bare: Place,
    /// How much to do.
    pub scale: Scale,
    /// Id and text of the Observations that are read.
    pub observations: Vec<(String, String)>,
    /// Ids of the demo patients.
    pub patients: Vec<String>,
    /// Size of the audit row of a read, bytes.
    pub audit_bytes: usize,
    credentials: Value,
    token: (String, Instant),
}

impl Lab {
    /// Starts both below `dir` (or takes the demo server that works on `attach`), and gives the bare one
    /// what Salus answers with.
    ///
    /// # Errors
    /// A server that does not start, or Salus refusing its own demo client.
    pub async fn open(program: &Path, dir: &Path, attach: Option<&Path>, scale: Scale) -> Fallible<Self> {
        let home = attach.map_or_else(|| dir.join("salus"), Path::to_owned);
        let started = match attach {
            Some(_) => None,
            None => Some(Place::start(program, &["serve", "--demo"], &home, &[], PATIENCE).await?),
        };
        let credentials: Value = serde_json::from_str(&std::fs::read_to_string(home.join("demo/credentials.json"))?)?;
        let salus = match started {
            Some(salus) => salus,
            None => Place::attach(&home, address(&credentials)?)?,
        };
        let token = (fetch_token(&salus, &credentials).await?, Instant::now());
        let database = connect(&home).await?;
        let (observations, patients) = sample(&salus, &database, &token.0).await?;
        let record: String =
            database.query_one("SELECT record FROM audit_event ORDER BY seq DESC LIMIT 1", &[]).await?.try_get(0)?;
        let file = dir.join("audit-record");
        std::fs::write(&file, &record)?;
        let bare = start_bare(dir, &file, &observations).await?;
        let audit_bytes = record.len();
        Ok(Self { salus, bare, scale, observations, patients, audit_bytes, credentials, token })
    }

    /// A token that holds for some minutes.
    ///
    /// # Errors
    /// Where the token endpoint refuses.
    pub async fn token(&mut self) -> Fallible<&str> {
        if self.token.1.elapsed() > TOKEN_AGE {
            self.token = (fetch_token(&self.salus, &self.credentials).await?, Instant::now());
        }
        Ok(&self.token.0)
    }

    /// `GET`s below the FHIR base.
    ///
    /// # Errors
    /// As [`Lab::token`].
    pub async fn gets(&mut self, paths: impl IntoIterator<Item = String>) -> Fallible<Requests> {
        let token = self.token().await?.to_owned();
        let of_path = |path| request("GET", &format!("/fhir/{path}"), Some(&token), "");
        Ok(Rc::new(paths.into_iter().map(of_path).collect()))
    }

    /// Reads of the Observations, in a fixed order.
    ///
    /// # Errors
    /// As [`Lab::token`].
    pub async fn reads(&mut self) -> Fallible<Requests> {
        let paths: Vec<String> = self.observations.iter().map(|(id, _)| format!("Observation/{id}")).collect();
        self.gets(paths).await
    }

    /// The same reads of the bare server; `route` is `r` or, audited, `a`.
    pub fn bare_reads(&self, route: &str) -> Requests {
        Rc::new(self.observations.iter().map(|(id, _)| request("GET", &format!("/{route}/{id}"), None, "")).collect())
    }

    /// A connection to the database of Salus.
    ///
    /// # Errors
    /// Where it does not answer.
    pub async fn database(&self) -> Fallible<tokio_postgres::Client> {
        connect(&self.salus.data_dir).await
    }
}

/// Where a demo server listens.
fn address(credentials: &Value) -> Fallible<std::net::SocketAddr> {
    let url = credentials["fhir"].as_str().unwrap_or_default();
    let authority = url.trim_start_matches("http://").trim_end_matches("/fhir");
    Ok(authority.parse().map_err(|_| format!("cannot find a server by '{url}'"))?)
}

async fn fetch_token(salus: &Place, credentials: &Value) -> Fallible<String> {
    let text = |value: &Value, name: &str| value[name].as_str().unwrap_or_default().to_owned();
    let client = &credentials["backend"];
    let (url, id) = (text(credentials, "token"), text(client, "client_id"));
    let assertion = salus_auth::sign_assertion(&text(client, "private_key_pem"), &text(client, "kid"), &id, &url)?;
    let form = form_urlencoded::Serializer::new(String::new())
        .append_pair("grant_type", "client_credentials")
        .append_pair("scope", &text(client, "scope"))
        .append_pair("client_assertion_type", salus_auth::CLIENT_ASSERTION_TYPE)
        .append_pair("client_assertion", &assertion)
        .finish();
    let head = "POST /auth/token HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-type: application/x-www-form-urlencoded";
    let request = format!("{head}\r\ncontent-length: {}\r\n\r\n{form}", form.len());
    let (status, answer) = load::once(salus.address, request.as_bytes()).await?;
    let token =
        serde_json::from_str::<Value>(&answer).ok().and_then(|json| Some(json["access_token"].as_str()?.into()));
    token.ok_or_else(|| format!("the token endpoint answered {status}: {answer}").into())
}

async fn connect(data_dir: &Path) -> Fallible<tokio_postgres::Client> {
    let cluster = Cluster::attach(data_dir)?.ok_or("the private cluster does not run")?;
    let (client, connection) = cluster.config().connect(NoTls).await?;
    tokio::spawn(connection);
    Ok(client)
}

/// Observations (in the order of their hashes, so of all patients alike) and patients that the demo
/// client may see, as Salus answers them.
async fn sample(
    salus: &Place,
    database: &tokio_postgres::Client,
    token: &str,
) -> Fallible<(Vec<(String, String)>, Vec<String>)> {
    const IDS: &str = "SELECT id FROM resource WHERE type = $1 AND NOT deleted ORDER BY rid LIMIT $2";
    let mut found = [Vec::new(), Vec::new()];
    for (resource_type, seen) in ["Patient", "Observation"].iter().zip(&mut found) {
        let rows = database.query(IDS, &[resource_type, &OBSERVATIONS]).await?;
        let ids = rows.iter().map(|row| row.try_get(0)).collect::<Result<Vec<String>, _>>()?;
        let path = |id| request("GET", &format!("/fhir/{resource_type}/{id}"), Some(token), "");
        let answers = load::fetch(salus.address, FETCHING, &Rc::new(ids.iter().map(path).collect())).await?;
        for (id, (status, text)) in ids.into_iter().zip(answers) {
            match status {
                200 => seen.push((id, text)),
                404 => {}
                other => return Err(format!("{resource_type}/{id} answered {other}: {text}").into()),
            }
        }
    }
    let [patients, observations] = found;
    Ok((observations, patients.into_iter().map(|(id, _)| id).collect()))
}

async fn start_bare(dir: &Path, audit_record: &Path, observations: &[(String, String)]) -> Fallible<Place> {
    let (program, home): (PathBuf, PathBuf) = (std::env::current_exe()?, dir.join("bare"));
    let record = audit_record.to_string_lossy();
    let bare = Place::start(&program, &["bare", "--audit-record", &record], &home, &[], PATIENCE).await?;
    let database = connect(&home).await?;
    let (ids, bodies): (Vec<&str>, Vec<&str>) = observations.iter().map(|(id, body)| (&**id, &**body)).unzip();
    database.execute("INSERT INTO r SELECT * FROM unnest($1::text[], $2::text[])", &[&ids, &bodies]).await?;
    database.batch_execute("ANALYZE r").await?;
    Ok(bare)
}

/// Processor microseconds a request, over all turns of a contender.
pub fn cpu_a_request(turns: &[Turn]) -> Cpu {
    let requests: usize = turns.iter().map(|turn| turn.requests).sum();
    let each = |of: fn(&Cpu) -> f64| turns.iter().map(|turn| of(&turn.cpu)).sum::<f64>() * 1e6 / requests as f64;
    Cpu { server: each(|cpu| cpu.server), postgres: each(|cpu| cpu.postgres), generator: each(|cpu| cpu.generator) }
}
