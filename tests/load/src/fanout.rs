//! What a delivery costs, beside what it costs at least: both in one run, every delivery counted.

use std::net::{Ipv4Addr, SocketAddr};
use std::process::Command;
use std::time::Duration;

use services::{Process, Signal, free_port, unique};

use crate::clients::Member;
use crate::crowd::{Crowd, Server};
use crate::floor;
use crate::house::{House, members};
use crate::kernel::cpu_seconds;
use crate::options::Options;
use crate::publisher::{Pace, Way, publish_in_step};
use crate::report::Report;
use crate::resp::Redis;
use crate::tally::Tally;

/// Longer than any of it takes on a busy machine.
const PATIENCE: Duration = Duration::from_secs(120);

/// A number of channels, each with so many clients, and what is published.
pub(crate) struct Shape {
    name: &'static str,
    channels: usize,
    clients: usize,
    pace: Pace,
    /// Whether an event waits until the one before has reached everybody: else events would travel
    /// together on a busy machine, and cost less than they do.
    one_by_one: bool,
    /// What our cost may be, in costs of the floor: goal and must.
    limits: (f64, f64),
}

/// What one server did.
pub(crate) struct Cost {
    /// CPU microseconds per delivery.
    pub(crate) us: f64,
    tally: Tally,
}

/// The shapes of issue 5, smaller ones when there is no time.
fn shapes(quick: bool) -> [Shape; 4] {
    let scale = if quick { 5 } else { 1 };
    let pace = |events, per_second, burst| Pace { events, per_second, burst, padding: 0 };
    let shape = |name, channels, clients, pace: Pace, limits| {
        let one_by_one = pace.burst == 1;
        Shape { name, channels, clients, pace, one_by_one, limits }
    };
    [
        shape("1 × 1,000", 1, 1_000, pace(500 / scale, Some(50), 1), (1.15, 1.4)),
        shape("1 × 10,000", 1, 10_000 / scale, pace(50, Some(5), 1), (1.15, 1.4)),
        shape("5,000 × 2", 5_000 / scale, 2, pace(50_000 / scale, Some(4_000), 40), (1.25, 1.7)),
        shape("saturated, 1 × 1,000", 1, 1_000, pace(2_000, None, 100), (0.2, 0.5)),
    ]
}

/// Measures all shapes, ours and the floor in turns.
pub(crate) fn run(options: &Options, report: &mut Report) -> anyhow::Result<()> {
    let house = House::start(&options.fanfare()?);
    let _worker = house.node("worker", &[])?;
    for shape in shapes(options.quick) {
        for _ in 0..options.runs() {
            let gateway = house.node("gateway", &[])?;
            let way = Way::Stream(house.stream());
            let pid = gateway.process.pid();
            let ours = measure(&house, &gateway.server(), pid, &way, &shape)?;
            drop(gateway);
            let (process, server) = start_floor(&house)?;
            let least = measure(&house, &server, process.pid(), &Way::Publish, &shape)?;
            write(report, &shape, &ours, &least);
        }
    }
    Ok(())
}

fn start_floor(house: &House) -> anyhow::Result<(Process, Server)> {
    let port = free_port();
    let mut command = Command::new(std::env::current_exe()?);
    command.args(["floor", &port.to_string(), &house.redis_address()]);
    let log = house.scratch.path().join("floor.log");
    let process = Process::spawn("floor", &command, &log, Signal::Kill);
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    services::eventually(PATIENCE, || std::net::TcpStream::connect(address).ok());
    Ok((process, Server { address, acknowledged: floor::ACKNOWLEDGED.to_owned() }))
}

fn measure(
    house: &House,
    server: &Server,
    pid: u32,
    way: &Way,
    shape: &Shape,
) -> anyhow::Result<Cost> {
    let name = unique("f");
    let channel = |client: usize| format!("deployment:{name}-{}", client / shape.clients);
    let count = shape.channels * shape.clients;
    let members = match way {
        Way::Stream(_) => members(count, |client| vec![channel(client)]),
        // The floor takes the name alone for a wish.
        Way::Publish => (0..count)
            .map(|client| Member {
                path: "/".to_owned(),
                subscribe: vec![channel(client)],
                stalled: false,
            })
            .collect(),
    };
    let mut crowd = Crowd::gather(server, &members)?;
    services::pause(Duration::from_secs(2));
    deliver(&mut crowd, &house.redis_address(), pid, way, &name, shape)
}

fn deliver(
    crowd: &mut Crowd,
    redis: &str,
    pid: u32,
    way: &Way,
    name: &str,
    shape: &Shape,
) -> anyhow::Result<Cost> {
    let mut redis = Redis::connect(redis)?;
    let expected = (shape.pace.events * shape.clients) as u64;
    let before = cpu_seconds(pid);
    publish_in_step(&mut redis, way, name, shape.channels, shape.pace, |events| {
        if shape.one_by_one {
            let expected = (events * shape.clients) as u64;
            crowd.until(PATIENCE, |tally| tally.delivered >= expected)?;
        }
        Ok(())
    })?;
    let tally = crowd.until(PATIENCE, |tally| tally.delivered >= expected)?;
    let us = (cpu_seconds(pid) - before) * 1e6 / expected as f64;
    anyhow::ensure!(tally.delivered == expected, "{} events too many", tally.delivered - expected);
    anyhow::ensure!(tally.disordered + tally.gaps == 0, "out of order: {tally:?}");
    Ok(Cost { us, tally })
}

fn write(report: &mut Report, shape: &Shape, ours: &Cost, floor: &Cost) {
    let name = shape.name;
    report.judge(
        &format!("CPU per delivery, {name}"),
        "× floor",
        ours.us / floor.us,
        Some(shape.limits),
    );
    report.add(&format!("– ours, {name}"), "µs", ours.us);
    report.add(&format!("– the floor, {name}"), "µs", floor.us);
    for (percentile, share) in [("p50", 0.5), ("p99", 0.99)] {
        let ms = ours.tally.percentile_us(share) / 1000.0;
        report.add(&format!("– XADD to client {percentile}, {name}"), "ms", ms);
    }
}

/// Measures another server in the same way: `frame` subscribes, `{channel}` stands for the channel.
pub(crate) fn run_peer(options: &Options, report: &mut Report) -> anyhow::Result<()> {
    let peer = options.peer()?;
    for shape in shapes(options.quick) {
        for _ in 0..options.runs() {
            let name = unique("f");
            let member = |client: usize| Member {
                path: peer.path.clone(),
                subscribe: vec![peer.subscribe.replace(
                    "{channel}",
                    &format!("deployment:{name}-{}", client / shape.clients),
                )],
                stalled: false,
            };
            let all: Vec<Member> = (0..shape.channels * shape.clients).map(member).collect();
            let mut crowd = Crowd::gather(&peer.server, &all)?;
            services::pause(Duration::from_secs(3));
            let cost = deliver(&mut crowd, &peer.redis, peer.pid, &Way::Publish, &name, &shape)?;
            report.add(&format!("CPU per delivery, {}", shape.name), "µs", cost.us);
        }
    }
    Ok(())
}
