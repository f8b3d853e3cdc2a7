//! What can go wrong, and what a close code means for coming back.

use serde_json::Value;

pub(crate) const DONE: u16 = 1000;
pub(crate) const LOST: u16 = 1006;
pub(crate) const UNAUTHORIZED: u16 = 4001;
pub(crate) const FORBIDDEN: u16 = 4003;
pub(crate) const SILENT: u16 = 4008;

/// Something that went wrong for good.
#[derive(Clone, Debug, thiserror::Error)]
pub enum Error {
    /// The connection ended, and may not come back by itself.
    #[error("{reason} ({code})")]
    Closed {
        /// The close code.
        code: u16,
        /// What the server said, or what the code means.
        reason: String,
    },
    /// The server refused a channel.
    #[error("{channel}: {message} ({code})")]
    Refused {
        /// The channel.
        channel: String,
        /// The server's word: `forbidden`, `unknown_channel` …
        code: String,
        /// The reason.
        message: String,
    },
    /// The channel has a subscription already.
    #[error("{0} has a subscription already")]
    Subscribed(String),
    /// An HTTP request was refused, or its outcome is unknown.
    #[error("{0}")]
    Http(Box<Refusal>),
    /// The server cannot be reached.
    #[error("the server cannot be reached: {0}")]
    Unreachable(String),
    /// The client was closed.
    #[error("the client is closed")]
    Gone,
}

/// What the server answered other than success.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{message} ({status})")]
pub struct Refusal {
    /// The HTTP status.
    pub status: u16,
    /// The reason.
    pub message: String,
    /// What is wrong with which publication.
    pub problems: Vec<Problem>,
    /// The answer as it came.
    pub body: Value,
}

/// What is wrong with a publication.
#[derive(Clone, Debug, serde::Deserialize)]
pub struct Problem {
    /// Which of the publications.
    #[serde(default)]
    pub index: usize,
    /// The field.
    #[serde(default)]
    pub path: String,
    /// The reason.
    #[serde(default)]
    pub message: String,
}

/// How a connection ended, or an attempt to open one.
#[derive(Clone, Debug)]
pub(crate) struct Closed {
    pub code: u16,
    pub reason: String,
}

impl Closed {
    pub(crate) fn new(code: u16, reason: impl Into<String>) -> Self {
        let reason: String = reason.into();
        let reason = if reason.is_empty() { meaning(code).to_owned() } else { reason };
        Self { code, reason }
    }

    pub(crate) fn lost(reason: impl std::fmt::Display) -> Self {
        Self::new(LOST, reason.to_string())
    }
}

impl From<Closed> for Error {
    fn from(Closed { code, reason }: Closed) -> Self {
        Self::Closed { code, reason }
    }
}

/// Whether to come back after a close.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    Retry,
    NewToken,
    Stop,
}

/// Always with back-off, but for three codes.
pub(crate) fn verdict(code: u16) -> Verdict {
    match code {
        UNAUTHORIZED => Verdict::NewToken,
        DONE | FORBIDDEN => Verdict::Stop,
        _ => Verdict::Retry,
    }
}

fn meaning(code: u16) -> &'static str {
    match code {
        1000 => "done",
        1001 => "the server is going away",
        1008 => "against the server's policy",
        1009 => "a frame was too large",
        1011 => "an internal error of the server",
        1012 => "the server restarts",
        1013 => "the server is over capacity",
        4001 => "the token is missing, invalid or expired",
        4003 => "forbidden",
        4008 => "no sign of life",
        4009 => "too many connections of this user",
        _ => "the connection was lost",
    }
}
