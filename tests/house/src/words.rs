//! Private words that are left: names for which the field has its own.

use std::collections::BTreeMap;
use std::path::Path;

use crate::plan::{Plan, PrivateWords, WordKind};
use crate::workspace::{House, walk};

/// Lists the private words that are left, as `word (uses): first places; say field word`.
pub fn private_words(house: &House, plan: &Plan) -> Vec<String> {
    let mut left: BTreeMap<(String, &str), Vec<String>> = BTreeMap::new();
    for words in &plan.words.private {
        for (old, field) in &words.say {
            for place in places(house, words, old) {
                let word = match words.kind {
                    WordKind::Module => format!("module {old}"),
                    WordKind::Page => format!("console {old}"),
                    WordKind::Declared | WordKind::Documentation => old.clone(),
                };
                left.entry((word, field)).or_default().push(place);
            }
        }
    }
    let line = |((word, field), places): ((String, &str), Vec<String>)| {
        let first: Vec<_> = places.iter().take(4).map(String::as_str).collect();
        format!("{word} ({}): {}; say {field}", places.len(), first.join(" "))
    };
    left.into_iter().map(line).collect()
}

/// Finds every place of the word `old`.
fn places(house: &House, words: &PrivateWords, old: &str) -> Vec<String> {
    let here = |name: &String| {
        words.within.is_empty() || words.within.iter().any(|part| name.contains(part.as_str()))
    };
    let text = |path: &Path| std::fs::read_to_string(path).unwrap_or_default();
    match words.kind {
        WordKind::Module => {
            let named = house.sources().into_iter();
            let named = named.filter(|path| path.file_stem().is_some_and(|stem| stem == old));
            named.map(|path| house.tree.name(&path)).filter(here).collect()
        }
        WordKind::Declared => {
            let files = house.product().filter(|file| here(&file.name));
            let declared =
                files.flat_map(|file| file.declared.iter().map(move |name| (file, name)));
            let found = declared.filter(|(_, (_, name))| name == old);
            found.map(|(file, (line, _))| format!("{}:{line}", file.name)).collect()
        }
        WordKind::Page => {
            let pages =
                walk(&house.tree.repo.join("gateway/console/src"), &["ts", "tsx"]).into_iter();
            pages
                .filter(|path| shown(&text(path), old))
                .map(|path| house.tree.name(&path))
                .collect()
        }
        WordKind::Documentation => {
            let mut pages = walk(&house.tree.repo.join("docs"), &["md"]);
            pages.push(house.tree.repo.join("README.md"));
            let lines_of = |page: &std::path::PathBuf| {
                let (text, name) = (text(page), house.tree.name(page));
                let lines = text.lines().enumerate().filter(|(_, line)| line.contains(old));
                lines.map(|(at, _)| format!("{name}:{}", at + 1)).collect::<Vec<_>>()
            };
            pages.iter().flat_map(lines_of).collect()
        }
    }
}

/// Says whether a page shows exactly `phrase`: alone between quotes or tags, outside comments.
fn shown(text: &str, phrase: &str) -> bool {
    let comment =
        |line: &&str| !["//", "*", "/*"].iter().any(|mark| line.trim_start().starts_with(mark));
    let text: Vec<_> = text.lines().filter(comment).collect();
    let text = text.join("\n");
    text.match_indices(phrase).any(|(at, _)| {
        let before = text[..at].trim_end().chars().next_back();
        let after = text[at + phrase.len()..].trim_start().chars().next();
        before.is_some_and(|mark| ">\"'`".contains(mark))
            && after.is_some_and(|mark| "<\"'`".contains(mark))
    })
}
