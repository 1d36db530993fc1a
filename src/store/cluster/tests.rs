//! The promises of the module, against real PostgreSQL binaries.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::AtomicU32;

use rustix::process::{Pid, kill_process};
use tokio_postgres::{Client, NoTls};

use super::*;

/// A data directory that goes with the test.
struct DataDir(PathBuf);

impl DataDir {
    fn new() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let next = NEXT.fetch_add(1, Ordering::SeqCst);
        Self(std::env::temp_dir().join(format!("salus-cluster-{}-{next}", std::process::id())))
    }

    fn cluster(&self) -> PathBuf {
        self.0.join("postgres")
    }
}

impl Drop for DataDir {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

async fn start(data_dir: &Path) -> Result<Cluster, ClusterError> {
    Cluster::start(data_dir, &|_| ()).await
}

async fn connect(cluster: &Cluster) -> Client {
    let (client, connection) = cluster.config().connect(NoTls).await.unwrap();
    tokio::spawn(connection);
    client
}

async fn write_row(cluster: &Cluster) {
    let client = connect(cluster).await;
    client.batch_execute("CREATE TABLE kept (x int); INSERT INTO kept VALUES (42)").await.unwrap();
}

async fn assert_row(cluster: &Cluster) {
    let row = connect(cluster).await.query_one("SELECT x FROM kept", &[]).await.unwrap();
    assert_eq!(row.get::<_, i32>(0), 42);
}

fn postmaster_pid(data_dir: &DataDir) -> i32 {
    PostmasterFile::read(&data_dir.cluster()).unwrap().unwrap().pid
}

fn kill_9(pid: i32) {
    kill_process(Pid::from_raw(pid).unwrap(), Signal::KILL).unwrap();
}

/// What `kill -9` of the server leaves: PostgreSQL runs on, the lock is free, nobody supervises.
fn abandon(mut cluster: Cluster) {
    let owned = cluster.owned.take().unwrap();
    owned.supervision.abort();
}

#[tokio::test]
async fn a_restart_keeps_data_and_leaves_nothing_running() {
    let dir = DataDir::new();
    let cluster = start(&dir.0).await.unwrap();
    assert!(cluster.is_owned());
    write_row(&cluster).await;
    let socket_dir = cluster.socket_dir.clone();
    cluster.stop().await.unwrap();
    assert!(process::postgres_of(&dir.cluster()).is_empty());
    assert!(!socket_dir.exists());

    let cluster = start(&dir.0).await.unwrap();
    assert_row(&cluster).await;
    cluster.stop().await.unwrap();
}

#[tokio::test]
async fn the_cluster_is_durable_local_and_unprivileged() {
    let dir = DataDir::new();
    let cluster = start(&dir.0).await.unwrap();
    let client = connect(&cluster).await;
    for (setting, value) in [
        ("data_checksums", "on"),
        ("fsync", "on"),
        ("synchronous_commit", "on"),
        ("listen_addresses", ""),
        ("server_encoding", "UTF8"),
        ("is_superuser", "off"),
    ] {
        let row = client.query_one(&format!("SHOW {setting}"), &[]).await.unwrap();
        assert_eq!(row.get::<_, String>(0), value, "{setting}");
    }
    let collation = "SELECT datcollate FROM pg_database WHERE datname = 'salus'";
    assert_eq!(client.query_one(collation, &[]).await.unwrap().get::<_, String>(0), "C");

    use std::os::unix::fs::MetadataExt;
    let process = std::fs::metadata(format!("/proc/{}", postmaster_pid(&dir))).unwrap();
    assert_ne!(process.uid(), 0, "PostgreSQL runs as root");
    assert_eq!(std::fs::metadata(&cluster.socket_dir).unwrap().mode() & 0o077, 0);
    cluster.stop().await.unwrap();
}

#[tokio::test]
async fn a_data_directory_that_only_its_owner_can_enter_works() {
    // The account of PostgreSQL can pass neither of the two.
    let closed = DataDir::new();
    let data_dir = closed.0.join("home").join(".salus");
    std::fs::create_dir_all(&data_dir).unwrap();
    for dir in [&closed.0, &closed.0.join("home"), &data_dir] {
        use std::os::unix::fs::PermissionsExt;
        std::fs::set_permissions(dir, std::fs::Permissions::from_mode(0o700)).unwrap();
    }
    let cluster = start(&data_dir).await.unwrap();
    write_row(&cluster).await;
    cluster.stop().await.unwrap();
    let cluster = start(&data_dir).await.unwrap();
    assert_row(&cluster).await;
    cluster.stop().await.unwrap();
}

#[tokio::test]
async fn a_path_too_long_for_a_socket_works() {
    let dir = DataDir::new();
    let data_dir = dir.0.join("long".repeat(30)).join("it's a data directory");
    let cluster = start(&data_dir).await.unwrap();
    write_row(&cluster).await;
    cluster.stop().await.unwrap();
}

#[tokio::test]
async fn a_second_server_is_refused_and_told_who_is_first() {
    let dir = DataDir::new();
    let first = start(&dir.0).await.unwrap();
    let error = start(&dir.0).await.unwrap_err();
    assert!(matches!(error, ClusterError::InUse { .. }));
    assert!(error.to_string().contains(&format!("process {}", std::process::id())), "{error}");
    assert_eq!(connect(&first).await.query("SELECT 1", &[]).await.unwrap().len(), 1);
    first.stop().await.unwrap();
}

#[tokio::test]
async fn a_command_works_beside_a_server_and_by_itself() {
    let dir = DataDir::new();
    assert!(Cluster::attach(&dir.0).unwrap().is_none(), "no data directory yet");
    let server = start(&dir.0).await.unwrap();
    write_row(&server).await;

    let command = Cluster::attach_or_start(&dir.0, &|_| ()).await.unwrap();
    assert!(!command.is_owned());
    assert_row(&command).await;
    command.stop().await.unwrap();
    drop(Cluster::attach(&dir.0).unwrap().unwrap());
    assert_row(&server).await;
    server.stop().await.unwrap();

    assert!(Cluster::attach(&dir.0).unwrap().is_none(), "nothing runs");
    let command = Cluster::attach_or_start(&dir.0, &|_| ()).await.unwrap();
    assert!(command.is_owned());
    assert_row(&command).await;
    command.stop().await.unwrap();
}

#[tokio::test]
async fn the_url_is_for_psql() {
    let dir = DataDir::new();
    let cluster = start(&dir.0).await.unwrap();
    let psql = cluster.owned.as_ref().unwrap().postmaster.binaries.program("psql");
    let output = Command::new(psql).arg(cluster.url()).args(["-Atc", "SELECT current_database()"]).output();
    match output {
        Ok(output) => assert_eq!(String::from_utf8_lossy(&output.stdout), "salus\n", "{output:?}"),
        Err(e) => eprintln!("skipped: no psql here ({e})"),
    }
    cluster.url().parse::<tokio_postgres::Config>().unwrap();
    cluster.stop().await.unwrap();
}

#[tokio::test]
async fn after_kill_9_of_the_server_the_orphan_is_taken_over() {
    let dir = DataDir::new();
    let cluster = start(&dir.0).await.unwrap();
    write_row(&cluster).await;
    let orphan = postmaster_pid(&dir);
    abandon(cluster);
    assert!(process::is_postgres_of(orphan, &dir.cluster()));

    let cluster = start(&dir.0).await.unwrap();
    assert_ne!(postmaster_pid(&dir), orphan);
    assert_row(&cluster).await;
    cluster.stop().await.unwrap();
}

#[tokio::test]
async fn after_kill_9_of_both_the_log_is_replayed() {
    let dir = DataDir::new();
    let cluster = start(&dir.0).await.unwrap();
    write_row(&cluster).await;
    let pid = postmaster_pid(&dir);
    abandon(cluster);
    kill_9(pid);

    let cluster = start(&dir.0).await.unwrap();
    assert_row(&cluster).await;
    cluster.stop().await.unwrap();
}

#[tokio::test]
async fn a_database_that_dies_under_the_server_comes_back() {
    let dir = DataDir::new();
    let cluster = start(&dir.0).await.unwrap();
    write_row(&cluster).await;
    let mut state = cluster.state();
    for _ in 0..2 {
        kill_9(postmaster_pid(&dir));
        state.wait_for(|state| *state == ClusterState::Restarting).await.unwrap();
        state.wait_for(|state| *state == ClusterState::Running).await.unwrap();
        assert_row(&cluster).await;
    }
    cluster.stop().await.unwrap();
    assert!(process::postgres_of(&dir.cluster()).is_empty());
}

#[tokio::test]
async fn a_stale_pid_file_of_somebody_elses_process_does_no_harm() {
    let dir = DataDir::new();
    let cluster = start(&dir.0).await.unwrap();
    write_row(&cluster).await;
    cluster.stop().await.unwrap();
    // The number was given to a process that has nothing to do with it: it must survive.
    let mut stranger = Command::new("sleep").arg("600").spawn().unwrap();
    let text = format!("{}\n{}\n1\n5432\n/tmp\n\n 1 1\nready   \n", stranger.id(), dir.cluster().display());
    std::fs::write(dir.cluster().join("postmaster.pid"), text).unwrap();

    assert!(Cluster::attach(&dir.0).unwrap().is_none());
    let cluster = start(&dir.0).await.unwrap();
    assert_row(&cluster).await;
    cluster.stop().await.unwrap();
    assert!(stranger.try_wait().unwrap().is_none(), "the stranger was signalled");
    stranger.kill().unwrap();
    stranger.wait().unwrap();
}

#[tokio::test]
async fn an_interrupted_initdb_is_done_again() {
    let dir = DataDir::new();
    let unfinished = dir.0.join("postgres.unfinished.4711");
    std::fs::create_dir_all(unfinished.join("base")).unwrap();
    std::fs::write(unfinished.join("PG_VERSION"), "15\n").unwrap();
    let cluster = start(&dir.0).await.unwrap();
    assert!(!unfinished.exists());
    cluster.stop().await.unwrap();
}

#[tokio::test]
async fn a_start_that_is_broken_off_in_initdb_can_follow_itself_at_once() {
    let dir = DataDir::new();
    let broken_off = tokio::time::timeout(Duration::from_millis(400), start(&dir.0)).await;
    drop(broken_off);
    start(&dir.0).await.unwrap().stop().await.unwrap();
    assert!(Layout::of(&dir.0).unwrap().abandoned().unwrap().is_empty());
}

#[tokio::test]
async fn what_salus_did_not_make_is_left_alone() {
    let dir = DataDir::new();
    std::fs::create_dir_all(dir.cluster()).unwrap();
    std::fs::write(dir.cluster().join("thesis.txt"), "years of work").unwrap();
    let error = start(&dir.0).await.unwrap_err();
    assert!(matches!(error, ClusterError::Foreign { .. }), "{error}");
    assert!(dir.cluster().join("thesis.txt").exists());
}

#[tokio::test]
async fn data_of_another_version_are_not_touched() {
    let dir = DataDir::new();
    std::fs::create_dir_all(dir.cluster()).unwrap();
    std::fs::write(dir.cluster().join("PG_VERSION"), "9\n").unwrap();
    let error = start(&dir.0).await.unwrap_err();
    assert!(matches!(error, ClusterError::VersionMismatch { data: 9, .. }), "{error}");
}

#[tokio::test]
async fn a_setting_that_postgres_refuses_is_shown() {
    let dir = DataDir::new();
    start(&dir.0).await.unwrap().stop().await.unwrap();
    std::fs::write(dir.cluster().join("custom.conf"), "no_such_setting = 1\n").unwrap();
    let error = start(&dir.0).await.unwrap_err();
    assert!(error.to_string().contains("no_such_setting"), "{error}");
    // And the lock is free again, nothing runs.
    std::fs::remove_file(dir.cluster().join("custom.conf")).unwrap();
    start(&dir.0).await.unwrap().stop().await.unwrap();
}

#[tokio::test]
async fn dropping_it_stops_it() {
    let dir = DataDir::new();
    let cluster = start(&dir.0).await.unwrap();
    drop(cluster);
    assert!(process::postgres_of(&dir.cluster()).is_empty());
    start(&dir.0).await.unwrap().stop().await.unwrap();
}

#[test]
fn a_url_encodes_its_host() {
    assert_eq!(percent_encode("/run/a b'ü~1"), "%2Frun%2Fa%20b%27%C3%BC~1");
}
