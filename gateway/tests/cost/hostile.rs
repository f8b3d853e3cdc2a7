//! Inputs that mean harm: what proper clients write, with one part of it grown out of all proportion.

use std::fmt::Write as _;

use rand::{RngExt as _, rngs::StdRng};
use serde_json::Value;

/// Stands in a template where the part belongs.
pub(crate) const PART: &str = "\"<part>\"";

/// Writes a part of about so many bytes.
pub(crate) type Growth = fn(usize) -> String;

/// The ways in which a part grows, by name, so that a case can be written down.
pub(crate) const GROWTHS: [(&str, Growth); 13] = [
    ("letters", |bytes| text("x", bytes)),
    ("zero_width", |bytes| text("\u{200b}", bytes)),
    ("quotes", |bytes| text("\\\"", bytes)),
    ("controls", |bytes| text("\\u0001", bytes)),
    ("halves", |bytes| text("\\ud83d", bytes)),
    ("parts", parts),
    ("objects", |bytes| list("{}", bytes)),
    ("lists", |bytes| list("[]", bytes)),
    ("numbers", |bytes| list("1e9", bytes)),
    ("repos", repos),
    ("keys", keys),
    ("same_keys", |bytes| format!("{{{}\"a\":1}}", "\"a\":1,".repeat(bytes / 6))),
    ("nested", |bytes| format!("{}1{}", "[".repeat(bytes / 2), "]".repeat(bytes / 2))),
];

/// Returns what grows under a name, of about so many bytes.
pub(crate) fn grown(name: &str, bytes: usize) -> String {
    let growth = GROWTHS.iter().find(|(known, _)| *known == name);
    growth.unwrap_or_else(|| panic!("{name} is none of the growths")).1(bytes)
}

fn text(piece: &str, bytes: usize) -> String {
    format!("\"{}\"", piece.repeat(bytes / piece.len()))
}

fn list(item: &str, bytes: usize) -> String {
    let count = bytes / (item.len() + 1);
    format!("[{}{item}]", format!("{item},").repeat(count))
}

/// A position of many sources, the last first.
fn parts(bytes: usize) -> String {
    let mut text = String::from("\"00000001-");
    for number in (1..=bytes / 9).rev() {
        let _written = write!(text, "t{}.1,", number % 65_536);
    }
    text.push_str("t1.1\"");
    text
}

fn repos(bytes: usize) -> String {
    let count = bytes / 60;
    let one = |n: usize| format!(r#"{{"id":"r{n}","path":"/r/{n}","name":"r","status":"clean"}}"#);
    format!("[{}]", (0..=count).map(one).collect::<Vec<_>>().join(","))
}

fn keys(bytes: usize) -> String {
    let one = |n: usize| format!("\"k{n}\":1");
    format!("{{{}}}", (0..=bytes / 11).map(one).collect::<Vec<_>>().join(","))
}

/// Returns a proper object with [`PART`] in place of one of its parts, or beside them.
pub(crate) fn template(random: &mut StdRng, corpus: &[Value]) -> String {
    let mut value = corpus[random.random_range(0..corpus.len())].clone();
    place(random, &mut value);
    value.to_string()
}

fn place(random: &mut StdRng, value: &mut Value) {
    let deeper = random.random_bool(0.8);
    match value {
        Value::Object(map) if deeper && !map.is_empty() => {
            if random.random_bool(0.1) {
                map.insert("more".to_owned(), Value::from("<part>"));
                return;
            }
            let at = random.random_range(0..map.len());
            if let Some((_, inner)) = map.iter_mut().nth(at) {
                place(random, inner);
            }
        }
        Value::Array(items) if deeper && !items.is_empty() => {
            let at = random.random_range(0..items.len());
            place(random, &mut items[at]);
        }
        value => *value = Value::from("<part>"),
    }
}
