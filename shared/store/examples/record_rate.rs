//! How fast a store records: `cargo run --release -p store --example record_rate [BATCHES]`.
//!
//! Deployment updates with a log message, two channels each, in batches of 500 over 100
//! deployments, as a worker records them: one batch after the other, every commit on disk.

#![expect(clippy::print_stdout, reason = "the figures are what it is for")]
#![expect(clippy::expect_used, reason = "a measurement that cannot go on has failed")]

use std::time::{Duration, Instant};

use domain::{
    entry::{EntryId, Fields},
    event::{Submission, submission::Origin},
    node::NodeId,
    source::{Source, Stream},
};
use services::{Postgres, Scratch};
use store::{EntryBatch, EntryVerdict, Judged, Options, Store, connect};

const BATCH: u64 = 500;
const DEPLOYMENTS: u64 = 100;
const SOURCE: Source = Source::first(Stream::Deployments);

#[tokio::main]
async fn main() {
    let batches = std::env::args().nth(1).and_then(|text| text.parse().ok()).unwrap_or(100);
    let scratch = Scratch::new("rate");
    let sqlite = format!("sqlite://{}", scratch.path().join("rate.db").display());
    measure("sqlite", &sqlite, batches, || 0.0).await;
    let postgres = Postgres::start();
    let pid = postgres.pid();
    measure("postgres", &postgres.url("rate"), batches, || cpu_of_family(pid)).await;
}

async fn measure(name: &str, url: &str, batches: u64, server_cpu: impl Fn() -> f64) {
    let store = connect(url, &Options::default()).await.expect("a URL of ours");
    store.migrate().await.expect("the schema");
    store.sources(&[SOURCE]).await.expect("the sources");
    let owner = NodeId("rate".into());
    let claimed = store.claim(SOURCE, &owner, Duration::from_secs(3)).await.expect("a claim");
    let fence = claimed.expect("a free source").fence;
    let work: Vec<EntryBatch> = (0..batches).map(batch).collect();
    let warm = work.len() / 5;
    record(&*store, fence, &work[..warm]).await;

    let (began, own, server) = (Instant::now(), cpu_of(std::process::id()), server_cpu());
    record(&*store, fence, &work[warm..]).await;
    let events = (work.len() - warm) as f64 * BATCH as f64;
    let seconds = began.elapsed().as_secs_f64();
    let own = (cpu_of(std::process::id()) - own) / events * 1e6;
    let server = (server_cpu() - server) / events * 1e6;
    println!(
        "{name}: {:.0} events/s, {:.1} ms per batch; CPU-s per million: {own:.1} here, {server:.1} \
         in the server",
        events / seconds,
        seconds * 1000.0 / (events / BATCH as f64),
    );
}

async fn record(store: &dyn Store, fence: u64, work: &[EntryBatch]) {
    for batch in work {
        store.record(SOURCE, fence, batch, 256 * 1024).await.expect("a record");
    }
}

fn batch(number: u64) -> EntryBatch {
    let at = |n: u64| EntryId { ms: 1_700_000_000_000 + number, number: n };
    let entry = |n: u64| {
        let deployment = format!("deploy-{}", (number * BATCH + n) * 7919 % DEPLOYMENTS);
        let progress = n % 100;
        let data = format!(
            r#"{{"status":"building","progress":{progress},"stage":"Building project","message":"Step {n} of {BATCH}: compiling module {progress}"}}"#
        );
        let fields = [("type", "deployment_update"), ("id", &deployment), ("data", &data)];
        let fields = Fields(fields.map(|(name, value)| (name.to_owned(), value.into())).into());
        let submission = Submission::parse(Stream::Deployments, at(n), &fields, Origin::Outside, 0);
        let submission = submission.expect("an event");
        let (digest, verdict) = (fields.digest(), EntryVerdict::Accepted(Box::new(submission)));
        Judged { entry: at(n), digest, verdict, fields, deliveries: Vec::new() }
    };
    let before =
        if number == 0 { EntryId::ZERO } else { EntryId { ms: at(0).ms - 1, number: BATCH } };
    let entries = (1..=BATCH).map(entry).collect();
    EntryBatch { before, cursor: at(BATCH), entries, published: number * BATCH }
}

/// CPU seconds of a process so far, and of its children that have ended.
fn cpu_of(pid: u32) -> f64 {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    let fields = stat.rsplit(')').next().unwrap_or_default().split_whitespace();
    let ticks: u64 = fields.skip(11).take(4).filter_map(|ticks| ticks.parse::<u64>().ok()).sum();
    ticks as f64 / 100.0
}

/// Likewise, with all its living children.
fn cpu_of_family(pid: u32) -> f64 {
    let children = std::fs::read_to_string(format!("/proc/{pid}/task/{pid}/children"));
    let children = children.unwrap_or_default();
    let children = children.split_whitespace().filter_map(|child| child.parse().ok());
    cpu_of(pid) + children.map(cpu_of).sum::<f64>()
}
