//! The configuration files that Salus writes for its cluster.

use std::os::unix::fs::MetadataExt;
use std::path::Path;

use super::account::Accounts;

const MIB: u64 = 1024 * 1024;
const GIB: u64 = 1024 * MIB;

/// What the settings depend on.
#[derive(Debug, Clone)]
pub(super) struct Sizing {
    /// Bytes of memory that this process may use.
    pub memory: u64,
    /// Bytes free on the disk of the data.
    pub disk: u64,
    /// The server was built with LZ4.
    pub lz4: bool,
    /// Every account may make shared memory in `/dev/shm`, which some containers do not have.
    pub posix_shared_memory: bool,
    /// The operator has settings of their own.
    pub custom: bool,
}

/// The text of `postgresql.conf`.
pub(super) fn postgresql_conf(sizing: &Sizing, socket_dir: &Path) -> String {
    let buffers = (sizing.memory / 4).clamp(64 * MIB, 2 * GIB) / MIB;
    let cache = (sizing.memory / 2).max(256 * MIB) / MIB;
    let wal = (sizing.disk / 8).clamp(512 * MIB, 4 * GIB) / MIB;
    let wal_kept = wal.min(2 * 512) / 2;
    let (wal_compression, toast) = if sizing.lz4 { ("lz4", "lz4") } else { ("on", "pglz") };
    let shared_memory = if sizing.posix_shared_memory { "posix" } else { "sysv" };
    let custom = if sizing.custom { "include 'custom.conf'\n" } else { "" };
    let socket = socket_dir.display().to_string().replace('\'', "''");
    format!(
        "\
# Written by Salus at each start; changes here are lost. Yours go into custom.conf beside this file,
# read from the next start on.

# Only processes of this machine that may enter the socket's directory can connect.
listen_addresses = ''
unix_socket_directories = '{socket}'
port = 5432
max_connections = 100

# What was acknowledged stays, whatever happens.
fsync = on
synchronous_commit = on
full_page_writes = on

# A quarter of the memory, since the page cache holds the rest.
shared_buffers = {buffers}MB
effective_cache_size = {cache}MB
dynamic_shared_memory_type = {shared_memory}
random_page_cost = 1.1
# Short queries: compiling them costs more than it saves.
jit = off
# Starting a worker takes longer (10 ms here) than any query of a request should.
max_parallel_workers_per_gather = 0

# Statistics follow a load within seconds, not a minute.
autovacuum_naptime = 10s

# JSON compresses well, and LZ4 costs next to nothing.
wal_compression = {wal_compression}
default_toast_compression = {toast}
# Rare checkpoints: each makes the next write of every page a full one.
checkpoint_timeout = 15min
max_wal_size = {wal}MB
min_wal_size = {wal_kept}MB

# The log goes to Salus. It may hold no patient's data: neither statements nor the rows of a violated key.
logging_collector = off
log_destination = 'stderr'
log_line_prefix = ''
log_error_verbosity = terse
log_min_error_statement = panic
log_parameter_max_length_on_error = 0
log_statement = 'none'

timezone = 'UTC'
cluster_name = 'salus'
{custom}"
    )
}

/// The text of `pg_hba.conf`: the socket alone, and the kernel says who is there.
pub(super) fn pg_hba_conf() -> &'static str {
    "\
# Written by Salus at each start.
local all         all peer map=salus
local replication all peer map=salus
"
}

/// The text of `pg_ident.conf`: the account of Salus and the account of PostgreSQL may be either role.
pub(super) fn pg_ident_conf(accounts: &Accounts) -> String {
    let mut text = String::from("# Written by Salus at each start.\n");
    for account in [&accounts.server.name, &accounts.postgres.name] {
        for role in [super::ROLE, super::SUPERUSER] {
            let line = format!("salus \"{account}\" {role}\n");
            if !text.contains(&line) {
                text.push_str(&line);
            }
        }
    }
    text
}

/// Whether every account may make POSIX shared memory.
pub(super) fn has_posix_shared_memory() -> bool {
    std::fs::metadata("/dev/shm").is_ok_and(|m| m.is_dir() && m.mode() & 0o002 != 0)
}

/// Memory that this process may use: the machine's, or its control group's limit where that is less.
pub(super) fn available_memory() -> u64 {
    let machine = std::fs::read_to_string("/proc/meminfo").ok().and_then(|text| mem_total(&text));
    let limit = std::fs::read_to_string("/sys/fs/cgroup/memory.max").ok();
    let limit = limit.and_then(|text| text.trim().parse::<u64>().ok());
    machine.into_iter().chain(limit).min().unwrap_or(GIB)
}

fn mem_total(meminfo: &str) -> Option<u64> {
    let line = meminfo.lines().find_map(|line| line.strip_prefix("MemTotal:"))?;
    let kib: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kib * 1024)
}

#[cfg(test)]
mod tests {
    use super::super::account::Account;
    use super::*;

    fn conf(memory: u64, disk: u64, lz4: bool) -> String {
        let sizing = Sizing { memory, disk, lz4, posix_shared_memory: true, custom: false };
        postgresql_conf(&sizing, Path::new("/run/it's"))
    }

    #[test]
    fn buffers_follow_memory_within_bounds() {
        assert!(conf(24 * GIB, 100 * GIB, true).contains("shared_buffers = 2048MB\n"));
        assert!(conf(4 * GIB, 100 * GIB, true).contains("shared_buffers = 1024MB\n"));
        assert!(conf(128 * MIB, 100 * GIB, true).contains("shared_buffers = 64MB\n"));
    }

    #[test]
    fn a_small_disk_keeps_the_log_small() {
        let small = conf(GIB, 2 * GIB, true);
        assert!(small.contains("max_wal_size = 512MB\nmin_wal_size = 256MB\n"), "{small}");
        let large = conf(GIB, 100 * GIB, true);
        assert!(large.contains("max_wal_size = 4096MB\nmin_wal_size = 512MB\n"), "{large}");
    }

    #[test]
    fn durability_is_never_traded() {
        let text = conf(GIB, GIB, false);
        for setting in ["fsync = on\n", "synchronous_commit = on\n", "full_page_writes = on\n"] {
            assert!(text.contains(setting), "{setting}");
        }
        assert!(text.contains("unix_socket_directories = '/run/it''s'\n"));
        assert!(text.contains("default_toast_compression = pglz\n"));
    }

    #[test]
    fn both_accounts_are_mapped_once() {
        let account = |name: &str| Account { name: name.into(), uid: 1, gid: 1 };
        let two = Accounts { server: account("root"), postgres: account("postgres") };
        assert_eq!(pg_ident_conf(&two).lines().count(), 5);
        let one = Accounts { server: account("me"), postgres: account("me") };
        assert_eq!(pg_ident_conf(&one).lines().count(), 3);
    }

    #[test]
    fn memory_is_read() {
        assert_eq!(mem_total("MemTotal:       24684084 kB\nMemFree: 1 kB\n"), Some(24_684_084 * 1024));
        assert!(available_memory() > 0);
    }
}
