//! The ways in which the start of a process fails, by its exit code.

use runtime::config::SettingProblem;

/// Why a process does not start.
pub(crate) enum LaunchError {
    /// A service cannot be reached.
    Unreachable(String),
    /// Another process has what only one may have.
    InUse(String),
    /// A setting does not fit what is there.
    Misconfigured(SettingProblem),
    /// Any other failure.
    Other(anyhow::Error),
}

impl From<anyhow::Error> for LaunchError {
    fn from(error: anyhow::Error) -> Self {
        Self::Other(error)
    }
}
