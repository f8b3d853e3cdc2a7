//! Type names with several bearers: a name that stands for two things stands for neither.

use std::collections::{BTreeMap, BTreeSet};

use crate::workspace::House;

/// The field's own habit: one per module is no homonym.
const GENERIC: [&str; 5] = ["Error", "Result", "Options", "Config", "Args"];

/// Lists the names of structures, enumerations, traits and unions that several files define, most bearers first.
pub fn shared_names(house: &House) -> Vec<String> {
    let mut bearers: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    // A client says the server's words again.
    for file in house.product().filter(|file| !file.name.contains("/sdk/")) {
        for name in &file.types {
            bearers.entry(name).or_default().insert(&file.name);
        }
    }
    let mut shared: Vec<_> = bearers
        .into_iter()
        .filter(|(name, files)| files.len() > 1 && !GENERIC.contains(name))
        .collect();
    shared.sort_by_key(|(name, files)| (std::cmp::Reverse(files.len()), *name));
    let line = |(name, files): (&str, BTreeSet<&str>)| {
        format!("{name} x{}: {}", files.len(), files.into_iter().collect::<Vec<_>>().join(" "))
    };
    shared.into_iter().map(line).collect()
}
