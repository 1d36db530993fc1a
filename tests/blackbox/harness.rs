//! A server to test against, and clients to test it with.

use std::collections::BTreeSet;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, OnceLock, mpsc};
use std::time::{Duration, Instant};

use salus_auth::{ClientKeyPair, Clients, NewClient, sign_assertion};
use salus_store::cluster::Cluster;
use serde_json::Value;

/// A server of its own, with its own data directory and database; stopped when dropped.
pub struct Salus {
    pub origin: String,
    pub data_dir: PathBuf,
    process: Option<Child>,
    settings: Vec<(String, String)>,
}

static NUMBER: AtomicU32 = AtomicU32::new(0);

impl Salus {
    /// The server that tests share.
    pub fn shared() -> &'static Self {
        static SHARED: OnceLock<Salus> = OnceLock::new();
        SHARED.get_or_init(Self::start)
    }

    /// A new server on a new data directory.
    pub fn start() -> Self {
        Self::start_with(&[])
    }

    /// A new server on a new data directory, with these settings by environment (`most_requests`).
    pub fn start_with(settings: &[(&str, &str)]) -> Self {
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let data_dir = std::env::temp_dir().join(format!("salus-test-{}-{number}", std::process::id()));
        let _ = std::fs::remove_dir_all(&data_dir);
        let mut salus = Self::at(data_dir);
        let variable = |(name, value): &(&str, &str)| (format!("SALUS_{}", name.to_uppercase()), (*value).to_owned());
        salus.settings = settings.iter().map(variable).collect();
        salus.launch(&[]);
        salus
    }

    /// A new server on a new data directory, to which this package was added before it started.
    pub fn start_with_package(package: &Path) -> Self {
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let data_dir = std::env::temp_dir().join(format!("salus-test-{}-{number}", std::process::id()));
        let _ = std::fs::remove_dir_all(&data_dir);
        let mut salus = Self::at(data_dir);
        let added = salus.command(&["packages", "add", &package.to_string_lossy()]);
        assert!(added.status.success(), "{}", String::from_utf8_lossy(&added.stderr));
        salus.launch(&[]);
        salus
    }

    fn at(data_dir: PathBuf) -> Self {
        // Servers that start together must not be handed one port twice before the first has taken it.
        static PORTS: Mutex<BTreeSet<u16>> = Mutex::new(BTreeSet::new());
        let port = loop {
            let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
            if PORTS.lock().unwrap().insert(port) {
                break port;
            }
        };
        Self { origin: format!("http://127.0.0.1:{port}"), data_dir, process: None, settings: Vec::new() }
    }

    /// Starts the process again after [`Self::kill`], on the same address.
    pub fn launch(&mut self, arguments: &[&str]) {
        self.begin(arguments);
        let begun = Instant::now();
        while self.get_open("/health/ready").status != 200 {
            let process = self.process.as_mut().unwrap();
            let ended = process.try_wait().unwrap();
            assert!(
                ended.is_none() && begun.elapsed() < Duration::from_secs(120),
                "the server did not get ready:\n{}",
                self.log()
            );
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// Starts the process without waiting for it to be ready.
    pub fn begin(&mut self, arguments: &[&str]) {
        let listen = self.origin.trim_start_matches("http://").to_owned();
        let mut words = vec!["serve".to_owned(), "--listen".to_owned(), listen];
        words.extend(["--data-dir".to_owned(), self.data_dir.to_string_lossy().into_owned()]);
        words.extend(arguments.iter().map(|&word| word.to_owned()));
        std::fs::create_dir_all(&self.data_dir).unwrap();
        self.process = Some(spawn(words, self.settings.clone(), self.data_dir.join("server.log")));
    }

    /// What the server wrote.
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.data_dir.join("server.log")).unwrap_or_default()
    }

    /// Process id of the running server.
    pub fn pid(&self) -> u32 {
        self.process.as_ref().expect("it runs").id()
    }

    /// Tells the server to stop (SIGTERM).
    pub fn tell_to_stop(&self) {
        assert!(Command::new("kill").arg(self.pid().to_string()).status().unwrap().success());
    }

    /// Waits until the server has ended by itself.
    pub fn ended(&mut self) -> std::process::ExitStatus {
        self.process.take().expect("it runs").wait().unwrap()
    }

    /// Kills the server at once (SIGKILL).
    pub fn kill(&mut self) {
        if let Some(mut process) = self.process.take() {
            process.kill().unwrap();
            process.wait().unwrap();
        }
    }

    /// FHIR base URL.
    pub fn base(&self) -> String {
        format!("{}/fhir", self.origin)
    }

    /// A request without a token.
    pub fn get_open(&self, path: &str) -> Answer {
        send(agent().get(format!("{}{path}", self.origin)).call())
    }

    /// Runs another command of the binary on this server's data directory.
    pub fn command(&self, words: &[&str]) -> std::process::Output {
        Command::new(env!("CARGO_BIN_EXE_salus")).args(words).arg("--data-dir").arg(&self.data_dir).output().unwrap()
    }

    /// A connection to the server's database, for what only its rows can tell.
    pub fn database(&self) -> deadpool_postgres::Pool {
        let cluster = Cluster::attach(&self.data_dir).unwrap().expect("the cluster runs");
        let manager = deadpool_postgres::Manager::new(cluster.config(), tokio_postgres::NoTls);
        deadpool_postgres::Pool::builder(manager).max_size(2).build().unwrap()
    }

    /// A new backend client with a token of this scope, purpose `TREAT`.
    pub fn client(&self, scope: &str) -> Client {
        self.client_as(scope, "TREAT", &[])
    }

    /// A new backend client with a token of this scope and purpose, whom Consents may name by `actors`.
    pub fn client_as(&self, scope: &str, purpose: &str, actors: &[&str]) -> Client {
        let client_id = format!("test-{}", NUMBER.fetch_add(1, Ordering::Relaxed));
        let keys = ClientKeyPair::generate().unwrap();
        let new = NewClient {
            client_id: client_id.clone(),
            name: client_id.clone(),
            jwks: keys.jwks.clone(),
            jwks_uri: None,
            scope: scope.to_owned(),
            purpose_of_use: purpose.to_owned(),
            purposes: Vec::new(),
            actors: actors.iter().map(|&actor| actor.to_owned()).collect(),
        };
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(Clients::new(self.database(), 0).add(new)).unwrap();
        let mut client =
            Client { base: self.base(), origin: self.origin.clone(), client_id, keys, token: String::new() };
        client.token = client.new_token(scope);
        client
    }
}

