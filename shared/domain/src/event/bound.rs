//! Keeps a state within its bytes: the longest strings are cut, never the event refused.

use std::io;

use serde_json::Value;

use super::{Event, state::State};

/// Shorter strings are never cut: words, ids, times.
const SHORT_BYTES: usize = 64;

/// What `,"truncated":true` adds to the object of a string that was cut.
const MARK_BYTES: usize = 17;

/// The members that say which entity it is and how it is: they stay whatever happens.
const KEPT: [&str; 4] = ["id", "agentId", "status", "timestamp"];

/// Cuts the longest strings of an object until its JSON has at most `bytes_max` bytes, and says
/// `"truncated": true` beside each. Whether that was necessary.
///
/// Of an object that is too large without long strings the largest members go.
pub fn bound(state: &mut State, bytes_max: usize) -> bool {
    let bytes = json_bytes(state);
    if bytes <= bytes_max {
        return false;
    }
    let mut lengths = Vec::new();
    state.values().for_each(|value| measure(value, &mut lengths));
    lengths.sort_unstable_by(|a, b| b.cmp(a));
    let cap = cap(&lengths, bytes - bytes_max);
    cut_members(state, cap);
    let left = json_bytes(state);
    if left > bytes_max {
        drop_members(state, left - bytes_max);
    }
    true
}

/// Returns more bytes than any fold makes a state grow by: a value is written again at most twice as
/// long (`1e5` becomes `1e+5`), a message is merged and logged, and a log line gets its time.
pub fn growth_bound(event: &Event) -> usize {
    6 * event.data.get().len() + 4096
}

/// Returns how many bytes the JSON of a value has.
pub fn json_bytes(value: &impl serde::Serialize) -> usize {
    let mut count = Count(0);
    match serde_json::to_writer(&mut count, value) {
        Ok(()) => count.0,
        Err(_) => usize::MAX,
    }
}

struct Count(usize);

