//! What a client costs that is only there, and what it costs to let it in.

use std::time::Duration;

use services::unique;

use crate::crowd::Crowd;
use crate::house::{House, Node, members};
use crate::kernel::{cpu_seconds, settled_pss_bytes};
use crate::options::Options;
use crate::publisher::{Pace, Way, publish};
use crate::report::Report;
use crate::resp::Redis;

/// A gateway's first clients cost what is reserved once; they come before anything is measured.
const FIRST: usize = 200;

/// Of a burst.
const EVENTS: usize = 50;

/// Who listens to what.
struct Crew {
    name: &'static str,
    /// The channels of the client with this number, in a run of this name.
    channels: fn(usize, &str) -> Vec<String>,
    limits: (f64, f64),
}

/// In bytes per connection; only the first has a `must` in issue 5.
const CREWS: [Crew; 4] = [
    Crew { name: "all on one channel", channels: one, limits: (1536.0, 4096.0) },
    Crew { name: "one own channel each", channels: own, limits: (3072.0, f64::INFINITY) },
    Crew {
        name: "one own and four shared channels, and presence",
        channels: |client, run| [own(client, run), shared()].concat(),
        limits: (5120.0, f64::INFINITY),
    },
    Crew {
        name: "five own channels and presence",
        channels: five,
        limits: (5120.0, f64::INFINITY),
    },
];

fn one(_client: usize, run: &str) -> Vec<String> {
    vec![format!("deployment:{run}-0")]
}

fn own(client: usize, run: &str) -> Vec<String> {
    vec![format!("deployment:{run}-{client}")]
}

fn shared() -> Vec<String> {
    ["deployments", "tasks", "alerts", "broadcast", "presence"].map(str::to_owned).to_vec()
}

fn five(client: usize, run: &str) -> Vec<String> {
    let own = (0..5).map(|number| format!("deployment:{run}-{client}.{number}"));
    own.chain(Some("presence".to_owned())).collect()
}

/// Measures each crew on a gateway of its own.
pub(crate) fn run(options: &Options, report: &mut Report) -> anyhow::Result<()> {
    let house = House::start(&options.fanfare()?);
    let _worker = house.node("worker", &[])?;
    let count = if options.quick { 2_000 } else { 10_000 };
    for crew in CREWS {
        for _ in 0..options.runs() {
            measure(&house, &crew, count, report)?;
        }
    }
    Ok(())
}

fn measure(house: &House, crew: &Crew, count: usize, report: &mut Report) -> anyhow::Result<()> {
    let gateway = house.node("gateway", &[])?;
    let pid = gateway.process.pid();
    let run = unique("i");
    let rest = settled_pss_bytes(pid)?;
    report.judge("server at rest", "MB", rest as f64 / 1e6, Some((8.0, 12.0)));
    first(house, &gateway, crew)?;
    let before = settled_pss_bytes(pid)?;
    let cpu = cpu_seconds(pid);
    let mut crowd =
        Crowd::gather(&gateway.server(), &members(count, |client| (crew.channels)(client, &run)))?;
    let cpu_ms = (cpu_seconds(pid) - cpu) * 1000.0 / (count as f64 / 1000.0);
    let limits = (crew.name == CREWS[0].name).then_some((45.0, 60.0));
    report.judge(
        &format!("CPU, 1,000 × connect, JWT, subscribe: {}", crew.name),
        "ms",
        cpu_ms,
        limits,
    );
    let settled = settled_pss_bytes(pid)?;
    let each = settled.saturating_sub(before) as f64 / count as f64;
    report.judge(
        &format!("PSS per idle connection: {}", crew.name),
        "bytes",
        each,
        Some(crew.limits),
    );
    if crew.name == CREWS[0].name {
        burst(house, &mut crowd, &run)?;
        let after = settled_pss_bytes(pid)?.saturating_sub(before) as f64 / count as f64;
        report.judge("PSS after a drained burst", "× before", after / each, Some((1.1, 1.2)));
    }
    Ok(())
}

/// What is reserved once, whatever the number of connections: their first crowd, and its burst.
fn first(house: &House, gateway: &Node, crew: &Crew) -> anyhow::Result<()> {
    let run = unique("first");
    // All of them listen to the channel of the burst, whatever else their crew listens to.
    let channels = |client| {
        let others =
            (crew.channels)(client, &run).into_iter().filter(|c| !one(0, &run).contains(c));
        one(client, &run).into_iter().chain(others).collect()
    };
    let members = members(FIRST, channels);
    let mut crowd = Crowd::gather(&gateway.server(), &members)?;
    burst(house, &mut crowd, &run)
}

/// 50 events of 2 kB to everybody who listens to the first channel, as fast as they are recorded.
fn burst(house: &House, crowd: &mut Crowd, run: &str) -> anyhow::Result<()> {
    let mut redis = Redis::connect(&house.redis_address())?;
    let pace = Pace { events: EVENTS, per_second: None, burst: EVENTS, padding: 2_000 };
    publish(&mut redis, &Way::Stream(house.stream()), run, 1, pace)?;
    let quiet = Duration::from_secs(2);
    let mut before = 0;
    loop {
        let delivered = crowd.tally()?.delivered;
        if delivered > 0 && delivered == before {
            return Ok(());
        }
        before = delivered;
        services::pause(quiet);
    }
}
