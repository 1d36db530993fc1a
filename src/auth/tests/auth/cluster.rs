//! A PostgreSQL of the tests' own: one for all that run at the same time, gone after the last.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex, Weak, mpsc};
use std::thread::JoinHandle;
use std::time::Duration;

/// A running cluster; stopped and deleted on drop.
pub struct Cluster {
    dir: PathBuf,
    bin: PathBuf,
    /// Waits for the server process.
    waiter: Option<JoinHandle<()>>,
}

static CURRENT: Mutex<Weak<Cluster>> = Mutex::new(Weak::new());

impl Cluster {
    /// The cluster that runs, or a new one.
    pub fn shared() -> Arc<Self> {
        let mut current = CURRENT.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        current.upgrade().unwrap_or_else(|| {
            let cluster = Arc::new(Self::start());
            *current = Arc::downgrade(&cluster);
            cluster
        })
    }

    pub fn config(&self) -> tokio_postgres::Config {
        let mut config = tokio_postgres::Config::new();
        config.host_path(&self.dir).user("postgres").dbname("postgres");
        config
    }

    fn start() -> Self {
        let bin = binaries();
        let dir = std::env::temp_dir().join(format!("salus-pg-{}", &uuid::Uuid::new_v4().simple().to_string()[..12]));
        std::fs::create_dir(&dir).unwrap();
        if is_root() {
            assert!(Command::new("chown").arg("postgres").arg(&dir).status().unwrap().success());
        }
        let data = dir.join("data");
        let initdb = unprivileged(&bin.join("initdb"))
            .args(["--auth=trust", "--username=postgres", "--encoding=UTF8", "--locale=C", "--no-sync", "-D"])
            .arg(&data)
            .output()
            .unwrap();
        assert!(initdb.status.success(), "initdb: {}", String::from_utf8_lossy(&initdb.stderr));

        let mut server = unprivileged(&bin.join("postgres"));
        server.arg("-D").arg(&data).arg("-k").arg(&dir);
        server.args(["-c", "listen_addresses=", "-c", "fsync=off", "-c", "max_connections=400"]);
        server.stdout(Stdio::null()).stderr(Stdio::null());
        // The server dies with the thread that started it (setpriv --pdeathsig), so that thread stays.
        let (started, wait) = mpsc::channel();
        let waiter = std::thread::spawn(move || {
            let mut child = server.spawn().unwrap();
            started.send(()).unwrap();
            let _ = child.wait();
        });
        wait.recv().unwrap();
        let cluster = Self { dir, bin, waiter: Some(waiter) };
        cluster.await_ready();
        cluster
    }

    fn await_ready(&self) {
        for _ in 0..600 {
            let ready = Command::new(self.bin.join("pg_isready")).arg("-q").arg("-h").arg(&self.dir).status().unwrap();
            if ready.success() {
                return;
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        panic!("PostgreSQL did not start in {}", self.dir.display());
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        let mut stop = unprivileged(&self.bin.join("pg_ctl"));
        stop.args(["stop", "-m", "immediate", "-s", "-D"]).arg(self.dir.join("data"));
        let _ = stop.status();
        if let Some(waiter) = self.waiter.take() {
            let _ = waiter.join();
        }
        let _ = std::fs::remove_dir_all(&self.dir);
    }
}

/// A command that runs as `postgres` where we are root (the server refuses to run as root), and ends
/// with its parent.
fn unprivileged(program: &Path) -> Command {
    let mut command = Command::new("setpriv");
    if is_root() {
        command.args(["--reuid=postgres", "--regid=postgres", "--clear-groups"]);
    }
    command.args(["--pdeathsig", "QUIT"]).arg(program).current_dir("/");
    command
}

fn is_root() -> bool {
    use std::os::unix::fs::MetadataExt;
    std::fs::metadata("/proc/self").unwrap().uid() == 0
}

fn binaries() -> PathBuf {
    let installed = std::fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let mut candidates: Vec<PathBuf> = installed.map(|entry| entry.path().join("bin")).collect();
    candidates.extend(std::env::split_paths(&std::env::var_os("PATH").unwrap_or_default()));
    candidates
        .into_iter()
        .find(|bin| bin.join("initdb").exists())
        .expect("these tests need the PostgreSQL server programs (Debian: apt-get install postgresql)")
}