impl Drop for Salus {
    fn drop(&mut self) {
        if let Some(mut process) = self.process.take() {
            // SIGTERM, so that the server stops its database as well.
            let _ = Command::new("kill").arg(process.id().to_string()).status();
            let _ = process.wait();
        }
        let _ = std::fs::remove_dir_all(&self.data_dir);
    }
}

/// Starts the binary from a thread that lives as long as the tests, so that the kernel tells the server
/// to stop when they end, however they end.
fn spawn(words: Vec<String>, settings: Vec<(String, String)>, log: PathBuf) -> Child {
    type Order = (Vec<String>, Vec<(String, String)>, PathBuf, mpsc::Sender<Child>);
    static KEEPER: OnceLock<mpsc::Sender<Order>> = OnceLock::new();
    let keeper = KEEPER.get_or_init(|| {
        let (orders, inbox) = mpsc::channel::<Order>();
        std::thread::spawn(move || {
            for (words, settings, log, answer) in inbox {
                let log = std::fs::OpenOptions::new().create(true).append(true).open(log).unwrap();
                let child = Command::new("setpriv")
                    .args(["--pdeathsig", "TERM", env!("CARGO_BIN_EXE_salus")])
                    .args(words)
                    // What the demo has, and the contract: where no Consent stands, what the token allows.
                    .env("SALUS_CONSENT_DEFAULT", "permit-all")
                    .env("SALUS_AUDIT_SCOPE", "any")
                    .envs(settings)
                    .stdin(Stdio::null())
                    .stdout(log.try_clone().unwrap())
                    .stderr(log)
                    .spawn()
                    .unwrap();
                answer.send(child).unwrap();
            }
        });
        orders
    });
    let (answer, child) = mpsc::channel();
    keeper.send((words, settings, log, answer)).unwrap();
    child.recv().unwrap()
}

/// A client with an access token.
pub struct Client {
    pub base: String,
    pub origin: String,
    pub client_id: String,
    pub keys: ClientKeyPair,
    pub token: String,
}

impl Client {
    /// A further token, by the real flow.
    pub fn new_token(&self, scope: &str) -> String {
        let answer = self.request_token(scope, &[]);
        assert_eq!(answer.status, 200, "{}", answer.text);
        answer.json()["access_token"].as_str().unwrap().to_owned()
    }

    /// The token endpoint's answer to a client credentials grant with further form parameters.
    pub fn request_token(&self, scope: &str, further: &[(&str, &str)]) -> Answer {
        let url = format!("{}/auth/token", self.origin);
        let assertion = sign_assertion(&self.keys.private_key_pem, &self.keys.kid, &self.client_id, &url).unwrap();
        let mut form = vec![
            ("grant_type", "client_credentials"),
            ("client_assertion_type", salus_auth::CLIENT_ASSERTION_TYPE),
            ("client_assertion", assertion.as_str()),
            ("scope", scope),
        ];
        form.extend(further);
        send(agent().post(&url).send_form(form))
    }

    /// `GET` below the FHIR base.
    pub fn get(&self, path: &str) -> Answer {
        self.get_with(path, &[])
    }

