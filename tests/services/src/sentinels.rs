//! Real Sentinels that watch a primary and name another one when it is gone.

use std::fmt::Write as _;
use std::process::Command;
use std::time::Duration;

use crate::patience::eventually;
use crate::port::free_port;
use crate::process::{Process, Signal};
use crate::program;
use crate::redis::Redis;
use crate::scratch::Scratch;

const PATIENCE: Duration = Duration::from_secs(30);

/// Sentinels over a primary called `main`, quick to judge.
#[derive(Debug)]
pub struct Sentinels {
    // Before the directories, so that they are dropped (and ended) first.
    processes: Vec<Process>,
    ports: Vec<u16>,
    _scratch: Vec<Scratch>,
}

impl Sentinels {
    /// So many over this primary; two have to agree that it is down.
    pub fn watch(primary: &Redis, count: usize) -> Self {
        let mut sentinels = Self { processes: Vec::new(), ports: Vec::new(), _scratch: Vec::new() };
        for _ in 0..count {
            let (port, scratch) = (free_port(), Scratch::new("sentinel"));
            let mut config = format!("port {port}\nbind 127.0.0.1\n");
            let mut say = |line: &str| writeln!(config, "sentinel {line}").expect("a string");
            say(&format!("monitor main 127.0.0.1 {} 2", primary.port()));
            say("down-after-milliseconds main 500");
            say("failover-timeout main 3000");
            let path = scratch.path().join("sentinel.conf");
            std::fs::write(&path, config).expect("write sentinel.conf");
            let mut command = Command::new(program::find("redis-sentinel", "redis-sentinel"));
            command.arg(&path).current_dir(scratch.path());
            let log = scratch.path().join("log");
            sentinels.processes.push(Process::spawn("sentinel", &command, &log, Signal::Kill));
            sentinels.ports.push(port);
            sentinels._scratch.push(scratch);
        }
        sentinels
    }

    /// `redis+sentinel://…?master=main`; nobody listens at the first address, so that the others are
    /// asked as well.
    pub fn url(&self) -> String {
        let hosts: Vec<_> = self.ports.iter().map(|port| format!("127.0.0.1:{port}")).collect();
        format!("redis+sentinel://127.0.0.1:{},{}?master=main", free_port(), hosts.join(","))
    }

    /// Waits until they know each other and the primary's replica.
    ///
    /// # Panics
    /// When they do not, with the log of one that does not.
    pub fn settle(&self) {
        for process in &self.processes {
            let log = || process.log();
            let knows = |word: &str, count| log().matches(word).count() >= count;
            let all =
                || (knows("+sentinel ", self.ports.len() - 1) && knows("+slave ", 1)).then_some(());
            assert!(eventually(PATIENCE, all).is_some(), "a Sentinel knows too few:\n{}", log());
        }
    }
}
