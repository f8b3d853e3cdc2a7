//! Exit codes (contract §1), and the last words that go with them.
#![expect(clippy::print_stderr, clippy::print_stdout, reason = "the last words of a process")]

use std::process::ExitCode;

use runtime::config::SettingProblem;

/// Exit code after wrong usage.
const USAGE: u8 = 64;
/// Exit code when a needed service is not reachable.
const UNAVAILABLE: u8 = 69;
/// Exit code when another process has what only one may have (`EX_CANTCREAT`).
const IN_USE: u8 = 73;
/// Exit code after wrong configuration.
const CONFIGURATION: u8 = 78;

/// Ends after wrong usage; or after `--help` and `--version`, which are no errors.
pub(crate) fn usage(error: &clap::Error) -> ExitCode {
    if error.use_stderr() {
        eprint!("{error}");
        return ExitCode::from(USAGE);
    }
    print!("{error}");
    ExitCode::SUCCESS
}

/// Ends after arguments that only the command itself could find wrong.
pub(crate) fn misuse(what: &str) -> ExitCode {
    eprintln!("fanfare: {what}");
    ExitCode::from(USAGE)
}

/// Ends after wrong configuration: every problem on a line of its own.
pub(crate) fn configuration(problems: &[SettingProblem]) -> ExitCode {
    for problem in problems {
        eprintln!("fanfare: {problem}");
    }
    ExitCode::from(CONFIGURATION)
}

/// Ends because a service could not be reached in time.
pub(crate) fn unavailable(what: &str) -> ExitCode {
    eprintln!("fanfare: {what}");
    ExitCode::from(UNAVAILABLE)
}

/// Ends because another process has the database.
pub(crate) fn in_use(what: &str) -> ExitCode {
    eprintln!("fanfare: {what}");
    ExitCode::from(IN_USE)
}

/// Ends after anything else.
pub(crate) fn failure(error: &anyhow::Error) -> ExitCode {
    eprintln!("fanfare: {error:#}");
    ExitCode::FAILURE
}
