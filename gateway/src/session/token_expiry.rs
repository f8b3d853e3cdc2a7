//! Ending sessions whose token has expired (contract §5: an `error` and close 4001 at `exp`).

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError, Weak},
    time::Duration,
};

/// How often expiry is looked at.
const INTERVAL: Duration = Duration::from_millis(500);

/// What expires with a token.
pub trait Expiring: Send + Sync {
    /// Returns its number on this node.
    fn number(&self) -> u64;

    /// Returns when its token expires, ms since 1970; none: never.
    fn expires_at(&self) -> Option<i64>;

    /// Ends it.
    fn expire(&self);
}

/// The sessions whose tokens expire, by time and number.
#[derive(Default)]
pub struct TokenExpiry {
    due: Mutex<BTreeMap<(i64, u64), Weak<dyn Expiring>>>,
}

impl TokenExpiry {
    /// Watches a session until its token expires; a fresher token makes the entry stale.
    pub fn watch(&self, session: &Arc<dyn Expiring>) {
        if let Some(expires_at) = session.expires_at() {
            self.lock().insert((expires_at, session.number()), Arc::downgrade(session));
        }
    }

    /// Watches a session no longer: one that has gone would be kept in memory until its token
    /// expires.
    pub fn forget(&self, session: &dyn Expiring) {
        if let Some(expires_at) = session.expires_at() {
            self.lock().remove(&(expires_at, session.number()));
        }
    }

    /// Ends what has expired, until the process stops.
    pub async fn run(&self) {
        loop {
            tokio::time::sleep(INTERVAL).await;
            let now = jiff::Timestamp::now().as_millisecond();
            let due = {
                let mut all = self.lock();
                let later = all.split_off(&(now, 0));
                std::mem::replace(&mut *all, later)
            };
            for session in due.values().filter_map(Weak::upgrade) {
                if session.expires_at().is_some_and(|at| at <= now) {
                    session.expire();
                }
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<(i64, u64), Weak<dyn Expiring>>> {
        self.due.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
