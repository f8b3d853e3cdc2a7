//! What a frame must look like: JSON with wildcards in it.
//!
//! | in the pattern | stands for |
//! | --- | --- |
//! | `"<any>"` | anything, but it must be there |
//! | `"<absent>"` | this key must not be there |
//! | `"<text>"` | a string that is not empty |
//! | `"<number>"`, `"<bool>"`, `"<object>"`, `"<list>"` | one of that kind; a list that is not empty |
//! | `"<ms>"`, `"<seconds>"` | about now, since 1970, as a whole number |
//! | `"<iso>"`, `"<rfc3339>"` | about now: `2026-11-20T10:30:51.123Z`; any RFC 3339 time |
//! | `"<position>"` | a position of `contract.md` §4 |
//! | `"<contains X>"`, `"<one of X Y>"` | a string with X in it; X or Y |
//! | `"$name"` | the first time anything, and from then on the same again |
//! | `"...": ""`, last `"..."` of a list | more keys, more items |
//!
//! Everything else must be equal, key for key: a seed's frames are exact on the wire.

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use jiff::Timestamp;
use serde_json::{Map, Value};

/// How far a time on the wire may be from the clock of the test.
const TOLERANCE: Duration = Duration::from_mins(10);
const MORE: &str = "...";

/// What `$name` stood for so far.
#[derive(Debug, Clone, Default)]
pub(crate) struct Captures(BTreeMap<String, Value>);

impl Captures {
    /// Replaces each `$name` in a text by what it stood for; a string goes in without quotes.
    pub(crate) fn fill(&self, text: &str) -> String {
        // Longest names first, so that `$taskId` is not read as `$task` and `Id`.
        let mut names: Vec<_> = self.0.iter().collect();
        names.sort_by_key(|(name, _)| std::cmp::Reverse(name.len()));
        names.into_iter().fold(text.to_owned(), |text, (name, value)| {
            let plain = value.as_str().map_or_else(|| value.to_string(), ToOwned::to_owned);
            text.replace(&format!("${name}"), &plain)
        })
    }

    /// What `$name` stands for.
    pub(crate) fn set(&mut self, name: &str, value: Value) {
        self.0.insert(name.to_owned(), value);
    }

    /// Whether `actual` is as `pattern` says; if not, where it differs. A frame that does not match
    /// captures nothing.
    pub(crate) fn accept(&mut self, pattern: &Value, actual: &Value) -> Result<(), String> {
        let mut captures = self.clone();
        compare(pattern, actual, "", &mut captures)?;
        *self = captures;
        Ok(())
    }
}

fn compare(
    pattern: &Value,
    actual: &Value,
    at: &str,
    captures: &mut Captures,
) -> Result<(), String> {
    match (pattern, actual) {
        (Value::Object(pattern), Value::Object(actual)) => objects(pattern, actual, at, captures),
        (Value::Array(pattern), Value::Array(actual)) => lists(pattern, actual, at, captures),
        (Value::String(wanted), _) => string(wanted, actual, at, captures),
        // 1 and 1.0 are one number to every client.
        (Value::Number(wanted), Value::Number(number)) => {
            equal(wanted.as_f64() == number.as_f64(), pattern, actual, at)
        }
        _ => equal(pattern == actual, pattern, actual, at),
    }
}

fn equal(same: bool, wanted: &Value, actual: &Value, at: &str) -> Result<(), String> {
    let place = if at.is_empty() { "the whole" } else { at };
    if same { Ok(()) } else { Err(format!("{place}: wanted {wanted}, got {actual}")) }
}

