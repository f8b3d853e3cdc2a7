//! Work for one agent (contract §8), as it is asked for.

use serde::Serialize;
use serde_json::Value;

/// A task to be recorded; what is left out has the server's default.
#[derive(Clone, Debug, Default, Serialize)]
pub struct NewTask {
    /// Its id; one of the server's where none is given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// What people read.
    pub title: String,
    /// What agents see as its type.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub executor: Option<String>,
    /// What the agent is given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub payload: Option<Value>,
    /// `one` agent does it, once, or `all` that are there are told.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub assign: Option<String>,
    /// Capabilities that the agent must have, all of them.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub requires: Vec<String>,
    /// This agent and no other.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub agent: Option<String>,
    /// 0 to 9; higher first.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub priority: Option<u8>,
    /// Whether, and how, an attempt that came to nothing is followed by another.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retry: Option<Retry>,
    /// The longest run of an attempt, from its last sign of progress.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub timeout_ms: Option<u64>,
    /// The longest wait for its first assignment.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expires_ms: Option<u64>,
    /// Not before this moment, milliseconds since 1970.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub not_before: Option<i64>,
    /// Tasks that must complete first.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub depends_on: Vec<String>,
    /// The group that it belongs to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub group: Option<String>,
}

/// How often a task is tried.
#[derive(Clone, Debug, Serialize)]
pub struct Retry {
    /// Attempts in all.
    pub attempts: u8,
    /// The first pause; it doubles each time.
    pub backoff_ms: u64,
    /// After which ends: `lost`, `timeout`, `failed`.
    pub on: Vec<String>,
}
