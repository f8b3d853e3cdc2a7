//! Ids of what events are about and of users: 1–200 bytes of UTF-8 that their issuers choose
//! (contract §3), and their form in names that have to be ASCII.

use std::borrow::Cow;

/// The longest id, in bytes.
pub const ID_BYTES_MAX: usize = 200;

/// Why a string is not an id.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum IdError {
    /// The id has no bytes.
    #[error("must not be empty")]
    Empty,
    /// Longer than [`ID_BYTES_MAX`].
    #[error("must be at most 200 bytes long, not {0}")]
    TooLong(usize),
    /// A control character, or the star of patterns.
    #[error("must not hold control characters or *, but holds {0:?}")]
    Character(char),
    /// A name that means something in paths and on command lines.
    #[error("must not be {0:?}")]
    Reserved(String),
}

/// Checks an id: no control characters (C0, DEL, C1), no `*`, and neither `.`, `..` nor `-`.
///
/// # Errors
/// [`IdError`] with what is wrong.
pub fn check(id: &str) -> Result<(), IdError> {
    if matches!(id, "." | ".." | "-") {
        return Err(IdError::Reserved(id.to_owned()));
    }
    check_recorded(id)
}

/// Checks an id that may have been recorded when `.`, `..` and `-` were ids: it can be read.
///
/// # Errors
/// [`IdError`] with what is wrong.
pub fn check_recorded(id: &str) -> Result<(), IdError> {
    if id.is_empty() {
        return Err(IdError::Empty);
    }
    if id.len() > ID_BYTES_MAX {
        return Err(IdError::TooLong(id.len()));
    }
    let illegal = |c: &char| c.is_control() || *c == '*';
    id.chars().find(illegal).map_or(Ok(()), |c| Err(IdError::Character(c)))
}

/// Whether a byte stands for itself in Redis names and SSE ids: what ids were made of before they
/// were their issuers' to choose, so that names of then are names of today.
const fn is_plain(byte: u8) -> bool {
    byte.is_ascii_alphanumeric()
        || matches!(byte, b'.' | b'_' | b':' | b'@' | b'+' | b'=' | b'~' | b'-')
}

/// Writes a name in ASCII: every byte outside `A-Za-z0-9._:@+=~-` as `%XX`.
pub fn encode(name: &str) -> Cow<'_, str> {
    if name.bytes().all(is_plain) {
        return Cow::Borrowed(name);
    }
    let mut encoded = String::with_capacity(name.len() + 16);
    for byte in name.bytes() {
        if is_plain(byte) {
            encoded.push(char::from(byte));
        } else {
            encoded.push_str(&format!("%{byte:02X}"));
        }
    }
    Cow::Owned(encoded)
}

/// Reads a name that may be percent-encoded; a `%` that begins no byte stands for itself. None when
/// the bytes are no UTF-8.
pub fn decode(name: &str) -> Option<Cow<'_, str>> {
    if !name.contains('%') {
        return Some(Cow::Borrowed(name));
    }
    let bytes = name.as_bytes();
    let mut decoded = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while let Some(byte) = bytes.get(at) {
        if let (b'%', Some(byte)) = (byte, bytes.get(at + 1..at + 3).and_then(hex)) {
            decoded.push(byte);
            at += 3;
        } else {
            decoded.push(*byte);
            at += 1;
        }
    }
    String::from_utf8(decoded).ok().map(Cow::Owned)
}

fn hex(digits: &[u8]) -> Option<u8> {
    let digits = std::str::from_utf8(digits).ok()?;
    digits.bytes().all(|digit| digit.is_ascii_hexdigit()).then_some(())?;
    u8::from_str_radix(digits, 16).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_their_issuers_to_choose_within_few_bounds() {
        for id in [
            "A.z_0:@+=~-",
            "auth0|5f7c",
            "org/repo",
            "déploi 1",
            "..-",
            "%2F",
            " ",
            "😀",
            "\u{fffd}",
        ] {
            assert_eq!(check(id), Ok(()), "{id}");
        }
        assert_eq!(check(&"x".repeat(ID_BYTES_MAX)), Ok(()));
        assert_eq!(check(""), Err(IdError::Empty));
        assert_eq!(check(&"é".repeat(101)), Err(IdError::TooLong(202)));
        for c in ['\0', '\n', '\u{1f}', '\u{7f}', '\u{80}', '\u{9f}', '*'] {
            assert_eq!(check(&format!("a{c}b")), Err(IdError::Character(c)));
        }
        for id in [".", "..", "-"] {
            assert_eq!(check(id), Err(IdError::Reserved(id.to_owned())));
            assert_eq!(check_recorded(id), Ok(()), "it may have been recorded");
        }
    }

    #[test]
    fn names_of_before_stay_and_all_others_become_ascii_and_lead_back() {
        assert!(matches!(encode("user:a@b.c+1=~-_Z9"), Cow::Borrowed(_)));
        for (name, encoded) in [
            ("user:auth0|5f7c", "user:auth0%7C5f7c"),
            ("org/repo", "org%2Frepo"),
            ("é %", "%C3%A9%20%25"),
            ("{x}", "%7Bx%7D"),
        ] {
            assert_eq!(encode(name), encoded);
            assert_eq!(decode(encoded).unwrap(), name);
        }
    }

    #[test]
    fn a_percent_sign_that_begins_nothing_stands_for_itself() {
        assert_eq!(decode("100%").unwrap(), "100%");
        assert_eq!(decode("%zz%4").unwrap(), "%zz%4");
        assert_eq!(decode("%+1").unwrap(), "%+1");
        assert_eq!(decode("plain").unwrap(), "plain");
        assert_eq!(decode("%ff"), None);
        assert_eq!(decode("%2a%2A").unwrap(), "**");
    }
}
