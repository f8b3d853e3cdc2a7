//! The list of rules names only tests that exist.

use std::path::Path;

#[test]
fn every_rule_is_held_by_a_test_that_exists() {
    let folder = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/tests"));
    let rules = std::fs::read_to_string(folder.join("rules.md")).unwrap();
    let sources: String = std::fs::read_dir(folder.join("it"))
        .unwrap()
        .filter_map(|entry| std::fs::read_to_string(entry.unwrap().path()).ok())
        .collect();
    let mut named = 0;
    for row in rules.lines().filter(|line| line.starts_with("| ") && line.ends_with("` |")) {
        let column = row.trim_end_matches(" |").rsplit(" | ").next().unwrap();
        for name in column.split(", ").map(|name| name.trim_matches('`')) {
            let transcript = folder.join("transcripts").join(format!("{name}.txt")).exists();
            let function = sources.contains(&format!("fn {name}("));
            assert!(transcript || function, "{name} does not exist; it is named in {row}");
            named += 1;
        }
    }
    assert!(named > 50, "only {named} names found: is the list still a table?");
}
