//! Why a command is refused, in Redis's own words where it has them.

use bytes::Bytes;

/// An error as clients read it: a code in capitals and a sentence.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub(in super::super) struct CommandError(String);

impl CommandError {
    pub(super) fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    pub(super) fn syntax() -> Self {
        Self::new("ERR syntax error")
    }

    fn not_a_number() -> Self {
        Self::new("ERR value is not an integer or out of range")
    }

    pub(super) fn arity(name: &str) -> Self {
        Self(format!("ERR wrong number of arguments for '{name}' command"))
    }
}

/// Reads a number.
///
/// # Errors
/// [`CommandError`] when it is none of 64 bits.
pub(super) fn number(text: &Bytes) -> Result<i64, CommandError> {
    let number = std::str::from_utf8(text).ok().and_then(|text| text.parse().ok());
    number.ok_or_else(CommandError::not_a_number)
}
