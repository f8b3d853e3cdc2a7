//! Every transcript of `tests/transcripts`, each embedded and through two nodes.

use crate::client::PATIENCE;
use crate::cluster::{Cluster, Plan};
use crate::transcript::{faithful, read};

/// A test per transcript and set-up, and one that no file is left out.
macro_rules! dialogues {
    ($($test:ident = $file:literal;)+) => {
        mod embedded {
            $(#[tokio::test]
            async fn $test() {
                super::plays($file, super::Cluster::embedded()).await;
            })+
        }
        mod through_two_nodes {
            $(#[tokio::test]
            async fn $test() {
                super::plays($file, super::Cluster::of(2, 2)).await;
            })+
        }
        const FILES: &[&str] = &[$($file),+];
    };
}

dialogues! {
    seed_000_http_answers_as_documented = "000-http";
    seed_000_updates_need_the_internal_key = "000-key";
    seed_000_a_deployment_is_shown_live = "000-live";
    seed_001_agents_get_tasks_and_give_results = "001-agents";
    seed_001_keys_open_the_cockpit = "001-keys";
    seed_001_repositories_and_alerts = "001-repos-and-alerts";
    seed_001_mistakes_are_told_in_detail = "001-validation";
    seed_002_clients_see_what_they_may = "002-clients";
    seed_003_the_page_and_its_api = "003-page";
    seed_004_containers_and_watchers = "004-containers";
    native_refusals_keep_the_connection = "native-refusals";
    native_subscribe_and_resume = "native-subscribe";
    publish_answers_after_the_event_is_stored = "publish";
}

async fn plays(file: &str, plan: Plan) {
    if let Err(error) = crate::transcript::play(file, plan, faithful, PATIENCE).await {
        panic!("{error}");
    }
}

#[test]
fn every_transcript_is_played() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/transcripts");
    let mut files: Vec<_> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path().file_stem().unwrap().to_str().unwrap().to_owned())
        .collect();
    files.sort();
    assert_eq!(files, FILES);
}

#[test]
fn every_transcript_is_well_formed() {
    for file in FILES {
        assert!(!read(file).steps.is_empty(), "{file}");
    }
}