    /// `GET` with further headers.
    pub fn get_with(&self, path: &str, headers: &[(&str, &str)]) -> Answer {
        let mut request = agent().get(self.url(path)).header("authorization", self.bearer());
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        send(request.call())
    }

    /// `POST` of FHIR JSON.
    pub fn post(&self, path: &str, body: &str) -> Answer {
        self.send_with("POST", path, body, &[])
    }

    /// `PUT` of FHIR JSON.
    pub fn put(&self, path: &str, body: &str) -> Answer {
        self.send_with("PUT", path, body, &[])
    }

    /// `DELETE`.
    pub fn delete(&self, path: &str) -> Answer {
        send(agent().delete(self.url(path)).header("authorization", self.bearer()).call())
    }

    /// `POST` or `PUT` with a body and further headers; FHIR JSON unless they say otherwise.
    pub fn send_with(&self, method: &str, path: &str, body: &str, headers: &[(&str, &str)]) -> Answer {
        let agent = agent();
        let mut request = match method {
            "PUT" => agent.put(self.url(path)),
            _ => agent.post(self.url(path)),
        };
        request = request.header("authorization", self.bearer());
        if !headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("content-type")) {
            request = request.header("content-type", "application/fhir+json");
        }
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        send(request.send(body))
    }

    /// Creates a resource and gives its id.
    pub fn create(&self, resource: &Value) -> String {
        let answer = self.post(resource["resourceType"].as_str().unwrap(), &resource.to_string());
        assert_eq!(answer.status, 201, "{}", answer.text);
        answer.json()["id"].as_str().unwrap().to_owned()
    }

    /// Ids of the matches of a search, in order.
    pub fn ids(&self, search: &str) -> Vec<String> {
        let answer = self.get(search);
        assert_eq!(answer.status, 200, "{search}: {}", answer.text);
        let bundle = answer.json();
        let matches =
            bundle["entry"].as_array().into_iter().flatten().filter(|entry| entry["search"]["mode"] == "match");
        matches.map(|entry| entry["resource"]["id"].as_str().unwrap().to_owned()).collect()
    }

    fn url(&self, path: &str) -> String {
        match path {
            "" => self.base.clone(),
            path if path.starts_with("http") => path.to_owned(),
            path => format!("{}/{path}", self.base),
        }
    }

    fn bearer(&self) -> String {
        format!("Bearer {}", self.token)
    }
}

/// An answer, whatever its status.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub text: String,
    /// The body as it came.
    pub bytes: Vec<u8>,
    headers: ureq::http::HeaderMap,
}

impl Answer {
    /// An answer read by other means than the usual client.
    pub fn new(status: u16, text: String, headers: &[(&str, &str)]) -> Self {
        let pair = |(name, value): &(&str, &str)| {
            let name = ureq::http::HeaderName::try_from(*name).ok()?;
            Some((name, ureq::http::HeaderValue::try_from(*value).ok()?))
        };
        let bytes = text.clone().into_bytes();
        Self { status, text, bytes, headers: headers.iter().filter_map(pair).collect() }
    }

    /// The body as JSON.
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|error| panic!("{error}: {}", self.text))
    }

    /// A header.
    pub fn header(&self, name: &str) -> Option<String> {
        Some(self.headers.get(name)?.to_str().ok()?.to_owned())
    }

    /// Code of the first issue of an OperationOutcome.
    pub fn issue(&self) -> String {
        let outcome = self.json();
        assert_eq!(outcome["resourceType"], "OperationOutcome", "{}", self.text);
        outcome["issue"][0]["code"].as_str().unwrap().to_owned()
    }
}

fn agent() -> ureq::Agent {
    static AGENT: OnceLock<ureq::Agent> = OnceLock::new();
    AGENT
        .get_or_init(|| {
            let config = ureq::Agent::config_builder()
                .http_status_as_error(false)
                .max_redirects(0)
                .timeout_global(Some(Duration::from_secs(120)));
            config.build().into()
        })
        .clone()
}

fn send(outcome: Result<ureq::http::Response<ureq::Body>, ureq::Error>) -> Answer {
    match outcome {
        Ok(mut response) => {
            let bytes = response.body_mut().with_config().limit(256 << 20).read_to_vec().unwrap_or_default();
            let text = String::from_utf8_lossy(&bytes).into_owned();
            Answer { status: response.status().as_u16(), text, bytes, headers: response.headers().clone() }
        }
        Err(error) => Answer { status: 0, text: error.to_string(), bytes: Vec::new(), headers: Default::default() },
    }
}

/// A folder of `../shared/data`, or `None` (and a line that says so) where it is not there.
pub fn shared_data(folder: &str) -> Option<PathBuf> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/data").join(folder);
    if path.exists() {
        return Some(path);
    }
    println!("SKIPPED: ../shared/data/{folder} is not here");
    None
}