fn objects(
    pattern: &Map<String, Value>,
    actual: &Map<String, Value>,
    at: &str,
    captures: &mut Captures,
) -> Result<(), String> {
    for (key, wanted) in pattern.iter().filter(|(key, _)| *key != MORE) {
        let place = if at.is_empty() { key.clone() } else { format!("{at}.{key}") };
        match (wanted.as_str(), actual.get(key)) {
            (Some("<absent>"), None) => {}
            (Some("<absent>"), Some(value)) => return Err(format!("{place}: unwanted {value}")),
            (_, None) => return Err(format!("{place}: missing")),
            (_, Some(value)) => compare(wanted, value, &place, captures)?,
        }
    }
    let unknown = actual.iter().find(|(key, _)| !pattern.contains_key(*key));
    match unknown {
        Some((key, value)) if !pattern.contains_key(MORE) => {
            Err(format!("{at}: unknown key {key:?} with {value}"))
        }
        _ => Ok(()),
    }
}

fn lists(
    pattern: &[Value],
    actual: &[Value],
    at: &str,
    captures: &mut Captures,
) -> Result<(), String> {
    let (pattern, open) = match pattern.split_last() {
        Some((last, rest)) if last.as_str() == Some(MORE) => (rest, true),
        _ => (pattern, false),
    };
    if actual.len() < pattern.len() || (actual.len() > pattern.len() && !open) {
        return Err(format!("{at}: wanted {} items, got {actual:?}", pattern.len()));
    }
    pattern.iter().zip(actual).enumerate().try_for_each(|(index, (one, other))| {
        compare(one, other, &format!("{at}[{index}]"), captures)
    })
}

fn string(wanted: &str, actual: &Value, at: &str, captures: &mut Captures) -> Result<(), String> {
    if let Some(name) = wanted.strip_prefix('$') {
        let known = captures.0.entry(name.to_owned()).or_insert_with(|| actual.clone());
        return equal(known == actual, &known.clone(), actual, at);
    }
    let same = match wanted.strip_prefix('<').and_then(|rest| rest.strip_suffix('>')) {
        Some(kind) => is_a(kind, actual),
        None => actual.as_str() == Some(wanted),
    };
    equal(same, &Value::from(wanted), actual, at)
}

fn is_a(kind: &str, actual: &Value) -> bool {
    let text = actual.as_str().unwrap_or_default();
    match kind {
        "any" => true,
        "text" => !text.is_empty(),
        "number" => actual.is_number(),
        "bool" => actual.is_boolean(),
        "object" => actual.is_object(),
        "list" => actual.as_array().is_some_and(|items| !items.is_empty()),
        "ms" => actual.as_u64().is_some_and(|ms| is_now(Duration::from_millis(ms))),
        "seconds" => actual.as_u64().is_some_and(|seconds| is_now(Duration::from_secs(seconds))),
        "iso" => text.len() == "2026-11-20T10:30:51.123Z".len() && is_time_of_now(text),
        "rfc3339" => text.contains('T') && is_time_of_now(text),
        "position" => is_position(text),
        _ => {
            let contains = kind.strip_prefix("contains ").map(|part| text.contains(part));
            let one_of =
                || kind.strip_prefix("one of ").map(|all| all.split(' ').any(|one| one == text));
            contains.or_else(one_of).unwrap_or(false)
        }
    }
}

fn is_now(since_1970: Duration) -> bool {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    now.abs_diff(since_1970) < TOLERANCE
}

fn is_time_of_now(text: &str) -> bool {
    let time: Result<Timestamp, _> = text.parse();
    let ms = time.ok().and_then(|time| u64::try_from(time.as_millisecond()).ok());
    ms.is_some_and(|ms| is_now(Duration::from_millis(ms)))
}

