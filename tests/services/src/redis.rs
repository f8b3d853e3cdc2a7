//! A real `redis-server`.

use std::path::PathBuf;
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use crate::patience::eventually;
use crate::port::free_port;
use crate::process::{Process, Signal};
use crate::program;
use crate::scratch::Scratch;

const PATIENCE: Duration = Duration::from_secs(20);
const STARTS_MAX: usize = 5;

/// How a [`Redis`] is started; made by [`Redis::options`].
#[derive(Debug, Clone, Default)]
#[must_use]
pub struct RedisOptions {
    appendonly: bool,
    primary_port: Option<u16>,
    more: Vec<String>,
}

impl RedisOptions {
    /// Keeps an append-only file that is synced with each write: data survives [`Redis::kill`].
    pub fn appendonly(mut self) -> Self {
        self.appendonly = true;
        self
    }

    /// At most so much memory, and then `OOM` errors (`noeviction`).
    pub fn maxmemory(self, size: &str) -> Self {
        self.set("maxmemory", size).set("maxmemory-policy", "noeviction")
    }

    /// A replica of `primary`.
    pub fn replica_of(mut self, primary: &Redis) -> Self {
        self.primary_port = Some(primary.port());
        self
    }

    /// Any other directive of `redis.conf`.
    pub fn set(mut self, directive: &str, value: &str) -> Self {
        self.more.extend([format!("--{directive}"), value.to_owned()]);
        self
    }

    /// Starts it and waits until it answers.
    ///
    /// # Panics
    /// When it does not, with its log.
    pub fn start(self) -> Redis {
        let server = program::find("redis-server", "redis-server redis-tools");
        let cli = program::find("redis-cli", "redis-server redis-tools");
        for _ in 1..STARTS_MAX {
            // Another test process may have taken the port in between: then with a new one.
            if let Some(redis) = Redis::try_start(&self, server.clone(), cli.clone()) {
                return redis;
            }
        }
        Redis::try_start(&self, server, cli).expect("redis-server starts")
    }

    fn arguments(&self, port: u16) -> Vec<String> {
        let mut arguments: Vec<String> =
            ["--bind", "127.0.0.1", "--save", "", "--daemonize", "no", "--port"]
                .map(str::to_owned)
                .to_vec();
        arguments.push(port.to_string());
        let appendonly = if self.appendonly { "yes" } else { "no" };
        arguments
            .extend(["--appendonly", appendonly, "--appendfsync", "always"].map(str::to_owned));
        if let Some(port) = self.primary_port {
            arguments.extend(["--replicaof".to_owned(), "127.0.0.1".to_owned(), port.to_string()]);
            arguments.extend(["--repl-diskless-sync-delay", "0"].map(str::to_owned));
        }
        arguments.extend(self.more.iter().cloned());
        arguments
    }
}

/// A `redis-server` on a loopback port, with an empty data directory. All methods take `&self`, so
/// that a test may stop it while others use it.
#[derive(Debug)]
pub struct Redis {
    port: u16,
    server: PathBuf,
    cli: PathBuf,
    arguments: Vec<String>,
    // Before the directory, so that it is dropped (and ended) first.
    process: Mutex<Process>,
    frozen: AtomicBool,
    scratch: Scratch,
}

impl Redis {
    /// What can be chosen.
    pub fn options() -> RedisOptions {
        RedisOptions::default()
    }

    /// In memory only, for this test alone.
    pub fn start() -> Self {
        Self::options().start()
    }

    /// One for the whole test process; take a key prefix from [`crate::unique`], and never stop it.
    pub fn shared() -> &'static Self {
        static SHARED: OnceLock<Redis> = OnceLock::new();
        SHARED.get_or_init(Self::start)
    }

    fn try_start(options: &RedisOptions, server: PathBuf, cli: PathBuf) -> Option<Self> {
        let port = free_port();
        let scratch = Scratch::new("redis");
        let arguments = options.arguments(port);
        let process = Mutex::new(spawn(&server, &arguments, &scratch));
        let frozen = AtomicBool::new(false);
        let redis = Self { port, server, cli, arguments, process, frozen, scratch };
        redis.becomes_ready().then_some(redis)
    }

    /// `redis://127.0.0.1:PORT`.
    pub fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    /// Its port on loopback; the same after a restart.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Its present process id.
    pub fn pid(&self) -> u32 {
        self.process().pid()
    }

    /// What it has logged.
    pub fn log(&self) -> String {
        self.process().log()
    }

    /// `kill -9`.
    pub fn kill(&self) {
        self.process().kill();
    }

    /// SIGTERM, and waits for the end.
    pub fn stop(&self) {
        self.process().end(Signal::Term, PATIENCE);
    }

    /// Starts it again on the same port and directory, after an orderly stop if it still runs.
    /// Without [`RedisOptions::appendonly`] it comes back empty.
    ///
    /// # Panics
    /// When it does not come up, with its log.
    pub fn restart(&self) {
        self.stop();
        self.frozen.store(false, Ordering::SeqCst);
        *self.process() = spawn(&self.server, &self.arguments, &self.scratch);
        assert!(self.becomes_ready(), "redis-server does not come back:\n{}", self.log());
    }

    /// Whether it was neither killed, stopped nor frozen.
    pub fn runs(&self) -> bool {
        !self.frozen.load(Ordering::SeqCst) && self.process().ended().is_none()
    }

    /// SIGSTOP: connections stay open and nothing answers, like a half-open network.
    pub fn freeze(&self) {
        self.frozen.store(true, Ordering::SeqCst);
        self.process().signal(Signal::Stop);
    }

    /// SIGCONT.
    pub fn thaw(&self) {
        self.process().signal(Signal::Cont);
        self.frozen.store(false, Ordering::SeqCst);
    }

    /// Runs `redis-cli` with these arguments and returns what it prints, without the last newline.
    ///
    /// # Panics
    /// When it fails or Redis answers with an error.
    pub fn cli(&self, arguments: &[&str]) -> String {
        self.try_cli(arguments).unwrap_or_else(|error| panic!("redis-cli {arguments:?}: {error}"))
    }

    /// Like [`Redis::cli`], with Redis's own error for whoever expects one.
    ///
    /// # Errors
    /// What `redis-cli` says: the server's error reply, or that it cannot connect.
    pub fn try_cli(&self, arguments: &[&str]) -> Result<String, String> {
        let output = Command::new(&self.cli)
            .args(["-e", "-h", "127.0.0.1", "-p", &self.port.to_string()])
            .args(arguments)
            .output()
            .map_err(|error| error.to_string())?;
        let said = String::from_utf8_lossy(&output.stdout).trim_end().to_owned();
        if output.status.success() {
            return Ok(said);
        }
        Err(format!("{said}{}", String::from_utf8_lossy(&output.stderr).trim_end()))
    }

    fn becomes_ready(&self) -> bool {
        let answer = eventually(PATIENCE, || {
            if self.process().ended().is_some() {
                return Some(false);
            }
            (self.try_cli(&["PING"]).as_deref() == Ok("PONG")).then_some(true)
        });
        answer == Some(true)
    }

    fn process(&self) -> MutexGuard<'_, Process> {
        self.process.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn spawn(server: &PathBuf, arguments: &[String], scratch: &Scratch) -> Process {
    let mut command = Command::new(server);
    command.args(arguments).current_dir(scratch.path());
    Process::spawn("redis-server", &command, &scratch.path().join("log"), Signal::Kill)
}
