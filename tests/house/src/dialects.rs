//! Dialects named where nobody should know them.

use crate::plan::Plan;
use crate::rooms::{floored, room};
use crate::tree::File;
use crate::workspace::House;

/// Lists where a silent room names a dialect, as `file:line what`: as a part of a path, in an identifier or as a string.
pub fn dialects_named(house: &House, plan: &Plan) -> Vec<String> {
    let silent = floored(house, plan).filter(|file| plan.silent.contains(&room(file)));
    silent.flat_map(|file| named(file, plan)).collect()
}

fn named(file: &File, plan: &Plan) -> Vec<String> {
    let mut found = Vec::new();
    for (line, path) in &file.paths {
        let mut before = "";
        for (at, part) in path.iter().enumerate() {
            let heads = at + 1 < path.len() || ["dialect", "Dialect", "Encoding"].contains(&before);
            if heads && plan.dialects.contains(&snake(part).as_str()) {
                found.push((*line, path.join("::")));
            }
            before = part;
        }
    }
    let clear = |name: &&str| !plan.plain_words.contains(name);
    for (line, name) in &file.identifiers {
        let words = format!("_{}_", snake(name));
        if plan
            .dialects
            .iter()
            .copied()
            .filter(clear)
            .any(|dialect| words.contains(&format!("_{dialect}_")))
        {
            found.push((*line, name.clone()));
        }
    }
    for (line, text) in &file.strings {
        if plan.dialects.contains(&text.as_str()) && !plan.channel_kinds.contains(&text.as_str()) {
            found.push((*line, format!("{text:?}")));
        }
    }
    found.sort();
    // A name in a path was seen twice; one mention a line is enough.
    found.dedup_by_key(|(line, _)| *line);
    found.into_iter().map(|(line, what)| format!("{}:{line} {what}", file.name)).collect()
}

/// Spells `CloudAgents` as `cloud_agents`.
fn snake(name: &str) -> String {
    let mut out = String::new();
    let mut lower = false;
    for letter in name.chars() {
        if letter.is_uppercase() && lower {
            out.push('_');
        }
        lower = letter.is_lowercase() || letter.is_ascii_digit();
        out.extend(letter.to_lowercase());
    }
    out
}
