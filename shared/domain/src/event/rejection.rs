//! Why an entry is not accepted.

use crate::excerpt::{EXCERPT_CHARS_MAX, excerpt};

/// The words of rejections that another state of the task would not have brought.
const CONFLICTS: [&str; 5] = ["exists", "ended", "not ended", "unknown", "assign"];

/// All words by which a rejection may be counted, beside the names of fields.
const WORDS: [&str; 7] =
    ["reserved", "attempt", CONFLICTS[0], CONFLICTS[1], CONFLICTS[2], CONFLICTS[3], CONFLICTS[4]];

/// Returns a word as it stands in [`Rejection::word`]; none for one that is unknown.
pub fn known_word(word: &str) -> Option<&'static str> {
    WORDS.into_iter().find(|known| *known == word)
}

/// Why an entry is not accepted: the field, and what would be right.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{path} {message}")]
pub struct Rejection {
    /// Where: `type`, `id`, `data.repos.0.path` …
    pub path: String,
    /// What is wrong with it, as the end of a sentence that begins with the path.
    pub message: String,
    /// The word of few by which dead letters are counted; none for the field's own name.
    pub word: Option<&'static str>,
}

impl Rejection {
    /// Returns a rejection of the field at `path`.
    pub fn new(path: impl Into<String>, message: impl Into<String>) -> Self {
        Self { path: shown(path.into()), message: message.into(), word: None }
    }

    /// Returns a rejection that is counted by a word of its own.
    pub fn worded(path: impl Into<String>, word: &'static str, message: impl Into<String>) -> Self {
        Self { word: Some(word), ..Self::new(path, message) }
    }

    /// Whether what was asked for fits no state of its task: a conflict, not a mistake.
    pub fn is_conflict(&self) -> bool {
        self.word.is_some_and(|word| CONFLICTS.contains(&word))
    }

    /// Returns the rejection of a type that only the worker writes (contract §8).
    pub fn reserved(name: &str) -> Self {
        let message = format!("{name:?} is written by the worker alone");
        Self { path: String::from("type"), message, word: Some("reserved") }
    }

    /// Returns the field alone, without indices: a label of few values for the metrics.
    pub fn label(&self) -> &'static str {
        if let Some(word) = self.word {
            return word;
        }
        match self.path.split('.').next().unwrap_or_default() {
            "type" => "type",
            "id" => "id",
            "data" => "data",
            "event_id" => "event_id",
            _ => "other",
        }
    }
}

/// A path holds names that somebody gave.
fn shown(path: String) -> String {
    if path.len() <= EXCERPT_CHARS_MAX { path } else { excerpt(&path).into_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rejection_is_counted_by_a_word_of_few() {
        for (path, label) in [
            ("type", "type"),
            ("id", "id"),
            ("data", "data"),
            ("data.repos.0.path", "data"),
            ("event_id", "event_id"),
            ("stream", "other"),
        ] {
            assert_eq!(Rejection::new(path, "is wrong").label(), label);
        }
        let reserved = Rejection::reserved("task_expired");
        assert_eq!((reserved.label(), reserved.path.as_str()), ("reserved", "type"));
        assert_eq!(reserved.to_string(), "type \"task_expired\" is written by the worker alone");
    }
}
