//! Log lines that do not read `component: what failed, what happens next`.

use crate::workspace::House;

/// Lists the warnings and errors whose message does not begin with a component (lower case, `-`, `_`) and `: `,
/// as `file:line level message`. The rest of the sentence is for people to judge.
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

fn names_component(message: &str) -> bool {
    let Some((component, rest)) = message.split_once(": ") else { return false };
    let lower = |letter: char| {
        letter.is_ascii_lowercase() || letter.is_ascii_digit() || "-_".contains(letter)
    };
    component.starts_with(|letter: char| letter.is_ascii_lowercase())
        && component.chars().all(lower)
        && !rest.trim().is_empty()
}
