//! The plan of the house, and the test that holds the sources to it. `cargo run -p house` prints the MEASURE.

use house::{Crates, Plan, Words};

/// Floors of `gateway/src` from the top: a room names only rooms on its own floor and below.
const FLOORS: &[&[&str]] = &[
    &["start", "lib"],
    &["api"],
    &["dialect"],
    &["node"],
    &["session"],
    &["cluster"],
    &["channel"],
    &["protocol"],
    &["http", "ingest", "metrics", "console"],
];

/// Crates from the top: a crate depends on lower tiers only. Roles do not know each other, nor do ports.
const TIERS: &[&[&str]] = &[
    &["fanfare"],
    &["gateway", "worker", "fanfare-client"],
    &["broker", "store", "auth"],
    &["runtime"],
    &["domain", "crypto", "websocket"],
];

/// Returns the plan to which the sources are held.
pub(crate) fn plan() -> anyhow::Result<Plan> {
    Ok(Plan {
        crate_name: "gateway",
        floors: FLOORS,
        silent: &["channel", "session", "cluster", "node", "protocol"],
        dialects: &["native", "cockpit", "cloud_agents", "zerostate", "deployments", "containers"],
        plain_words: &["native", "deployments", "containers"],
        channel_kinds: &["deployments"],
        crates: Crates {
            tiers: TIERS,
            reserved: &[
                ("redis", &["broker"]),
                ("deadpool-redis", &["broker"]),
                ("sqlx", &["store"]),
            ],
            // A client has no process of its own: its tasks end with it.
            spawners: &["runtime", "websocket", "fanfare_client"],
        },
        words: Words::parse(include_str!("words.toml"))?,
    })
}

#[cfg(test)]
mod the_house {
    use std::path::Path;
    use std::sync::LazyLock;

    use house::{House, Measure};

    use super::plan;

    static MEASURE: LazyLock<Measure> = LazyLock::new(|| {
        let repo = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
        Measure::take(&House::read(&repo).unwrap(), &plan().unwrap())
    });

    fn none(what: &str, list: &[String]) {
        assert!(list.is_empty(), "{what}:\n{}", list.join("\n"));
    }

    #[test]
    fn no_files_name_each_other_in_a_circle() {
        none("circles of files", &MEASURE.circles);
    }

    #[test]
    fn no_arrow_runs_to_a_higher_floor() {
        none("rooms without a floor", &MEASURE.without_floor);
        none("arrows up", &MEASURE.up);
        none("circles of rooms", &MEASURE.room_circles);
    }

    #[test]
    fn no_dialect_is_named_under_its_floor() {
        none("dialects named", &MEASURE.dialects);
    }

    #[test]
    fn crates_only_look_down() {
        none("dependencies", &MEASURE.crates);
        none("tasks spawned outside the lifecycle", &MEASURE.spawns);
    }

    #[test]
    fn few_types_share_a_name() {
        let names = &MEASURE.names;
        assert!(names.len() <= 5, "names with several bearers:\n{}", names.join("\n"));
    }

    #[test]
    fn no_private_word_is_left() {
        none("private words", &MEASURE.words);
    }

    #[test]
    fn files_are_about_a_page_and_functions_fit_in_the_head() {
        assert!(MEASURE.file_lines.p95 <= 450, "lines a file: {}", MEASURE.file_lines);
        assert!(MEASURE.function_lines.p95 <= 70, "lines a function: {}", MEASURE.function_lines);
    }

    #[test]
    fn every_warning_and_error_names_its_component() {
        none("log lines", &MEASURE.logs);
    }
}
