//! Why a command fails, and the exit code that says so (contract §1).

use std::{io, process::ExitCode};

use crate::exit;

/// Why a command fails.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failure {
    /// It was asked wrongly.
    #[error("{0}")]
    Usage(String),
    /// A setting is wrong or missing.
    #[error(transparent)]
    Setting(#[from] runtime::config::SettingProblem),
    /// The server, or a service, is not there.
    #[error("{0}")]
    Unreachable(String),
    /// Another process has it.
    #[error("{0}")]
    InUse(String),
    /// The answer was no.
    #[error("{0}")]
    Refused(String),
    /// What was watched failed; that was said already.
    #[error("failed")]
    Outcome,
    /// What was asked about is not as wished; that was said already.
    #[error("exit code {0}")]
    Status(u8),
    /// The output could not be written.
    #[error("cannot write: {0}")]
    Output(#[from] io::Error),
}

impl Failure {
    /// Says it, and ends with its code.
    pub(crate) fn end(self) -> ExitCode {
        match self {
            Self::Usage(what) => exit::misuse(&what),
            Self::Setting(problem) => exit::configuration(&[problem]),
            Self::Unreachable(what) => exit::unavailable(&what),
            Self::InUse(what) => exit::in_use(&what),
            // Who closed the pipe has what it wanted.
            Self::Output(error) if error.kind() == io::ErrorKind::BrokenPipe => ExitCode::SUCCESS,
            Self::Outcome => ExitCode::FAILURE,
            Self::Status(code) => ExitCode::from(code),
            other @ (Self::Refused(_) | Self::Output(_)) => exit::failure(&other.into()),
        }
    }
}
