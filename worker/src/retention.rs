//! Retention: removes old events and ended states from SQL in slices; says how far streams are
//! trimmed.

use std::{collections::VecDeque, time::Duration};

use domain::entry::EntryId;
use store::StoreError;
use tokio::time::Instant;

use crate::{Worker, escalation};

/// How often the owner of a source trims its stream.
pub const TRIM_INTERVAL: Duration = Duration::from_secs(60);

/// How far behind the cursor a stream is kept, in ms: what a fail-over may cause to be read again.
pub const TRIM_BEHIND_MS: u64 = 600_000;

/// Knows how far a stream may be trimmed: by the ids, and by what was read so long ago. An id in the
/// far future would keep everything after it for ever, were it for the ids alone.
#[derive(Debug, Default)]
pub struct TrimPoint {
    /// Where the cursor was, and when, oldest first.
    cursors: VecDeque<(Instant, EntryId)>,
    read: EntryId,
}

impl TrimPoint {
    /// Notes the cursor and returns the entry before which everything may go.
    pub fn before(&mut self, now: Instant, cursor: EntryId) -> EntryId {
        // A cursor that was set back has read nothing of what lies behind it.
        self.cursors.retain(|(_, noted)| *noted <= cursor);
        self.cursors.push_back((now, cursor));
        let old = |(at, _): &mut (Instant, EntryId)| {
            now.duration_since(*at) >= Duration::from_millis(TRIM_BEHIND_MS)
        };
        while let Some((_, read)) = self.cursors.pop_front_if(old) {
            self.read = read;
        }
        self.read.min(cursor).max(cursor.minus_ms(TRIM_BEHIND_MS))
    }
}

/// How often the archive is searched when nothing is left to remove.
const SWEEP_INTERVAL: Duration = Duration::from_secs(60);

/// The pause between two slices of a sweep, which leaves the database to its main job.
const SLICE_PAUSE: Duration = Duration::from_millis(200);

/// Removes what is older than its retention, slice by slice; never returns.
///
/// Every worker does this: slices are transactions of their own, and two at once do no harm.
pub async fn run(worker: &Worker) {
    loop {
        let limits = &worker.limits;
        let removed = async {
            let dead = worker.store.retain_dead_letters(limits.dead_letter_retention).await?;
            let audit = worker.store.retain_audit(limits.audit_retention).await?;
            let rest =
                worker.store.retain(limits.archive_retention, limits.state_retention).await?;
            let unserved = escalation::give_up_unserved(worker).await?;
            Ok::<bool, StoreError>(dead || audit || rest || unserved)
        };
        let removed = removed.await;
        let pause = match removed {
            Ok(true) => SLICE_PAUSE,
            Ok(false) => SWEEP_INTERVAL,
            Err(error) => {
                tracing::warn!(%error, "retention: nothing removed, tried again after the sweep interval");
                SWEEP_INTERVAL
            }
        };
        tokio::time::sleep(pause).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rule_7_what_follows_an_id_in_the_far_future_is_trimmed_once_it_was_read_for_ten_minutes() {
        let began = Instant::now();
        let future = |number| EntryId { ms: 9_999_999_999_999, number };
        let mut point = TrimPoint::default();
        let by_id = future(0).minus_ms(TRIM_BEHIND_MS);
        for minute in 0..10 {
            let now = began + Duration::from_secs(60 * minute);
            assert_eq!(point.before(now, future(minute)), by_id);
        }
        let now = began + Duration::from_secs(600);
        assert_eq!(point.before(now, future(10)), future(0));
        let back = EntryId { ms: 1_000_000, number: 0 };
        assert_eq!(point.before(now, back), back, "never past the cursor");
    }
}
