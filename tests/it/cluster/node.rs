//! One process of ours.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use services::{Process, Signal, free_port};
use tokio::time::{Instant, sleep};

use super::command;
use crate::http::Http;

/// A debug build on a busy machine, with migrations to run.
const START: Duration = Duration::from_secs(40);
const END: Duration = Duration::from_secs(40);

/// A gateway, a worker, or both in one.
#[derive(Debug)]
pub(crate) struct Node {
    name: String,
    port: u16,
    /// Where it says that it is ready: its operator's address, or the one of all.
    admin: String,
    home: PathBuf,
    command: Command,
    log: PathBuf,
    process: Process,
}

impl Node {
    /// Starts it in a directory of its own below `folder`; see [`Node::ready`].
    pub(crate) fn start(
        role: &str,
        number: usize,
        settings: &[(String, String)],
        folder: &Path,
        disk: Option<&str>,
    ) -> Self {
        let name = format!("{role}-{number}");
        let port = free_port();
        let home = folder.join(&name);
        std::fs::create_dir_all(&home).expect("make the node's directory");
        let mut command = command::bare(&home);
        if role == "worker" {
            command.env("ADMIN_LISTEN", format!("127.0.0.1:{port}"));
        } else {
            command.env("HOST", "127.0.0.1").env("PORT", port.to_string());
        }
        if role == "embedded" {
            command.env("EMBEDDED_REDIS_LISTEN", "127.0.0.1:0");
        } else {
            command.arg(role);
        }
        command.envs(settings.iter().map(|(name, value)| (name, value)));
        if let Some(size) = disk {
            command = on_a_disk_of_its_own(&command, size);
        }
        let admin = settings.iter().rev().find(|(name, _)| name == "ADMIN_LISTEN");
        let admin = admin.map_or_else(|| format!("127.0.0.1:{port}"), |(_, at)| at.clone());
        let log = folder.join(format!("{name}.log"));
        let process = Process::spawn(&name, &command, &log, Signal::Kill);
        Self { name, port, admin, home, command, log, process }
    }

    /// Waits until `/readyz` says 200.
    pub(crate) async fn ready(&self, http: &Http) {
        let deadline = Instant::now() + START;
        let url = format!("http://{}/readyz", self.admin);
        loop {
            let answer = http.send("GET", &url, &[], None).await;
            if answer.as_ref().is_ok_and(|answer| answer.status == 200) {
                return;
            }
            if let Some(status) = self.process.ended() {
                panic!("{} ended with {status} before it was ready", self.name);
            }
            assert!(Instant::now() < deadline, "{} is not ready: {answer:?}", self.name);
            sleep(Duration::from_millis(20)).await;
        }
    }

    /// `ws://` and its address, before `path`.
    pub(crate) fn ws(&self, path: &str) -> String {
        format!("ws://127.0.0.1:{}{path}", self.port)
    }

    /// `http://` and its address, before `path`.
    pub(crate) fn http(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}{path}", self.port)
    }

    /// Its directory as it sees it, with the disk of [`Plan::disk`](super::Plan::disk).
    pub(crate) fn disk(&self) -> PathBuf {
        let inside = self.home.strip_prefix("/").expect("an absolute path");
        Path::new("/proc").join(self.process.pid().to_string()).join("root").join(inside)
    }

    /// The id of its process.
    pub(crate) fn pid(&self) -> u32 {
        self.process.pid()
    }

    /// What it has written, over all its lives.
    pub(crate) fn log(&self) -> String {
        self.process.log()
    }

    /// `kill -9`.
    pub(crate) fn kill(&self) {
        self.process.kill();
    }

    /// SIGTERM, without waiting.
    pub(crate) fn terminate(&self) {
        self.process.signal(Signal::Term);
    }

    /// Waits for its end and returns the exit code; `None` when a signal ended it.
    pub(crate) fn exit_code(&self) -> Option<i32> {
        self.process.wait(END).code()
    }

    /// SIGSTOP.
    pub(crate) fn freeze(&self) {
        self.process.signal(Signal::Stop);
    }

    /// SIGCONT.
    pub(crate) fn thaw(&self) {
        self.process.signal(Signal::Cont);
    }

    /// Starts it again after it has ended, at the same address and in the same directory.
    pub(crate) async fn start_again(&mut self, http: &Http) {
        assert!(self.process.ended().is_some(), "{} still runs", self.name);
        self.process = Process::spawn(&self.name, &self.command, &self.log, Signal::Kill);
        self.ready(http).await;
    }
}

impl Drop for Node {
    #[expect(clippy::print_stderr, reason = "shown by the test runner when the test fails")]
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("---- {} said:\n{}", self.name, last_lines(&self.log()));
        }
    }
}

/// The same, with a file system of this size at its directory, which nobody else sees and which ends
/// with the process. Needs root, or a kernel that lets everybody make name spaces.
fn on_a_disk_of_its_own(command: &Command, size: &str) -> Command {
    const MOUNT: &str = r#"mount -t tmpfs -o "size=$0" disk "$PWD" && cd "$PWD" && exec "$@""#;
    let mut outer = Command::new("unshare");
    outer.args(["--mount", "--map-root-user", "sh", "-c", MOUNT, size]);
    outer.arg(command.get_program()).args(command.get_args());
    outer.current_dir(command.get_current_dir().expect("a node has a directory"));
    for (name, value) in command.get_envs() {
        match value {
            Some(value) => outer.env(name, value),
            None => outer.env_remove(name),
        };
    }
    outer
}

fn last_lines(log: &str) -> String {
    let lines: Vec<_> = log.lines().collect();
    lines[lines.len().saturating_sub(60)..].join("\n")
}
