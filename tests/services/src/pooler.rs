//! A real `PgBouncer` in front of a PostgreSQL.

use std::process::Command;
use std::time::Duration;

use crate::patience::eventually;
use crate::port::free_port;
use crate::postgres::{Postgres, unprivileged};
use crate::process::{Process, Signal};
use crate::program;
use crate::scratch::Scratch;

const PATIENCE: Duration = Duration::from_secs(20);

/// A `PgBouncer` on a loopback port. It refuses to run as root; then it runs as PostgreSQL does.
#[derive(Debug)]
pub struct Pooler {
    port: u16,
    // Before the directory, so that it is dropped (and ended) first.
    _process: Process,
    _scratch: Scratch,
}

impl Pooler {
    /// In front of a server, in mode `session` or `transaction`.
    ///
    /// # Panics
    /// When it does not come up, with its log.
    pub fn in_front_of(postgres: &Postgres, mode: &str) -> Self {
        let port = free_port();
        let scratch = Scratch::new("pgbouncer");
        let user = unprivileged(&scratch);
        let file = scratch.path().join("pgbouncer.ini");
        let server = postgres.port();
        let text = format!(
            "[databases]\n* = host=127.0.0.1 port={server} user=postgres\n[pgbouncer]\n\
             listen_addr = 127.0.0.1\nlisten_port = {port}\nunix_socket_dir =\nauth_type = any\n\
             pool_mode = {mode}\ndefault_pool_size = 20\n"
        );
        std::fs::write(&file, text).expect("write pgbouncer.ini");
        let mut command = Command::new(program::find("pgbouncer", "pgbouncer"));
        command.arg(&file).current_dir(scratch.path());
        let log = scratch.path().join("pgbouncer.log");
        let process = Process::spawn_as("pgbouncer", &command, &log, Signal::Int, user);
        let answers = || std::net::TcpStream::connect(("127.0.0.1", port)).ok();
        let up = eventually(PATIENCE, answers).is_some() && process.ended().is_none();
        assert!(up, "PgBouncer does not start:\n{}", process.log());
        Self { port, _process: process, _scratch: scratch }
    }

    /// The same database through it.
    pub fn url(&self, database: &str) -> String {
        let name = database.rsplit('/').next().unwrap_or_default();
        format!("postgres://postgres@127.0.0.1:{}/{name}", self.port)
    }
}
