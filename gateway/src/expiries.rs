//! Closing sockets whose token has expired (contract §5: an `error` and close 4001 at `exp`).

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError, Weak},
    time::Duration,
};

use crate::{
    connection::close,
    dialect::{Encoding, native},
    session::Session,
};

/// How often expiry is looked at.
const INTERVAL: Duration = Duration::from_millis(500);

/// The sessions whose tokens expire, by time.
#[derive(Default)]
pub struct Expiries {
    due: Mutex<BTreeMap<(i64, u64), Weak<Session>>>,
}

impl Expiries {
    /// Watches a session until its token expires; a fresher token makes the entry stale.
    pub fn watch(&self, session: &Arc<Session>) {
        if let Some(expires_at) = session.identity().expires_at {
            let key = (expires_at, session.number);
            self.lock().insert(key, Arc::downgrade(session));
        }
    }

    /// Watches a session no longer: one that has gone would be kept in memory until its token
    /// expires.
    pub fn forget(&self, session: &Session) {
        if let Some(expires_at) = session.identity().expires_at {
            self.lock().remove(&(expires_at, session.number));
        }
    }

    /// Closes what has expired, for ever.
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
                if session.identity().expires_at.is_some_and(|at| at <= now) {
                    expire(&session);
                }
            }
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, BTreeMap<(i64, u64), Weak<Session>>> {
        self.due.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn expire(session: &Session) {
    if session.encoding() == Encoding::Native {
        let error = native::error("token_expired", "the token has expired", &[], None);
        let _full = session.connection.send(&error);
    }
    session.close(close::UNAUTHORIZED, "token expired");
}
