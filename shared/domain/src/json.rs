//! JSON of the world outside: one tolerant reader for every door, and the text as it was given.
//!
//! What a program cut inside an emoji writes half a surrogate pair, what Windows saved begins with
//! a byte order mark, and numbers are larger than any machine's. None of that may cost an event. So
//! a [`Document`] keeps two texts of the same length: the one that was given, which is forwarded
//! byte for byte, and one in which what no Unicode string can hold reads U+FFFD, which is parsed.

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::{Map, Value, value::RawValue};

/// The most levels of an event's `data`, which is the first (contract §3).
pub const DEPTH_MAX: usize = 100;

/// The most levels of a frame or a request that wraps a `data`.
pub const DEPTH_FRAME_MAX: usize = DEPTH_MAX + 10;

/// Why a text is no JSON that is taken.
#[derive(Debug, thiserror::Error)]
pub enum JsonError {
    /// The bytes are no text.
    #[error("must be UTF-8")]
    NotUtf8,
    /// The text is no JSON; where, and why.
    #[error("must be JSON: {0}")]
    Syntax(#[from] serde_json::Error),
    /// It is nested too deep.
    #[error("must be at most {0} levels deep")]
    TooDeep(usize),
}

/// A JSON text of somebody else.
#[derive(Debug)]
pub struct Document<'a> {
    given: &'a str,
    mended: Cow<'a, str>,
}

impl<'a> Document<'a> {
    /// Takes a frame or a request: UTF-8, at most [`DEPTH_FRAME_MAX`] levels deep. Whether it is JSON
    /// is known once it is parsed.
    ///
    /// # Errors
    /// [`JsonError`] for what is no UTF-8 or too deep.
    pub fn read(bytes: &'a [u8]) -> Result<Self, JsonError> {
        Self::within(bytes, DEPTH_FRAME_MAX)
    }

    /// Takes a text of at most `depth_max` levels.
    ///
    /// # Errors
    /// [`JsonError`] for what is no UTF-8 or too deep.
    pub fn within(bytes: &'a [u8], depth_max: usize) -> Result<Self, JsonError> {
        let text = std::str::from_utf8(bytes).map_err(|_| JsonError::NotUtf8)?;
        let text = text.strip_prefix('\u{feff}').unwrap_or(text).trim_matches(JSON_SPACE);
        if depth(text) > depth_max {
            return Err(JsonError::TooDeep(depth_max));
        }
        Ok(Self { given: text, mended: mend(text) })
    }

    /// Reads the document into a type; raw values inside are slices for [`Document::given`].
    ///
    /// # Errors
    /// When it is no JSON, or of another shape.
    pub fn parse<'s, T: Deserialize<'s>>(&'s self) -> serde_json::Result<T> {
        serde_json::from_str(&self.mended)
    }

    /// Returns a part of the document as it was given, byte for byte. `raw` is what
    /// [`Document::parse`] borrowed from it.
    pub fn given(&self, raw: &RawValue) -> &'a str {
        let part = raw.get();
        let at = part.as_ptr().addr().wrapping_sub(self.mended.as_ptr().addr());
        self.given.get(at..at.wrapping_add(part.len())).unwrap_or("null")
    }

    /// Returns the whole document as it was given.
    pub fn text(&self) -> &'a str {
        self.given
    }

    /// Whether a string of a part that was borrowed from it reads otherwise than it was given: then
    /// it is no id.
    pub fn is_mended(&self) -> bool {
        matches!(self.mended, Cow::Owned(_))
    }
}

const JSON_SPACE: [char; 4] = [' ', '\t', '\n', '\r'];

/// Reads a frame or a request as a tree of values.
///
/// # Errors
/// [`JsonError`] for what is no UTF-8, no JSON or too deep.
pub fn value(bytes: &[u8]) -> Result<Value, JsonError> {
    Ok(Document::read(bytes)?.parse()?)
}

/// Reads an object as a map, as it is needed for a state; none when the text is no object.
pub fn object(text: &str) -> Option<Map<String, Value>> {
    serde_json::from_str(&mend(text)).ok()
}

/// Returns a JSON text in one line: outside of strings a line break is white space, and inside of
/// them there is none.
pub fn one_line(text: &str) -> Cow<'_, str> {
    if text.contains(['\n', '\r']) {
        Cow::Owned(text.replace(['\n', '\r'], " "))
    } else {
        Cow::Borrowed(text)
    }
}

/// Replaces escapes of half surrogate pairs and of U+0000, which PostgreSQL's JSON functions do not
/// take, by U+FFFD. Every byte stays where it was.
pub fn mend(text: &str) -> Cow<'_, str> {
    let bytes = text.as_bytes();
    let mut mended: Option<Vec<u8>> = None;
    let mut at = 0;
    while let Some(found) = bytes[at..].iter().position(|byte| *byte == b'\\') {
        at += found;
        let Some(unit) = escaped_unit(bytes, at) else {
            at += 2;
            if at >= bytes.len() {
                break;
            }
            continue;
        };
        let is_pair = is_high(unit) && escaped_unit(bytes, at + 6).is_some_and(is_low);
        if is_pair {
            at += 12;
            continue;
        }
        if unit == 0 || is_high(unit) || is_low(unit) {
            let copy = mended.get_or_insert_with(|| bytes.to_vec());
            copy[at..at + 6].copy_from_slice(b"\\ufffd");
        }
        at += 6;
    }
    match mended.map(String::from_utf8) {
        Some(Ok(text)) => Cow::Owned(text),
        _ => Cow::Borrowed(text),
    }
}

