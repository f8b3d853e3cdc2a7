//! How fast a worker takes in what lies in the stream, and what that costs whom.

use std::time::{Duration, Instant};

use services::unique;

use crate::house::{House, Node};
use crate::kernel::cpu_seconds;
use crate::options::Options;
use crate::publisher::{Pace, Way, publish};
use crate::report::Report;
use crate::resp::Redis;

/// Among so many deployments the events take turns.
const DEPLOYMENTS: [usize; 2] = [100, 1_000];

const PATIENCE: Duration = Duration::from_secs(180);

/// Measures a worker on PostgreSQL, and gateway and worker in one process on SQLite.
pub(crate) fn run(options: &Options, report: &mut Report) -> anyhow::Result<()> {
    let events = if options.quick { 20_000 } else { 200_000 };
    for deployments in DEPLOYMENTS {
        for _ in 0..options.runs() {
            let house = House::start(&options.fanfare()?);
            fill(&house, deployments, events)?;
            let start = || house.node("worker", &[]);
            measure(&house, start, "PostgreSQL", deployments, events, report)?;
            let house = House::start(&options.fanfare()?);
            fill(&house, deployments, events)?;
            let start = || house.node("", &[("DATABASE_URL", "sqlite://load.db")]);
            measure(&house, start, "SQLite", deployments, events, report)?;
        }
    }
    Ok(())
}

fn fill(house: &House, deployments: usize, events: usize) -> anyhow::Result<()> {
    let mut redis = Redis::connect(&house.redis_address())?;
    let pace = Pace { events, per_second: None, burst: 1_000, padding: 0 };
    publish(&mut redis, &Way::Stream(house.stream()), &unique("r"), deployments, pace)
}

/// What everybody has used, and how much is done.
struct Moment {
    at: Instant,
    done: f64,
    worker: f64,
    postgres: f64,
    redis: f64,
}

impl Moment {
    fn now(house: &House, node: &Node) -> anyhow::Result<Self> {
        let done = node.metric("fanfare_worker_events_total", "recorded")?;
        Ok(Self {
            at: Instant::now(),
            done,
            worker: cpu_seconds(node.process.pid()),
            postgres: cpu_seconds(house.postgres.pid()),
            redis: cpu_seconds(house.redis.pid()),
        })
    }
}

fn measure(
    house: &House,
    start: impl FnOnce() -> anyhow::Result<Node>,
    store: &str,
    deployments: usize,
    events: usize,
    report: &mut Report,
) -> anyhow::Result<()> {
    let node = start()?;
    let begun = Instant::now();
    let mut first = None;
    let last = loop {
        let now = Moment::now(house, &node)?;
        if now.done >= events as f64 {
            break now;
        }
        if now.done > 0.0 && first.is_none() {
            first = Some(now);
        }
        anyhow::ensure!(begun.elapsed() < PATIENCE, "not done:\n{}", node.process.log());
        services::pause(Duration::from_millis(50));
    };
    let Some(first) = first else { anyhow::bail!("too few events to measure") };
    let done = last.done - first.done;
    let name = format!("{store}, {deployments} deployments");
    let rate = done / (last.at - first.at).as_secs_f64();
    let limits = (store == "PostgreSQL").then_some((20_000.0, 0.0));
    report.judge(&format!("events per second, {name}"), "", rate, limits);
    let million = |used: f64| used * 1e6 / done;
    let cost = [
        ("our process", last.worker - first.worker),
        ("PostgreSQL", last.postgres - first.postgres),
        ("Redis", last.redis - first.redis),
    ];
    for (who, used) in cost {
        report.add(&format!("– CPU of {who} per million, {name}"), "s", million(used));
    }
    Ok(())
}
