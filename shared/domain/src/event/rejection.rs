//! Why an entry is not accepted, and the checks that every kind of body shares.

use serde_json::Value;

use super::state::State;
use crate::excerpt::{EXCERPT_CHARS_MAX, excerpt};

/// Why an entry is not accepted: the field, and what would be right.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{path} {message}")]
pub struct Rejection {
    /// Where: `type`, `id`, `data.repos.0.path` …
    pub path: String,
    /// What is wrong with it, as the end of a sentence that begins with the path.
    pub message: String,
}

impl Rejection {
    /// A rejection of the field at `path`.
    pub fn new(path: impl Into<String>, message: impl Into<String>) -> Self {
        Self { path: shown(path.into()), message: message.into() }
    }

    /// The field alone, without indices: a label of few values for the metrics.
    pub fn label(&self) -> &'static str {
        match self.path.split('.').next().unwrap_or_default() {
            "type" => "type",
            "id" => "id",
            "data" => "data",
            "user" => "user",
            "event_id" => "event_id",
            "lease_ms" => "lease_ms",
            "at" => "at",
            "traceparent" => "traceparent",
            _ => "other",
        }
    }
}

/// A path holds names that somebody gave.
fn shown(path: String) -> String {
    if path.len() <= EXCERPT_CHARS_MAX { path } else { excerpt(&path).into_owned() }
}

/// `data.KEY` must be a string that is not empty.
pub(super) fn require_text(body: &State, key: &str) -> Result<(), Rejection> {
    match body.get(key) {
        Some(Value::String(text)) if !text.is_empty() => Ok(()),
        Some(Value::String(_)) => Err(Rejection::new(format!("data.{key}"), "must not be empty")),
        Some(_) => Err(Rejection::new(format!("data.{key}"), "must be a text")),
        None => Err(Rejection::new(format!("data.{key}"), "is required")),
    }
}

/// `data.KEY` must be one of a few words; absent only when it is not `required`.
pub(super) fn require_one_of(
    body: &State,
    key: &str,
    words: &[&str],
    required: bool,
) -> Result<(), Rejection> {
    let expected = || format!("must be one of {}", words.join(", "));
    match body.get(key) {
        None if !required => Ok(()),
        None => {
            Err(Rejection::new(format!("data.{key}"), format!("is required: {}", words.join(", "))))
        }
        Some(Value::String(word)) if words.contains(&word.as_str()) => Ok(()),
        Some(_) => Err(Rejection::new(format!("data.{key}"), expected())),
    }
}
