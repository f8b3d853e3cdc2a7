//! 100 clients that read nothing beside 100 that read all: what each side notices.

use std::time::Duration;

use services::unique;

use crate::crowd::Crowd;
use crate::house::{House, members};
use crate::kernel::{send_memory, settled_pss_bytes};
use crate::options::Options;
use crate::publisher::{Pace, Way, publish};
use crate::report::Report;
use crate::resp::Redis;

const CLIENTS: usize = 100;
const PATIENCE: Duration = Duration::from_secs(60);

/// Measures memory of the stalled and losses of the good.
pub(crate) fn run(options: &Options, report: &mut Report) -> anyhow::Result<()> {
    let house = House::start(&options.fanfare()?);
    let _worker = house.node("worker", &[])?;
    let gateway = house.node("gateway", &[])?;
    for _ in 0..options.runs() {
        let run = unique("s");
        let on_channel = || members(CLIENTS, |_| vec![format!("deployment:{run}-0")]);
        let mut good = Crowd::gather(&gateway.server(), &on_channel())?;
        let mut stalled = on_channel();
        for member in &mut stalled {
            member.stalled = true;
        }
        let _stalled = Crowd::gather(&gateway.server(), &stalled)?;
        let before = settled_pss_bytes(gateway.process.pid())?;
        let events = if options.quick { 1_000 } else { 4_000 };
        let pace = Pace { events, per_second: Some(1_000), burst: 10, padding: 2_000 };
        let mut redis = Redis::connect(&house.redis_address())?;
        publish(&mut redis, &Way::Stream(house.stream()), &run, 1, pace)?;
        let expected = (events * CLIENTS) as u64;
        let tally = good.until(PATIENCE, |tally| tally.delivered >= expected)?;
        let wrong = tally.disordered + tally.gaps + tally.delivered.abs_diff(expected);
        report.judge(
            "good clients beside stalled: lost, doubled, disordered",
            "",
            wrong as f64,
            Some((0.0, 0.0)),
        );
        let after = settled_pss_bytes(gateway.process.pid())?;
        let user = after.saturating_sub(before) as f64 / 1024.0 / CLIENTS as f64;
        report.judge("user memory per stalled client", "KiB", user, Some((256.0, 256.0)));
        let kernel = kernel_memory(gateway.address.port())?;
        report.judge("kernel memory per stalled client", "KiB", kernel, Some((64.0, 64.0)));
    }
    Ok(())
}

/// KiB of the hundred that hold most: those are the stalled ones.
fn kernel_memory(port: u16) -> anyhow::Result<f64> {
    let mut held: Vec<u64> = send_memory(port)?.into_values().collect();
    held.sort_unstable_by(|a, b| b.cmp(a));
    Ok(held.iter().take(CLIENTS).sum::<u64>() as f64 / 1024.0 / CLIENTS as f64)
}
