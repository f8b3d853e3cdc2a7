//! One child process that cannot outlive the tests.

use std::fs::{File, OpenOptions};
use std::io::Write as _;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::patience::eventually;
use crate::watchdog;

/// What can be sent to a process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Signal {
    /// End in order.
    Term,
    /// Ctrl-C; PostgreSQL: fast shutdown.
    Int,
    /// PostgreSQL: immediate shutdown.
    Quit,
    /// End at once, without a word.
    Kill,
    /// Freeze.
    Stop,
    /// Go on after [`Signal::Stop`].
    Cont,
}

impl Signal {
    const fn name(self) -> &'static str {
        match self {
            Self::Term => "TERM",
            Self::Int => "INT",
            Self::Quit => "QUIT",
            Self::Kill => "KILL",
            Self::Stop => "STOP",
            Self::Cont => "CONT",
        }
    }
}

/// A running program and the file that its output goes to.
///
/// The child is born as a shell that waits for one line before it becomes the program. In
/// between it is made known to the watchdog, so there is no moment at which the test
/// process could die and leave it behind.
#[derive(Debug)]
pub struct Process {
    name: String,
    pid: u32,
    log: PathBuf,
    ending: Signal,
    state: Mutex<State>,
}

#[derive(Debug)]
enum State {
    Running(Child),
    Ended(ExitStatus),
}

impl Process {
    /// Starts `command`: its program, arguments, environment and directory are used. Output is
    /// appended to `log`; `ending` is sent when the value is dropped or the test process has ended.
    ///
    /// # Panics
    /// When it cannot be started.
    pub fn spawn(name: &str, command: &Command, log: &Path, ending: Signal) -> Self {
        Self::spawn_as(name, command, log, ending, None)
    }

    /// Like [`Process::spawn`], as user and group `user` (needs root).
    pub(crate) fn spawn_as(
        name: &str,
        command: &Command,
        log: &Path,
        ending: Signal,
        user: Option<(u32, u32)>,
    ) -> Self {
        let mut gate = behind_a_gate(command);
        let output = append_to(log);
        gate.stdin(Stdio::piped())
            .stdout(output.try_clone().expect("share the log file"))
            .stderr(output)
            .process_group(0);
        if let Some((uid, gid)) = user {
            gate.uid(uid).gid(gid);
        }
        let mut child = gate.spawn().unwrap_or_else(|error| panic!("start {name}: {error}"));
        let pid = child.id();
        watchdog::tell(&format!("run {pid} {}", ending.name()));
        let mut stdin = child.stdin.take().expect("stdin is piped");
        stdin.write_all(b"go\n").unwrap_or_else(|error| panic!("start {name}: {error}"));
        Self {
            name: name.to_owned(),
            pid,
            log: log.to_owned(),
            ending,
            state: Mutex::new(State::Running(child)),
        }
    }

    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.pid
    }

    /// Everything that it has written so far, and what those before it wrote into the same file.
    pub fn log(&self) -> String {
        let bytes = std::fs::read(&self.log).unwrap_or_default();
        String::from_utf8_lossy(&bytes).into_owned()
    }

    /// Sends a signal; nothing happens when the process has ended.
    pub fn signal(&self, signal: Signal) {
        // Under the lock and before the child is waited for, its number cannot belong to another.
        let mut state = self.state();
        if ended(&mut state).is_none() {
            send(self.pid, signal);
        }
    }

    /// How it ended, or `None` while it runs.
    pub fn ended(&self) -> Option<ExitStatus> {
        ended(&mut self.state())
    }

    /// Waits until it has ended.
    ///
    /// # Panics
    /// With its output when it still runs after `patience`.
    pub fn wait(&self, patience: Duration) -> ExitStatus {
        eventually(patience, || self.ended()).unwrap_or_else(|| {
            panic!("{} still runs after {patience:?}; it says:\n{}", self.name, self.log())
        })
    }

    /// `kill -9`, and waits until it is gone.
    pub fn kill(&self) {
        self.signal(Signal::Kill);
        self.wait(Duration::from_secs(10));
    }

    /// Ends it with `signal`, and with SIGKILL when it does not obey within `patience`.
    /// Returns whether it obeyed.
    pub fn end(&self, signal: Signal, patience: Duration) -> bool {
        self.signal(Signal::Cont);
        self.signal(signal);
        let obeyed = eventually(patience, || self.ended()).is_some();
        if !obeyed {
            self.kill();
        }
        obeyed
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.end(self.ending, Duration::from_secs(10));
    }
}

/// Sends `signal` to any process, by the shell's own `kill`: the library has no safe call for it.
pub(crate) fn send(pid: u32, signal: Signal) {
    let status = Command::new("sh")
        .args(["-c", r#"kill -"$1" "$2""#, "kill", signal.name(), &pid.to_string()])
        .stderr(Stdio::null())
        .status();
    // A process that ended between the check and the signal is no error.
    drop(status);
}

/// The number of an ended child is free for others once it was waited for, so the watchdog forgets it.
fn ended(state: &mut State) -> Option<ExitStatus> {
    let child = match state {
        State::Ended(status) => return Some(*status),
        State::Running(child) => child,
    };
    let status = child.try_wait().expect("only this value waits for its child")?;
    watchdog::tell(&format!("gone {}", child.id()));
    *state = State::Ended(status);
    Some(status)
}

fn behind_a_gate(command: &Command) -> Command {
    let mut gate = Command::new("sh");
    gate.args(["-c", r#"read -r go && exec "$@" </dev/null"#, "sh"]);
    gate.arg(command.get_program()).args(command.get_args());
    for (name, value) in command.get_envs() {
        match value {
            Some(value) => gate.env(name, value),
            None => gate.env_remove(name),
        };
    }
    if let Some(folder) = command.get_current_dir() {
        gate.current_dir(folder);
    }
    gate
}

fn append_to(log: &Path) -> File {
    OpenOptions::new()
        .create(true)
        .append(true)
        .open(log)
        .unwrap_or_else(|error| panic!("open {}: {error}", log.display()))
}
