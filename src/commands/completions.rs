//! `fanfare completions`: the script by which a shell completes commands and flags.

use std::{io::Write as _, process::ExitCode};

use clap::{Args, Command};
use clap_complete::Shell;

const HELP: &str = "\
Examples:
  source <(fanfare completions bash)
  fanfare completions zsh > ~/.zfunc/_fanfare
  fanfare completions fish > ~/.config/fish/completions/fanfare.fish

Exit codes:
  0   printed
  64  wrong usage";

/// For which shell.
#[derive(Debug, Args)]
#[command(after_help = HELP)]
pub(crate) struct Completions {
    /// The shell
    shell: Shell,
}

impl Completions {
    /// Prints the script. Reads no setting, so that a wrong one does not break a shell's start.
    pub(crate) fn run(&self, command: &mut Command) -> ExitCode {
        let mut script = Vec::new();
        clap_complete::generate(self.shell, command, "fanfare", &mut script);
        // Who closed the pipe has what it wanted.
        let _closed = std::io::stdout().write_all(&script);
        ExitCode::SUCCESS
    }
}