/// `EPOCH-OFFSET`, or `EPOCH-s1.o1,s2.o2` where several streams feed the channel.
fn is_position(text: &str) -> bool {
    let number = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let Some((epoch, offsets)) = text.rsplit_once('-') else { return false };
    let several = || {
        offsets.split(',').all(|one| one.split_once('.').is_some_and(|(_, offset)| number(offset)))
    };
    !epoch.is_empty() && (number(offsets) || several())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[expect(clippy::needless_pass_by_value, reason = "the tests read better")]
    fn accepts(pattern: Value, actual: Value) -> bool {
        Captures::default().accept(&pattern, &actual).is_ok()
    }

    #[test]
    fn an_unknown_key_is_refused_unless_the_pattern_is_open() {
        let frame = json!({"type": "pong", "extra": 1});
        assert!(!accepts(json!({"type": "pong"}), frame.clone()));
        assert!(accepts(json!({"type": "pong", "...": ""}), frame.clone()));
        assert!(!accepts(json!({"type": "pong", "extra": "<absent>"}), frame));
    }

    #[test]
    fn a_missing_key_is_refused_even_for_any() {
        assert!(!accepts(json!({"data": "<any>"}), json!({})));
        assert!(accepts(json!({"data": "<any>"}), json!({"data": null})));
        assert!(accepts(json!({"data": "<absent>"}), json!({})));
    }

    #[test]
    fn a_list_has_exactly_these_items_unless_it_is_open() {
        assert!(!accepts(json!(["a"]), json!(["a", "b"])));
        assert!(!accepts(json!(["a", "b"]), json!(["a"])));
        assert!(accepts(json!(["a", "..."]), json!(["a", "b"])));
        assert!(!accepts(json!("<list>"), json!([])));
    }

    #[test]
    fn a_name_is_the_same_each_time() {
        let mut captures = Captures::default();
        assert!(captures.accept(&json!({"id": "$task"}), &json!({"id": "t1"})).is_ok());
        assert!(captures.accept(&json!("$task"), &json!("t2")).is_err());
        assert!(captures.accept(&json!("$task"), &json!("t1")).is_ok());
        assert_eq!(captures.fill("/tasks/$task?$taskId"), "/tasks/t1?t1Id");
    }

    #[test]
    fn a_frame_that_does_not_match_captures_nothing() {
        let mut captures = Captures::default();
        let pattern = json!({"id": "$task", "type": "task"});
        assert!(captures.accept(&pattern, &json!({"id": "t1", "type": "ack"})).is_err());
        assert!(captures.accept(&pattern, &json!({"id": "t2", "type": "task"})).is_ok());
    }

    #[test]
    fn times_are_about_now_and_in_the_right_unit() {
        let now = Timestamp::now();
        assert!(accepts(json!("<ms>"), json!(now.as_millisecond())));
        assert!(!accepts(json!("<ms>"), json!(now.as_second())));
        assert!(!accepts(json!("<ms>"), json!(now.to_string())));
        assert!(accepts(json!("<iso>"), json!(format!("{now:.3}"))));
        assert!(!accepts(json!("<iso>"), json!(format!("{now:.0}"))));
        assert!(accepts(json!("<rfc3339>"), json!(format!("{now:.0}"))));
        assert!(!accepts(json!("<iso>"), json!("2001-01-01T00:00:00.000Z")));
    }

    #[test]
    fn positions_have_an_epoch_and_offsets() {
        assert!(accepts(json!("<position>"), json!("7f3a-12")));
        assert!(accepts(json!("<position>"), json!("7f3a-s1.4,s2.12")));
        assert!(!accepts(json!("<position>"), json!("12")));
        assert!(!accepts(json!("<position>"), json!("7f3a-x")));
    }

    #[test]
    fn a_text_may_be_one_of_several_or_hold_a_part() {
        assert!(accepts(json!("<one of ERROR error>"), json!("error")));
        assert!(!accepts(json!("<one of ERROR error>"), json!("err")));
        assert!(accepts(json!("<contains rr>"), json!("error")));
        assert!(!accepts(json!("<contain rr>"), json!("error")), "an unknown kind matches nothing");
    }

    #[test]
    fn numbers_are_equal_however_they_are_written() {
        assert!(accepts(json!(50), json!(50.0)));
        assert!(!accepts(json!(50), json!("50")));
    }

    #[test]
    fn the_place_of_a_difference_is_named() {
        let error = Captures::default()
            .accept(&json!({"data": {"logs": ["<text>"]}}), &json!({"data": {"logs": [5]}}))
            .unwrap_err();
        assert_eq!(error, r#"data.logs[0]: wanted "<text>", got 5"#);
    }
}