impl io::Write for Count {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0 += bytes.len();
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// The lengths in JSON of all strings that may be cut.
fn measure(value: &Value, lengths: &mut Vec<usize>) {
    match value {
        Value::String(text) => lengths.extend(Some(encoded(text)).filter(|n| *n > SHORT_BYTES)),
        Value::Array(values) => values.iter().for_each(|value| measure(value, lengths)),
        Value::Object(map) => map.values().for_each(|value| measure(value, lengths)),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

/// How long a string may stay, so that cutting all longer ones to it frees `surplus` bytes.
fn cap(lengths: &[usize], surplus: usize) -> usize {
    let mut sum = 0;
    for (at, length) in lengths.iter().enumerate() {
        sum += length;
        let count = at + 1;
        let needed = surplus + count * MARK_BYTES;
        let next = lengths.get(count).copied().unwrap_or(SHORT_BYTES).max(SHORT_BYTES);
        if sum >= count * next + needed {
            return (sum - needed) / count;
        }
    }
    SHORT_BYTES
}

fn cut_members(map: &mut State, cap: usize) {
    let mut cut = false;
    for value in map.values_mut() {
        cut |= cut_value(value, cap);
    }
    if cut {
        map.insert(String::from("truncated"), Value::Bool(true));
    }
}

/// Cuts the strings of a value; whether one was cut that has no object of its own around it.
fn cut_value(value: &mut Value, cap: usize) -> bool {
    match value {
        Value::String(text) => cut_string(text, cap),
        Value::Array(values) => {
            let mut cut = false;
            for value in values {
                cut |= cut_value(value, cap);
            }
            cut
        }
        Value::Object(map) => {
            cut_members(map, cap);
            false
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => false,
    }
}

fn cut_string(text: &mut String, cap: usize) -> bool {
    let mut bytes = 2;
    let end = text.char_indices().find_map(|(at, c)| {
        bytes += encoded_char(c);
        (bytes > cap).then_some(at)
    });
    match end {
        Some(end) if encoded(text) > SHORT_BYTES => {
            text.truncate(end);
            true
        }
        _ => false,
    }
}

/// The bytes of a string as JSON, quotes included.
fn encoded(text: &str) -> usize {
    2 + text.chars().map(encoded_char).sum::<usize>()
}

const fn encoded_char(c: char) -> usize {
    match c {
        '"' | '\\' | '\n' | '\r' | '\t' | '\u{8}' | '\u{c}' => 2,
        '\0'..='\u{1f}' => 6,
        c => c.len_utf8(),
    }
}

/// Removes the largest members until `surplus` bytes are freed.
fn drop_members(state: &mut State, surplus: usize) {
    let mut sizes: Vec<(usize, String)> = state
        .iter()
        .filter(|(key, _)| !KEPT.contains(&key.as_str()))
        .map(|(key, value)| (encoded(key) + json_bytes(value) + 2, key.clone()))
        .collect();
    sizes.sort_unstable_by(|a, b| b.cmp(a));
    let mut freed = 0;
    for (bytes, key) in sizes {
        if freed >= surplus + MARK_BYTES {
            break;
        }
        state.shift_remove(&key);
        freed += bytes;
    }
    state.insert(String::from("truncated"), Value::Bool(true));
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::event::{
        EventKind,
        entity::{Entity, EntityKind},
        fold::fold,
    };

    fn bounded(value: Value, bytes_max: usize) -> State {
        let Value::Object(mut state) = value else { panic!("an object") };
        assert!(bound(&mut state, bytes_max), "it was too large");
        let bytes = serde_json::to_string(&state).unwrap().len();
        assert!(bytes <= bytes_max, "{bytes} of {bytes_max}");
        state
    }

    #[test]
    fn no_fold_grows_a_state_by_more_than_the_bound() {
        let lines = json!({ "lines": vec!["x"; 100] }).to_string();
        let numbers = json!({ "message": "y".repeat(50), "n": [1, 2, 3] }).to_string();
        for (kind, data) in
            [(EventKind::DeploymentLog, lines), (EventKind::DeploymentUpdate, numbers)]
        {
            let event = Event::new(kind, Some("d"), &data);
            let entity = Entity::new(EntityKind::Deployment, "d");
            let state = fold(&entity, None, &event, 1_795_784_289_609).unwrap();
            assert!(json_bytes(&state) <= growth_bound(&event), "{data}");
            assert!(growth_bound(&event) < 8192 + 6 * data.len());
        }
    }

    #[test]
    fn what_fits_stays_as_it_is() {
        let mut state = json!({ "logs": ["x".repeat(100)] }).as_object().unwrap().clone();
        let before = state.clone();
        let bytes = json_bytes(&state);
        assert_eq!(bytes, serde_json::to_string(&state).unwrap().len());
        assert!(!bound(&mut state, bytes));
        assert_eq!(state, before);
        assert!(bound(&mut state, bytes - 1));
    }

    #[test]
    fn the_longest_strings_are_cut_and_marked_beside_them() {
        let state = bounded(
            json!({
                "id": "t1",
                "status": "completed",
                "title": "x".repeat(60),
                "result": { "stdout": "o".repeat(5000), "stderr": "e".repeat(300), "exitCode": 0 },
                "logs": ["l".repeat(4000), "short"],
            }),
            2000,
        );
        assert_eq!(state["status"], "completed");
        assert_eq!(state["title"], "x".repeat(60));
        assert_eq!(state["result"]["stderr"], "e".repeat(300), "the longest go first");
        assert_eq!(state["result"]["truncated"], true);
        assert_eq!(state["truncated"], true, "beside logs");
        let stdout = state["result"]["stdout"].as_str().unwrap().len();
        let log = state["logs"][0].as_str().unwrap().len();
        assert!(stdout > 600 && stdout == log, "{stdout} {log}: both as long");
        assert_eq!(state["logs"][1], "short");
    }

    #[test]
    fn the_room_is_used_to_the_last_bytes() {
        for bytes_max in 300..340 {
            let state = bounded(json!({ "a": "x".repeat(1000), "b": "y".repeat(90) }), bytes_max);
            let bytes = json_bytes(&state);
            assert!(bytes + 18 > bytes_max, "{bytes} of {bytes_max}");
        }
    }

    #[test]
    fn a_cut_is_between_characters_and_counts_what_is_escaped() {
        let text = "é\"\\\n\r\t\u{8}\u{c}\u{1}\u{7f}😀".repeat(100);
        assert_eq!(encoded(&text), serde_json::to_string(&text).unwrap().len());
        for bytes_max in 200..260 {
            let state = bounded(json!({ "a": text }), bytes_max);
            assert!(text.starts_with(state["a"].as_str().unwrap()));
            assert_eq!(state["truncated"], true);
        }
    }

    #[test]
    fn short_strings_are_never_cut_and_the_largest_members_go_instead() {
        let many: State =
            (0..100).map(|n| (format!("key{n:03}"), json!(vec![n; 10 + n]))).collect();
        let mut state = json!({ "id": "d", "status": "success", "custom": "w".repeat(62) });
        state.as_object_mut().unwrap().extend(many);
        let state = bounded(state, 3000);
        assert_eq!((&state["id"], &state["status"]), (&"d".into(), &"success".into()));
        assert_eq!(state["truncated"], true);
        assert_eq!(state["custom"], "w".repeat(62));
        assert!(state.contains_key("key000") && !state.contains_key("key099"));
        assert!(json_bytes(&state) > 2500, "no more than needed: {}", json_bytes(&state));
    }

    #[test]
    fn strings_in_lists_of_lists_mark_the_object_around_them() {
        let inner = json!([[{ "deep": "d".repeat(500) }], ["t".repeat(500)]]);
        let state = bounded(json!({ "outer": { "lists": inner } }), 400);
        assert_eq!(state["outer"]["truncated"], true);
        assert_eq!(state["outer"]["lists"][0][0]["truncated"], true);
        assert!(!state.contains_key("truncated"));
    }
}
