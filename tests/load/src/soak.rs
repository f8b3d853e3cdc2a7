//! A long run: crowds come, watch something new, and go; what a process keeps of them shows as a slope.

use std::time::{Duration, Instant};

use services::unique;

use crate::crowd::Crowd;
use crate::house::{House, Node, members};
use crate::kernel::{open_files, pss_bytes};
use crate::options::Options;
use crate::publisher::{Pace, Way, publish};
use crate::report::Report;
use crate::resp::Redis;

/// Clients of one crowd, ten for each of its channels, which nobody has listened to before.
const CLIENTS: usize = 1_000;
const CHANNELS: usize = 100;
const EVENTS: usize = 2_000;
const PATIENCE: Duration = Duration::from_secs(60);

/// Minutes since the beginning, and what a process held then.
type Samples = Vec<(f64, f64)>;

/// What is watched of one process.
struct Watched<'a> {
    role: &'static str,
    node: &'a Node,
    memory: Samples,
    files: Samples,
}

impl<'a> Watched<'a> {
    fn new(role: &'static str, node: &'a Node) -> Self {
        Self { role, node, memory: Samples::new(), files: Samples::new() }
    }

    fn sample(&mut self, minutes: f64) -> anyhow::Result<()> {
        let pid = self.node.process.pid();
        self.memory.push((minutes, pss_bytes(pid)? as f64 / 1024.0));
        self.files.push((minutes, open_files(pid)? as f64));
        Ok(())
    }

    fn report(&self, report: &mut Report) {
        let role = self.role;
        let held = self.memory.last().map_or(0.0, |(_, kib)| *kib);
        report.judge(&format!("{role}: memory at the end"), "KiB", held, None);
        let slope = slope_of(&self.memory);
        report.judge(&format!("{role}: slope of memory, second half"), "KiB/min", slope, None);
        let slope = slope_of(&self.files);
        report.judge(&format!("{role}: slope of open files, second half"), "/min", slope, None);
    }
}

/// Runs for `--minutes`.
pub(crate) fn run(options: &Options, report: &mut Report) -> anyhow::Result<()> {
    let house = House::start(&options.fanfare()?);
    let (worker, gateway) = (house.node("worker", &[])?, house.node("gateway", &[])?);
    let mut watched = [Watched::new("gateway", &gateway), Watched::new("worker", &worker)];
    let mut redis = Redis::connect(&house.redis_address())?;
    let (began, time) = (Instant::now(), Duration::from_secs(options.minutes * 60));
    let (mut crowds, mut wrong) = (0, 0);
    while began.elapsed() < time {
        let run = unique("k");
        let on = |client: usize| vec![format!("deployment:{run}-{}", client % CHANNELS)];
        let mut crowd = Crowd::gather(&gateway.server(), &members(CLIENTS, on))?;
        let pace = Pace { events: EVENTS, per_second: Some(500), burst: 10, padding: 200 };
        publish(&mut redis, &Way::Stream(house.stream()), &run, CHANNELS, pace)?;
        let expected = (EVENTS * CLIENTS / CHANNELS) as u64;
        let tally = crowd.until(PATIENCE, |tally| tally.delivered >= expected)?;
        wrong += tally.disordered + tally.gaps + tally.delivered.abs_diff(expected);
        crowds += 1;
        drop(crowd);
        for process in &mut watched {
            process.sample(began.elapsed().as_secs_f64() / 60.0)?;
        }
    }
    report.judge("crowds of 1,000", "", f64::from(crowds), None);
    report.judge("lost, doubled, disordered", "", wrong as f64, Some((0.0, 0.0)));
    watched.iter().for_each(|process| process.report(report));
    Ok(())
}

/// The slope of the straight line through the second half of the samples: caches and pools have their
/// size by then.
fn slope_of(samples: &Samples) -> f64 {
    let half = &samples[samples.len() / 2..];
    let count = half.len() as f64;
    let mean = |of: fn(&(f64, f64)) -> f64| half.iter().map(of).sum::<f64>() / count;
    let (x_mean, y_mean) = (mean(|(x, _)| *x), mean(|(_, y)| *y));
    let covariance: f64 = half.iter().map(|(x, y)| (x - x_mean) * (y - y_mean)).sum();
    let variance: f64 = half.iter().map(|(x, _)| (x - x_mean).powi(2)).sum();
    if variance > 0.0 { covariance / variance } else { 0.0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_slope_is_that_of_the_second_half() {
        let samples = vec![(0.0, 9.0), (1.0, 5.0), (2.0, 1.0), (3.0, 3.0), (4.0, 5.0), (5.0, 7.0)];
        assert!((slope_of(&samples) - 2.0).abs() < 1e-9);
    }
}
