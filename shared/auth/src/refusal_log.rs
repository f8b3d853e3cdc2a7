//! Says in the log why credentials are refused, as often as somebody can read it.

use std::{collections::HashMap, sync::Mutex, time::Duration};

use runtime::lock::LockExt as _;
use tokio::time::Instant;

use super::CredentialError;

/// How often the same reason is said.
const INTERVAL: Duration = Duration::from_secs(10);

/// When each reason was said last, and how often it was not said since.
#[derive(Debug, Default)]
pub(super) struct RefusalLog(Mutex<HashMap<&'static str, (Instant, u64)>>);

impl RefusalLog {
    /// Notes a refusal. Nothing of the credential is said: it may be somebody's.
    pub(super) fn note(&self, error: CredentialError) {
        let reason = error.reason();
        let now = Instant::now();
        let mut said = self.0.lock_unpoisoned();
        let unsaid = match said.get_mut(reason) {
            Some((at, unsaid)) if now.duration_since(*at) < INTERVAL => {
                *unsaid += 1;
                return;
            }
            Some((_, unsaid)) => *unsaid,
            None => 0,
        };
        said.insert(reason, (now, 0));
        drop(said);
        tracing::info!(
            reason,
            unsaid,
            "auth: credential refused, its client is told no more than that"
        );
    }
}
