//! Lag: how far an owner is behind its stream, in entries and seconds.

use std::time::{SystemTime, UNIX_EPOCH};

use broker::StreamInfo;
use store::SourceRow;

use crate::metrics::WorkerMetrics;

/// Counts entries against the stream's own counter, from the first moment at which nothing was
/// left to read. Until then the stream's length is given, an upper bound.
#[derive(Debug, Default)]
pub struct Lag {
    /// The stream's counter when nothing was left, and how many entries were recorded since.
    caught_up: Option<(u64, u64)>,
    /// Since when entries are left, in ms, by their ids.
    behind_since_ms: Option<u64>,
}

impl Lag {
    /// Counts entries that were recorded.
    pub fn recorded(&mut self, entries: usize) {
        if let Some((_, recorded)) = &mut self.caught_up {
            *recorded += entries as u64;
        }
    }

    /// Compares with the stream as it is now, and sets the metrics of its lag.
    pub fn observe(&mut self, metrics: &WorkerMetrics, row: &SourceRow, info: &StreamInfo) {
        let source = row.source.to_string();
        let entries = if row.cursor >= info.last_generated {
            self.caught_up = Some((info.added, 0));
            0
        } else {
            self.caught_up.map_or(info.length, |(added, recorded)| {
                info.added
                    .saturating_sub(added)
                    .saturating_sub(recorded)
                    .clamp(1, info.length.max(1))
            })
        };
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let now_ms = u64::try_from(now.as_millis()).unwrap_or(u64::MAX);
        // The oldest entry left is not older than the last one recorded, unless nothing was for long.
        self.behind_since_ms = match (entries, self.behind_since_ms) {
            (0, _) => None,
            (_, Some(since)) => Some(since.max(row.cursor.ms)),
            (_, None) => Some(now_ms),
        };
        let seconds = self.behind_since_ms.map_or(0.0, |since| {
            std::time::Duration::from_millis(now_ms.saturating_sub(since)).as_secs_f64()
        });
        metrics
            .lag_entries
            .with_label_values(&[&source])
            .set(i64::try_from(entries).unwrap_or(i64::MAX));
        metrics.lag_seconds.with_label_values(&[&source]).set(seconds);
        let unpublished = i64::try_from(row.seq.saturating_sub(row.published)).unwrap_or(i64::MAX);
        metrics.unpublished.with_label_values(&[&source]).set(unpublished);
    }
}
