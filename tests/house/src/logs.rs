//! Log lines that do not read `component: what failed, what happens next`.

use crate::workspace::House;

/// Lists the warnings and errors whose message does not begin with a component (one or two
/// words in lower case) and `: `, as `file:line level message`. The rest of the sentence is for people to judge.
pub fn odd_log_lines(house: &House) -> Vec<String> {
    let mut found = Vec::new();
    for file in house.product() {
        for log in file.logs.iter().filter(|log| ["warn", "error"].contains(&log.level.as_str())) {
            if !log.message.as_deref().is_some_and(names_component) {
                let message = log.message.as_deref().unwrap_or("(no message)");
                found.push(format!("{}:{} {} {message}", file.name, log.line, log.level));
            }
        }
    }
    found
}

/// Says whether a message begins with a component of one or two words, such as `dead letters: `.
fn names_component(message: &str) -> bool {
    let Some((component, rest)) = message.split_once(": ") else { return false };
    let letter = |letter: char| {
        letter.is_ascii_lowercase() || letter.is_ascii_digit() || "-_".contains(letter)
    };
    let words: Vec<_> = component.split(' ').collect();
    let word = |word: &&str| word.starts_with(|first: char| first.is_ascii_lowercase());
    words.len() <= 2
        && words.iter().all(word)
        && words.iter().all(|word| word.chars().all(letter))
        && !rest.trim().is_empty()
}
