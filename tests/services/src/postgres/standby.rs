//! A second server that follows a first one.

use std::os::unix::process::CommandExt as _;
use std::process::Command;
use std::sync::Mutex;

use super::{PATIENCE, Postgres, PostgresOptions, spawn, unprivileged};
use crate::patience::eventually;
use crate::port::free_port;
use crate::scratch::Scratch;

impl Postgres {
    /// A synchronous standby: what this server commits from now on is there, too.
    ///
    /// # Panics
    /// When it does not follow.
    pub fn standby(&self) -> Self {
        let standby = self.standby_that_may_lag();
        self.sql("postgres", "ALTER SYSTEM SET synchronous_standby_names = '*'");
        self.sql("postgres", "SELECT pg_reload_conf()");
        let sync = "SELECT count(*) FROM pg_stat_replication WHERE sync_state = 'sync'";
        let follows = || (self.sql("postgres", sync) == "1").then_some(());
        eventually(PATIENCE, follows).expect("the standby is synchronous");
        standby
    }

    /// A standby that nobody waits for.
    ///
    /// # Panics
    /// When it does not start.
    pub fn standby_that_may_lag(&self) -> Self {
        let scratch = Scratch::new("postgres");
        let user = unprivileged(&scratch);
        let data = scratch.path().join("data");
        let mut copy = Command::new(self.programs.join("pg_basebackup"));
        copy.args(["--write-recovery-conf", "--checkpoint=fast", "--no-sync", "-U", "postgres"]);
        copy.args(["-h", "127.0.0.1", "-p", &self.port.to_string(), "-D"]).arg(&data);
        copy.current_dir("/");
        if let Some((uid, gid)) = user {
            copy.uid(uid).gid(gid);
        }
        let output = copy.output().expect("run pg_basebackup");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let port = free_port();
        let options = PostgresOptions { fsync: false, more: Vec::new() };
        let arguments = options.arguments(&data, scratch.path(), port);
        let process = Mutex::new(spawn(&self.programs, &arguments, &scratch, user));
        let programs = self.programs.clone();
        let standby = Self { port, programs, user, arguments, process, scratch };
        assert!(standby.becomes_ready(), "the standby starts");
        standby
    }

    /// Has a standby hear nothing more of its primary.
    ///
    /// # Panics
    /// When it goes on.
    pub fn stop_following(&self) {
        self.sql("postgres", "ALTER SYSTEM SET primary_conninfo = ''");
        self.sql("postgres", "SELECT pg_reload_conf()");
        let alone = "SELECT count(*) FROM pg_stat_wal_receiver";
        let stopped = || (self.sql("postgres", alone) == "0").then_some(());
        eventually(PATIENCE, stopped).expect("the standby follows nobody");
    }
}