/// The UTF-16 unit of the escape, `\u` and four hexadecimal digits, that begins at `at`.
fn escaped_unit(bytes: &[u8], at: usize) -> Option<u16> {
    let digits = bytes.get(at..at + 6)?.strip_prefix(b"\\u")?;
    let digits = std::str::from_utf8(digits).ok()?;
    digits.bytes().all(|digit| digit.is_ascii_hexdigit()).then_some(())?;
    u16::from_str_radix(digits, 16).ok()
}

const fn is_high(unit: u16) -> bool {
    matches!(unit, 0xD800..=0xDBFF)
}

const fn is_low(unit: u16) -> bool {
    matches!(unit, 0xDC00..=0xDFFF)
}

/// How many levels of objects and arrays a JSON text has.
fn depth(text: &str) -> usize {
    let (mut depth, mut deepest) = (0_usize, 0);
    let mut bytes = text.bytes();
    let mut in_string = false;
    while let Some(byte) = bytes.next() {
        match byte {
            b'\\' if in_string => {
                let _escaped = bytes.next();
            }
            b'"' => in_string = !in_string,
            b'{' | b'[' if !in_string => {
                depth += 1;
                deepest = deepest.max(depth);
            }
            b'}' | b']' if !in_string => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    deepest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn half_a_surrogate_pair_reads_as_a_replacement_and_is_given_as_it_was() {
        for (given, read) in [
            (r#"{"a":"x\ud83d"}"#, "x\u{fffd}"),
            (r#"{"a":"\ude00x"}"#, "\u{fffd}x"),
            (r#"{"a":"\uD83D\ud83d\ude00"}"#, "\u{fffd}😀"),
            (r#"{"a":"\ud83d\\ude00"}"#, "\u{fffd}\\ude00"),
            (r#"{"a":"\\ud83d"}"#, "\\ud83d"),
            (r#"{"a":"\u0000"}"#, "\u{fffd}"),
            (r#"{"a":"\ud83d\n"}"#, "\u{fffd}\n"),
            (r#"{"a":"\u00e9\ud83d\ude00"}"#, "é😀"),
        ] {
            let document = Document::read(given.as_bytes()).unwrap();
            let value: Value = document.parse().unwrap();
            assert_eq!(value["a"], read, "{given}");
            assert_eq!(document.text(), given);
        }
    }

    #[test]
    fn a_part_is_given_as_it_was_and_lies_where_it_lay() {
        #[derive(Deserialize)]
        struct Part<'a> {
            #[serde(borrow)]
            data: &'a RawValue,
        }
        let text = "\u{feff} {\"\\ud83d\": 1, \"data\": {\"\\udead\" :1e400}} ";
        let document = Document::read(text.as_bytes()).unwrap();
        let part: Part<'_> = document.parse().unwrap();
        assert_eq!(document.given(part.data), r#"{"\udead" :1e400}"#);
        assert!(document.is_mended());
        let elsewhere: Box<RawValue> = serde_json::from_str("[1]").unwrap();
        assert_eq!(document.given(&elsewhere), "null");
        assert!(!Document::read(b"{}").unwrap().is_mended());
    }

    #[test]
    fn numbers_keep_their_value_whatever_their_size() {
        let text = "[1e400,123456789012345678901234567890,1.50,-0,1E2]";
        let value = value(text.as_bytes()).unwrap();
        assert_eq!(value.to_string(), "[1e+400,123456789012345678901234567890,1.50,-0,1e+2]");
    }

    #[test]
    fn what_is_too_deep_or_no_json_is_refused_by_name() {
        let nested = |levels: usize| [vec![b'['; levels], vec![b']'; levels]].concat();
        assert!(Document::within(&nested(100), DEPTH_MAX).is_ok());
        assert!(matches!(
            Document::within(&nested(101), DEPTH_MAX),
            Err(JsonError::TooDeep(DEPTH_MAX))
        ));
        assert!(value(&nested(DEPTH_FRAME_MAX)).is_ok());
        assert_eq!(DEPTH_FRAME_MAX, 110, "the frame wraps it");
        assert!(value(&nested(DEPTH_FRAME_MAX + 1)).is_err());
        assert!(Document::within(b"[\"[[\\\"[[\",\"]\"]", 1).is_ok());
        for wrong in ["", "{", "NaN", "[1,]", "{\"a\":1,}", "\"\\u12\"", "{} {}", "\"a\nb\"", "01"]
        {
            assert!(matches!(value(wrong.as_bytes()), Err(JsonError::Syntax(_))), "{wrong}");
        }
        assert!(matches!(value(b"\"\xff\""), Err(JsonError::NotUtf8)));
        assert!(value(b"]]]").is_err());
    }

    #[test]
    fn of_equal_keys_the_last_counts() {
        assert_eq!(object(r#"{"a":1,"b":2,"a":3}"#).unwrap()["a"], 3);
        assert_eq!(object(r#"{"\ud83d":1,"\ud83e":2}"#).unwrap()["\u{fffd}"], 2);
        assert_eq!(object("[]"), None);
    }

    #[test]
    fn a_line_break_between_members_is_a_space() {
        assert_eq!(one_line("{\"a\":\r\n1}"), "{\"a\":  1}");
        assert!(matches!(one_line("{}"), Cow::Borrowed(_)));
    }

    #[test]
    fn a_backslash_at_the_end_ends_the_search() {
        assert_eq!(mend("\\"), "\\");
        assert_eq!(mend("a\\u12"), "a\\u12");
        assert_eq!(mend("\\u+123"), "\\u+123");
    }
}
