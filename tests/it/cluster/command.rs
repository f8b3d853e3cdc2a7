//! Our executable as a command that ends by itself.

use std::path::Path;
use std::process::{Command, Stdio};

use services::Scratch;

use crate::client::PATIENCE;

/// What a command left behind.
#[derive(Debug)]
pub(crate) struct Outcome {
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Outcome {
    /// Fails unless this was the exit code.
    pub(crate) fn expect(self, code: i32) -> Self {
        assert_eq!(self.code, Some(code), "{self:#?}");
        self
    }
}

/// Our executable with no settings but those that the test gives: of the tests' own environment only what
/// a process needs anyway is handed on.
pub(crate) fn bare(folder: &Path) -> Command {
    const KEPT: [&str; 5] = ["PATH", "HOME", "TMPDIR", "FANFARE_TEST_RUN", "LLVM_PROFILE_FILE"];
    let mut command = Command::new(env!("CARGO_BIN_EXE_fanfare"));
    for (name, _) in std::env::vars_os() {
        if !KEPT.iter().any(|kept| name == *kept) {
            command.env_remove(name);
        }
    }
    command.current_dir(folder);
    command
}

/// Runs `fanfare ARGUMENTS` in an empty directory until it ends, at most [`PATIENCE`] long.
pub(crate) async fn fanfare(arguments: &[&str], settings: &[(&str, &str)]) -> Outcome {
    let scratch = Scratch::new("command");
    let bare = bare(scratch.path());
    // By `timeout`, so that a command which hangs ends even when the tests are killed meanwhile.
    let mut command = tokio::process::Command::new("timeout");
    command.arg("--kill-after=1").arg(PATIENCE.as_secs().to_string()).arg(bare.get_program());
    for (name, _) in bare.get_envs() {
        command.env_remove(name);
    }
    let output = command
        .args(arguments)
        .envs(settings.iter().copied())
        .current_dir(scratch.path())
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output()
        .await
        .expect("run `timeout fanfare …`");
    Outcome {
        code: output.status.code(),
        stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
        stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
    }
}
