//! The hub and its recovery against a model: the events of a channel are numbered 1, 2, 3 …, and
//! whatever is lost, repeated, cut off or slow, a reader sees the next number and no other.
//!
//! Thousands of cases (a channel with its readers) live at once on one gateway with the real broker
//! in memory and the real SQLite, so all of them share one start. A seed decides who does what and
//! what goes wrong; which of it meets is up to the scheduler. To play one again, with more cases:
//!
//!     FANFARE_MODEL=SEED[:CASES] cargo test --workspace --test model

#![expect(clippy::print_stdout, reason = "what was repaired is for reading")]
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod broker;
mod judge;
mod node;
mod owner;
mod reader;
mod sse;
mod store;
mod weather;

use std::{fmt::Write as _, sync::Arc, time::Duration};

use futures_util::future::join_all;
use rand::{RngExt as _, SeedableRng as _, rngs::StdRng};

use crate::{
    node::Node,
    owner::{Case, Owner},
    reader::{Crowd, GLANCE, History, Start, Temper},
    weather::Forecast,
};

const SEEDS: [u64; 2] = [1, 2];
const CASES: usize = 1000;

/// How long the last reader may take to hear the last event. Longer than any repair may take, so
/// that a failing run ends.
const PATIENCE: Duration = Duration::from_secs(30);

/// How long what was missed may stay unknown when everything works again.
const SOON: Duration = Duration::from_secs(15);

/// More readers than this are not told of in a report.
const TOLD_MAX: usize = 3;

const STORM: Forecast = Forecast { lost: 0.2, repeated: 0.1, refused: 0.15, swapped: 0.0 };

#[tokio::test(flavor = "multi_thread")]
async fn whatever_is_lost_cut_off_or_slow_every_reader_sees_the_next_event() {
    let (seeds, cases) = asked();
    let runs = seeds.iter().map(|seed| play(*seed, cases, STORM));
    for (seed, run) in seeds.iter().zip(join_all(runs).await) {
        let Run { histories, repairs } = &run;
        println!("seed {seed}: {cases} cases, {} readers, {repairs:?}", histories.len());
        let report = run.report();
        assert!(report.is_empty(), "FANFARE_MODEL={seed}:{cases} plays it again\n{report}");
        let is_small = cases < CASES;
        assert!(is_small || repairs.iter().all(|(_, count)| *count > 0), "nothing to repair");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_planted_fault_is_caught() {
    let run = play(7, 30, Forecast { swapped: 0.2, ..STORM }).await;
    assert!(!run.report().is_empty(), "events stood under each other's positions");
}

#[tokio::test(flavor = "multi_thread")]
async fn ten_thousand_reconnects_of_one_channel_cost_one_read() {
    const READERS: usize = 10_000;
    let node = Arc::new(Node::start(0, Forecast::default(), &[]).await);
    let case = Case::new("crowd", 9);
    let mut owner = Owner::of(&node).await;
    owner.append(&case, 1..=8).await;
    let mut crowd = Crowd::default();
    for _ in 0..READERS {
        crowd.add(&node, &case, Start::After(2), Temper::Steady, 0);
    }
    // The last one comes when many are still catching up.
    owner.append(&case, 9..=9).await;
    crowd.arrivals(READERS, PATIENCE).await;
    let reads = node.store.reads() + node.broker.histories();
    let report = Run { histories: crowd.go_home().await, repairs: Vec::new() }.report();
    node.stop().await;
    assert!(report.is_empty(), "{report}");
    assert!(reads <= 20, "{READERS} readers cost {reads} reads");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_missed_is_found_though_the_database_was_away_at_the_reconnect() {
    let node = Arc::new(Node::start(0, Forecast::default(), &[]).await);
    let case = Case::new("patient", 2);
    let mut owner = Owner::of(&node).await;
    owner.append(&case, 1..=1).await;
    let mut crowd = Crowd::default();
    crowd.add(&node, &case, Start::Head { tail: 0 }, Temper::Steady, 0);
    more_reads(&node, 0).await;
    // Another broker, whose heads say nothing: the database is asked.
    for number in [None, Some(2)] {
        node.weather.store_away(number.is_some());
        node.broker.cut().await;
        if let Some(number) = number {
            owner.append(&case, number..=number).await;
        }
        owner.regenerate().await;
        let reads = node.store.reads();
        node.broker.mend().await;
        more_reads(&node, reads).await;
    }
    node.weather.store_away(false);
    crowd.arrivals(1, SOON).await;
    let report = Run { histories: crowd.go_home().await, repairs: Vec::new() }.report();
    node.stop().await;
    assert!(report.is_empty(), "{report}");
}

/// Waits until the database was asked more than `reads` times.
async fn more_reads(node: &Node, reads: usize) {
    while node.store.reads() <= reads {
        tokio::time::sleep(GLANCE).await;
    }
}

/// Seeds and number of cases: the usual ones, or `FANFARE_MODEL=SEED[:CASES]`.
fn asked() -> (Vec<u64>, usize) {
    let Ok(given) = std::env::var("FANFARE_MODEL") else { return (SEEDS.into(), CASES) };
    let (seed, cases) = given.split_once(':').unwrap_or((&given, "1000"));
    (vec![seed.parse().unwrap()], cases.parse().unwrap())
}

/// What came of a run.
struct Run {
    histories: Vec<History>,
    /// What the hub had to repair, and how often.
    repairs: Vec<(&'static str, u64)>,
}

impl Run {
    /// What was wrong, with the story of each of the first readers who saw it; empty when nothing.
    fn report(&self) -> String {
        let mut report = String::new();
        let violations = self.histories.iter().map(History::violations);
        let all = self.histories.iter().zip(violations);
        let wrong: Vec<_> = all.filter(|(_, violations)| !violations.is_empty()).collect();
        for (History { name, steps, .. }, violations) in wrong.iter().take(TOLD_MAX) {
            let _written = writeln!(report, "{name}: {violations:#?}, after");
            for step in steps {
                let _written = writeln!(report, "    {step:?}");
            }
        }
        if wrong.len() > TOLD_MAX {
            let _written = writeln!(report, "and {} more readers", wrong.len() - TOLD_MAX);
        }
        report
    }
}

/// Plays all cases of a seed to their end.
async fn play(seed: u64, count: usize, forecast: Forecast) -> Run {
    // A queue as small as a setting allows: two or three events fill it.
    let node = Arc::new(Node::start(seed, forecast, &[("SEND_QUEUE_BYTES", "4096")]).await);
    let mut dice = StdRng::seed_from_u64(seed);
    let mut crowd = Crowd::default();
    let cases: Vec<Arc<Case>> =
        (0..count).map(|n| Case::new(&format!("case-{n}"), dice.random_range(1..=12))).collect();
    for case in &cases {
        for _ in 0..dice.random_range(1..=3) {
            let start = match dice.random_range(0..3) {
                0 => Start::After(0),
                1 => Start::Head { tail: 0 },
                _ => Start::Head { tail: dice.random_range(1..6) },
            };
            crowd.add(&node, case, start, Temper::Restless, dice.random());
        }
    }
    Owner::of(&node).await.play(&cases, &mut dice).await;
    crowd.arrivals(crowd.len(), PATIENCE).await;
    let histories = crowd.go_home().await;
    let causes = ["hole", "silence", "slow"];
    let repairs = causes.map(|cause| (cause, node.catch_ups(cause))).into();
    node.stop().await;
    Run { histories, repairs }
}
