//! A real PostgreSQL: a throw-away cluster with a server of its own.

use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

mod standby;

use crate::patience::eventually;
use crate::port::free_port;
use crate::process::{self, Process, Signal};
use crate::program;
use crate::scratch::{Scratch, unique};

const PATIENCE: Duration = Duration::from_secs(60);
const STARTS_MAX: usize = 5;

/// How a [`Postgres`] is started; made by [`Postgres::options`].
#[derive(Debug, Clone)]
#[must_use]
pub struct PostgresOptions {
    fsync: bool,
    more: Vec<String>,
}

impl PostgresOptions {
    /// Whether commits wait for the disk (they do by default). Off is faster, and what was committed
    /// still survives [`Postgres::kill`]; only a power cut would tell.
    pub fn fsync(mut self, fsync: bool) -> Self {
        self.fsync = fsync;
        self
    }

    /// Any other parameter of `postgresql.conf`.
    pub fn set(mut self, parameter: &str, value: &str) -> Self {
        self.more.push(format!("{parameter}={value}"));
        self
    }

    /// Makes the cluster, starts its server and waits until it answers.
    ///
    /// # Panics
    /// When it does not, with its log.
    pub fn start(self) -> Postgres {
        for _ in 1..STARTS_MAX {
            // Another test process may have taken the port in between: then with a new one.
            if let Some(postgres) = Postgres::try_start(&self) {
                return postgres;
            }
        }
        Postgres::try_start(&self).expect("postgres starts")
    }

    fn arguments(&self, data: &Path, sockets: &Path, port: u16) -> Vec<String> {
        let fsync = if self.fsync { "on" } else { "off" };
        let mut arguments = vec!["-D".to_owned(), data.display().to_string()];
        let parameters = [
            format!("port={port}"),
            "listen_addresses=127.0.0.1".to_owned(),
            format!("unix_socket_directories={}", sockets.display()),
            format!("fsync={fsync}"),
            "max_connections=400".to_owned(),
            "shared_buffers=64MB".to_owned(),
        ];
        for parameter in parameters.iter().chain(&self.more) {
            arguments.extend(["-c".to_owned(), parameter.clone()]);
        }
        arguments
    }
}

/// A PostgreSQL server on a loopback port and a Unix socket, open to user `postgres` without a
/// password. PostgreSQL refuses to run as root; then it runs as `postgres` or `nobody`.
#[derive(Debug)]
pub struct Postgres {
    port: u16,
    programs: PathBuf,
    user: Option<(u32, u32)>,
    arguments: Vec<String>,
    // Before the directory, so that it is dropped (and ended) first.
    process: Mutex<Process>,
    scratch: Scratch,
}

impl Postgres {
    /// What can be chosen.
    pub fn options() -> PostgresOptions {
        PostgresOptions { fsync: true, more: Vec::new() }
    }

    /// With `fsync`, for this test alone.
    pub fn start() -> Self {
        Self::options().start()
    }

