//! Documentation that says too little, or in odd English.

use std::collections::BTreeSet;

use crate::plan::Plan;
use crate::workspace::House;

/// Lists the documentation of one line and at most two words, as `file:line text`.
pub fn short_docs(house: &House) -> Vec<String> {
    let mut found = Vec::new();
    for file in house.product() {
        let lines: BTreeSet<_> =
            file.docs.iter().filter(|doc| !doc.inner).map(|doc| doc.line).collect();
        for doc in file.docs.iter().filter(|doc| !doc.inner) {
            let alone = !lines.contains(&(doc.line - 1)) && !lines.contains(&(doc.line + 1));
            let words = doc.text.split_whitespace().count();
            if alone && (1..=2).contains(&words) && doc.text.ends_with('.') {
                found.push(format!("{}:{} {}", file.name, doc.line, doc.text));
            }
        }
    }
    found.sort();
    found
}

/// Lists the lines of documentation with a phrase that the house does not use, as `file:line phrase: text`.
pub fn odd_english(house: &House, plan: &Plan) -> Vec<String> {
    let mut found = Vec::new();
    for file in house.product() {
        for doc in &file.docs {
            for phrase in plan.words.english.iter().filter(|phrase| says(&doc.text, phrase)) {
                found.push(format!("{}:{} {phrase}: {}", file.name, doc.line, doc.text));
            }
        }
    }
    found
}

/// Says whether `text` holds `phrase` as whole words.
fn says(text: &str, phrase: &str) -> bool {
    let word = |letter: Option<char>| {
        letter.is_some_and(|letter| letter.is_alphanumeric() || letter == '_')
    };
    text.match_indices(phrase).any(|(at, _)| {
        !word(text[..at].chars().next_back()) && !word(text[at + phrase.len()..].chars().next())
    })
}
