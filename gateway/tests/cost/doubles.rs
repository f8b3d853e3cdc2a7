//! Algorithms that were here once, so that the oracle can be seen to find their like.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::subjects::Subject;

/// Returns them, each with the name of its fault.
pub(crate) fn all() -> Vec<Subject> {
    vec![
        Subject::new("a position of many parts, each put into its place", position),
        Subject::new("three problems for every repository, all of them told", issues),
        Subject::new("a channel's name in every part of its error", echo),
        Subject::new("a fold that looks through all repositories for each", repos),
    ]
}

fn field(frame: &str, name: &str) -> Option<Value> {
    serde_json::from_str::<Value>(frame).ok()?.get(name).cloned()
}

/// The offsets were kept sorted in a slice of exactly their size.
fn position(frame: &str) -> usize {
    let Some(Value::String(since)) = field(frame, "since") else { return 0 };
    let mut offsets: Box<[(u64, u64)]> = Box::default();
    for part in since.split(['-', ',']).filter_map(|part| part.strip_prefix('t')) {
        let Some((code, offset)) = part.split_once('.') else { continue };
        let (Ok(code), Ok(offset)) = (code.parse(), offset.parse()) else { continue };
        if let Err(at) = offsets.binary_search_by_key(&code, |(code, _)| *code) {
            let mut all = std::mem::take(&mut offsets).into_vec();
            all.reserve_exact(1);
            all.insert(at, (code, offset));
            offsets = all.into_boxed_slice();
        }
    }
    offsets.len().min(1)
}

fn issues(frame: &str) -> usize {
    let Some(Value::Array(repos)) = field(frame, "repos") else { return 0 };
    let mut issues = Vec::new();
    for (index, repo) in repos.iter().enumerate() {
        for name in ["id", "path", "name"].iter().filter(|name| repo.get(**name).is_none()) {
            let path = json!(["repos", index, name]);
            issues.push(json!({ "code": "invalid_type", "path": path, "message": "Required" }));
        }
    }
    json!({ "type": "error", "details": issues }).to_string().len()
}

fn echo(frame: &str) -> usize {
    let Some(Value::String(channel)) = field(frame, "channel") else { return 0 };
    let message = format!("{channel:?} is no channel");
    let details = [json!({ "path": "channel", "message": message })];
    json!({ "type": "error", "message": message, "details": details, "channel": channel })
        .to_string()
        .len()
}

fn repos(frame: &str) -> usize {
    let Some(Value::Array(repos)) = field(frame, "repos") else { return 0 };
    let id = |repo: &Value| repo["id"].as_str().unwrap_or_default().to_owned();
    let ids: Vec<String> = repos.iter().map(id).collect();
    let mut states = BTreeMap::new();
    for wanted in ids {
        let found = repos.iter().find(|repo| id(repo) == wanted);
        states.insert(wanted, found.cloned());
    }
    states.len().min(1)
}