    /// One for the whole test process; take a database of your own by [`Postgres::url`], and never
    /// stop it. Its commits do not wait for the disk.
    pub fn shared() -> &'static Self {
        static SHARED: OnceLock<Postgres> = OnceLock::new();
        SHARED.get_or_init(|| Self::options().fsync(false).start())
    }

    fn try_start(options: &PostgresOptions) -> Option<Self> {
        let programs = program::postgres_folder();
        let scratch = Scratch::new("postgres");
        let user = unprivileged(&scratch);
        let data = scratch.path().join("data");
        initialise(&programs, &data, user);
        let port = free_port();
        let arguments = options.arguments(&data, scratch.path(), port);
        let process = Mutex::new(spawn(&programs, &arguments, &scratch, user));
        let postgres = Self { port, programs, user, arguments, process, scratch };
        postgres.becomes_ready().then_some(postgres)
    }

    /// Creates a database whose name begins with `name` and returns its URL:
    /// `postgres://postgres@127.0.0.1:PORT/NAME_…`.
    pub fn url(&self, name: &str) -> String {
        let database = unique(name);
        self.sql("postgres", &format!("CREATE DATABASE \"{database}\""));
        format!("postgres://postgres@127.0.0.1:{}/{database}", self.port)
    }

    /// Its port on loopback; the same after a restart.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The directory of its Unix socket.
    pub fn socket_folder(&self) -> &Path {
        self.scratch.path()
    }

    /// The process id of the postmaster.
    pub fn pid(&self) -> u32 {
        self.process().pid()
    }

    /// What it has logged.
    pub fn log(&self) -> String {
        self.process().log()
    }

    /// Runs SQL by `psql` and returns the rows, fields separated by `|`. `database` is a name or a URL.
    ///
    /// # Panics
    /// When it fails.
    pub fn sql(&self, database: &str, sql: &str) -> String {
        self.try_sql(database, sql).unwrap_or_else(|error| panic!("{sql}: {error}"))
    }

    /// Like [`Postgres::sql`], with the error for whoever expects one.
    ///
    /// # Errors
    /// What `psql` says.
    pub fn try_sql(&self, database: &str, sql: &str) -> Result<String, String> {
        let output = Command::new(self.programs.join("psql"))
            .args(["-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-U", "postgres"])
            .args(["-h", "127.0.0.1", "-p", &self.port.to_string(), "-d", database, "-c", sql])
            .output()
            .map_err(|error| error.to_string())?;
        if output.status.success() {
            return Ok(String::from_utf8_lossy(&output.stdout).trim_end().to_owned());
        }
        Err(String::from_utf8_lossy(&output.stderr).trim_end().to_owned())
    }

    /// A dump of a database, as `pg_dump` writes it.
    ///
    /// # Panics
    /// When it fails.
    pub fn dump(&self, url: &str) -> String {
        let output = Command::new(self.programs.join("pg_dump")).arg(url).output();
        let output = output.expect("run pg_dump");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).expect("a dump is UTF-8")
    }

    /// Plays a dump into an empty database.
    ///
    /// # Panics
    /// When it fails.
    pub fn play(&self, url: &str, dump: &str) {
        let path = self.scratch.path().join(unique("dump"));
        std::fs::write(&path, dump).expect("write the dump");
        let mut psql = Command::new(self.programs.join("psql"));
        psql.args(["-X", "-q", "-v", "ON_ERROR_STOP=1", "-d", url, "-f"]).arg(&path);
        let output = psql.output().expect("run psql");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }

    /// `kill -9` of the postmaster; its backends notice and end by themselves.
    pub fn kill(&self) {
        self.process().kill();
    }

    /// Fast shutdown: open transactions are rolled back, connections cut.
    pub fn stop(&self) {
        self.process().end(Signal::Int, PATIENCE);
    }

    /// Starts it again on the same port and data, after a fast shutdown if it still runs.
    ///
    /// # Panics
    /// When it does not come up, with its log.
    pub fn restart(&self) {
        self.stop();
        // Right after `kill` a backend may still hold the shared memory; then the start is refused.
        let back = eventually(PATIENCE, || {
            *self.process() = spawn(&self.programs, &self.arguments, &self.scratch, self.user);
            self.becomes_ready().then_some(())
        });
        assert!(back.is_some(), "postgres does not come back:\n{}", self.log());
    }

    /// SIGSTOP to the server and every backend: connections stay open and nothing answers.
    pub fn freeze(&self) {
        self.signal_all(Signal::Stop);
    }

    /// SIGCONT to the server and every backend.
    pub fn thaw(&self) {
        self.signal_all(Signal::Cont);
    }

    fn signal_all(&self, signal: Signal) {
        let process = self.process();
        // The postmaster first, so that it starts no backend that would be missed.
        process.signal(signal);
        for pid in children_of(process.pid()) {
            process::send(pid, signal);
        }
    }

    fn becomes_ready(&self) -> bool {
        let answer = eventually(PATIENCE, || {
            if self.process().ended().is_some() {
                return Some(false);
            }
            self.try_sql("postgres", "SELECT 1").is_ok().then_some(true)
        });
        answer == Some(true)
    }

    fn process(&self) -> MutexGuard<'_, Process> {
        self.process.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        self.thaw();
    }
}

fn spawn(
    programs: &Path,
    arguments: &[String],
    scratch: &Scratch,
    user: Option<(u32, u32)>,
) -> Process {
    let mut command = Command::new(programs.join("postgres"));
    command.args(arguments).current_dir(scratch.path());
    // Immediate shutdown: ends the backends too and gives the shared memory back.
    Process::spawn_as("postgres", &command, &scratch.path().join("log"), Signal::Quit, user)
}

fn initialise(programs: &Path, data: &Path, user: Option<(u32, u32)>) {
    let mut initdb = Command::new(programs.join("initdb"));
    initdb
        .args(["--no-sync", "--no-instructions", "--auth=trust", "--username=postgres"])
        .args(["--encoding=UTF8", "--locale=C.UTF-8", "-D"])
        .arg(data)
        .current_dir("/");
    if let Some((uid, gid)) = user {
        initdb.uid(uid).gid(gid);
    }
    let output = initdb.output().expect("run initdb");
    assert!(output.status.success(), "initdb: {}", String::from_utf8_lossy(&output.stderr));
}

/// Whom to run as when we are root: gives that user the directory, too.
pub(crate) fn unprivileged(scratch: &Scratch) -> Option<(u32, u32)> {
    let owner = std::fs::metadata(scratch.path()).expect("the directory was just made").uid();
    if owner != 0 {
        return None;
    }
    let (uid, gid) = ["postgres", "nobody"]
        .into_iter()
        .find_map(account)
        .expect("a user `postgres` or `nobody` in /etc/passwd");
    std::os::unix::fs::chown(scratch.path(), Some(uid), Some(gid))
        .expect("give the directory away");
    let open = std::fs::Permissions::from_mode(0o755);
    std::fs::set_permissions(scratch.path(), open).expect("open the directory");
    Some((uid, gid))
}

fn account(name: &str) -> Option<(u32, u32)> {
    let users = std::fs::read_to_string("/etc/passwd").ok()?;
    let line = users.lines().find(|line| line.split(':').next() == Some(name))?;
    let mut numbers = line.split(':').skip(2);
    Some((numbers.next()?.parse().ok()?, numbers.next()?.parse().ok()?))
}

fn children_of(parent: u32) -> Vec<u32> {
    let processes = std::fs::read_dir("/proc").into_iter().flatten().flatten();
    processes
        .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
        .filter(|pid| parent_of(*pid) == Some(parent))
        .collect()
}

/// The fourth field of `/proc/PID/stat`; the second is a name in brackets that may hold spaces.
fn parent_of(pid: u32) -> Option<u32> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    stat.rsplit(')').next()?.split_whitespace().nth(1)?.parse().ok()
}
