//! What a process did over the last moments: rates and waiting times, from counters that only rise.

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};

/// How long ago the counters lie with which a rate compares, ms.
const RATE_MS: i64 = 10_000;

/// How long deliveries count among the last ones, ms.
const DELIVERIES_MS: i64 = 60_000;

/// Counters of a process since its start; what it does not count is none.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ActivityTotals {
    /// Events recorded.
    pub recorded: Option<u64>,
    /// Frames of publications handed to sockets.
    pub delivered: Option<u64>,
    /// Deliveries by the time that they took: one count for each bound, and one beyond the last.
    pub deliveries: Vec<u64>,
}

impl ActivityTotals {
    /// Returns what was counted since `earlier`.
    #[must_use]
    pub fn since(&self, earlier: &Self) -> Self {
        let count = |now: Option<u64>, then: Option<u64>| Some(now?.saturating_sub(then?));
        let bucket = |(at, now): (usize, &u64)| {
            now.saturating_sub(earlier.deliveries.get(at).copied().unwrap_or_default())
        };
        Self {
            recorded: count(self.recorded, earlier.recorded),
            delivered: count(self.delivered, earlier.delivered),
            deliveries: self.deliveries.iter().enumerate().map(bucket).collect(),
        }
    }

    /// Adds what was counted elsewhere, or later.
    pub fn add(&mut self, more: &Self) {
        self.recorded = sum(self.recorded, more.recorded);
        self.delivered = sum(self.delivered, more.delivered);
        add_counts(&mut self.deliveries, &more.deliveries);
    }
}

/// What a process does now, as it tells others.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Activity {
    /// Events recorded a second; none when it records nothing, or has not run for long enough.
    #[serde(default)]
    pub recorded: Option<f64>,
    /// Frames of publications handed to sockets a second.
    #[serde(default)]
    pub delivered: Option<f64>,
    /// The deliveries of the last minute by the time that they took.
    #[serde(default)]
    pub deliveries: Vec<u64>,
}

/// The counters of the last minute, as they were read.
#[derive(Clone, Debug, Default)]
pub struct ActivityWindow {
    readings: VecDeque<(i64, ActivityTotals)>,
}

impl ActivityWindow {
    /// Takes in a reading, at `now` in ms; returns what the process does now.
    pub fn read(&mut self, now: i64, totals: ActivityTotals) -> Activity {
        // One that is as old as a minute stays, so that the window is whole.
        while self.readings.get(1).is_some_and(|(at, _)| now - at >= DELIVERIES_MS) {
            self.readings.pop_front();
        }
        let earlier = self.readings.iter().rfind(|(at, _)| now - at >= RATE_MS);
        let rate = |of: fn(&ActivityTotals) -> Option<u64>| {
            let (at, then) = earlier?;
            let count = of(&totals.since(then))?;
            let seconds = ms(now - at) / 1000.0;
            Some(u32::try_from(count).map_or(f64::from(u32::MAX), f64::from) / seconds)
        };
        let first = self.readings.front().map(|(_, first)| totals.since(first));
        let activity = Activity {
            recorded: rate(|totals| totals.recorded),
            delivered: rate(|totals| totals.delivered),
            deliveries: first.map(|first| first.deliveries).unwrap_or_default(),
        };
        self.readings.push_back((now, totals));
        activity
    }
}

/// Adds two counts, where one of them is known.
pub fn sum<T: std::ops::Add<Output = T>>(one: Option<T>, other: Option<T>) -> Option<T> {
    match (one, other) {
        (Some(one), Some(other)) => Some(one + other),
        (one, other) => one.or(other),
    }
}

/// Adds counts by bucket.
pub fn add_counts(all: &mut Vec<u64>, more: &[u64]) {
    if all.len() < more.len() {
        all.resize(more.len(), 0);
    }
    for (all, more) in all.iter_mut().zip(more) {
        *all += more;
    }
}

/// Estimates below which value a share of what was counted lies, as Prometheus does: evenly spread
/// within a bucket. None when nothing was counted; beyond the last bound that bound.
pub fn quantile(bounds: &[f64], counts: &[u64], share: f64) -> Option<f64> {
    let count = |count: u64| u32::try_from(count).map_or(f64::from(u32::MAX), f64::from);
    let all: u64 = counts.iter().sum();
    let rank = share * count(all);
    let (mut below, mut lower) = (0_u64, 0.0);
    for (bound, here) in bounds.iter().zip(counts) {
        if *here > 0 && count(below + here) >= rank {
            return Some(lower + (bound - lower) * (rank - count(below)).max(0.0) / count(*here));
        }
        below += here;
        lower = *bound;
    }
    (all > 0).then_some(lower)
}

fn ms(ms: i64) -> f64 {
    u32::try_from(ms).map_or(f64::from(u32::MAX), f64::from)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn totals(recorded: Option<u64>, delivered: u64, deliveries: &[u64]) -> ActivityTotals {
        ActivityTotals { recorded, delivered: Some(delivered), deliveries: deliveries.into() }
    }

    #[test]
    fn a_rate_is_unknown_until_there_is_something_to_compare_with() {
        let mut window = ActivityWindow::default();
        assert_eq!(window.read(0, totals(None, 0, &[0, 0])), Activity::default());
        assert_eq!(window.read(9_000, totals(None, 90, &[0, 0])).delivered, None);
        let activity = window.read(20_000, totals(None, 90, &[3, 1]));
        assert_eq!((activity.recorded, activity.delivered), (None, Some(0.0)));
        assert_eq!(activity.deliveries, [3, 1]);
    }

    #[test]
    fn deliveries_of_more_than_a_minute_ago_count_no_more() {
        let mut window = ActivityWindow::default();
        for second in 0..200 {
            let activity = window.read(second * 1000, totals(Some(0), 0, &[second.unsigned_abs()]));
            assert_eq!(
                activity.deliveries.first().copied().unwrap_or_default(),
                second.min(60).unsigned_abs()
            );
        }
        assert!(window.readings.len() <= 62, "{}", window.readings.len());
    }

    #[test]
    fn a_quantile_lies_within_its_bucket() {
        let bounds = [1.0, 2.0, 4.0];
        assert_eq!(quantile(&bounds, &[0, 0, 0, 0], 0.5), None);
        assert_eq!(quantile(&bounds, &[], 0.5), None);
        assert_eq!(quantile(&bounds, &[0, 10, 0, 0], 0.5), Some(1.5));
        assert_eq!(quantile(&bounds, &[2, 0, 2, 0], 0.75), Some(3.0));
        assert_eq!(quantile(&bounds, &[0, 0, 0, 7], 0.5), Some(4.0), "beyond the last bound");
    }

    #[test]
    fn what_nobody_counts_stays_unknown() {
        let mut all = ActivityTotals::default();
        all.add(&totals(None, 5, &[1]));
        all.add(&totals(None, 6, &[1, 2]));
        assert_eq!(all, totals(None, 11, &[2, 2]));
        assert_eq!(all.since(&totals(Some(1), 4, &[1])), totals(None, 7, &[1, 2]));
    }
}
