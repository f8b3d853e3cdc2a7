//! How much the record holds and what was done in the last hour, asked of the database once for all who
//! look at the same moment.

use std::{sync::Arc, time::Duration};

use store::{ActivitySince, Holdings, Store, StoreError};
use tokio::{sync::Mutex, time::Instant};

/// How long an answer holds.
const FRESH: Duration = Duration::from_secs(2);

/// How long the database may take for one.
const ANSWER_MAX: Duration = Duration::from_millis(1500);

/// How many minutes the history has.
pub const HISTORY_MINUTES: u32 = 60;

/// What the database says; of what it does not answer in time nothing is known.
#[derive(Clone, Debug, Default)]
pub struct Figures {
    /// How many entities and dead letters there are.
    pub holdings: Option<Holdings>,
    /// What was done, minute by minute.
    pub activity: Option<ActivitySince>,
}

/// Asks for figures.
pub struct InstallationFigures {
    store: Arc<dyn Store>,
    last: Mutex<Option<(Instant, Arc<Figures>)>>,
}

impl InstallationFigures {
    /// Returns figures of a database that was not asked yet.
    pub fn new(store: Arc<dyn Store>) -> Self {
        Self { store, last: Mutex::default() }
    }

    /// Returns what the database says now, or said a moment ago.
    pub async fn current(&self) -> Arc<Figures> {
        let mut last = self.last.lock().await;
        if let Some((_, figures)) = last.as_ref().filter(|(at, _)| at.elapsed() < FRESH) {
            return Arc::clone(figures);
        }
        let (holdings, activity) = tokio::join!(
            in_time(self.store.holdings()),
            in_time(self.store.activity(HISTORY_MINUTES))
        );
        let figures = Arc::new(Figures { holdings, activity });
        *last = Some((Instant::now(), Arc::clone(&figures)));
        figures
    }
}

async fn in_time<T>(asked: impl Future<Output = Result<T, StoreError>>) -> Option<T> {
    tokio::time::timeout(ANSWER_MAX, asked).await.ok()?.ok()
}
