//! The heartbeats of the dialects, built once: all sockets of a dialect share them.

use std::sync::Arc;

use runtime::config::HeartbeatSettings;
use websocket::Heartbeat;

use crate::protocol::Dialect;

/// The heartbeats of all dialects.
pub struct Heartbeats(Vec<DialectHeartbeats>);

struct DialectHeartbeats {
    dialect: &'static str,
    /// From the beginning.
    first: Arc<Heartbeat>,
    /// For sockets that said who they are.
    of_known: Arc<Heartbeat>,
}

impl Heartbeats {
    /// Builds the heartbeats of these dialects.
    pub fn new<'a>(
        dialects: impl IntoIterator<Item = &'a Arc<dyn Dialect>>,
        settings: &HeartbeatSettings,
    ) -> Self {
        let build = |dialect: &Arc<dyn Dialect>| {
            let first = Arc::new(dialect.heartbeat(settings));
            let of_known = dialect.heartbeat_of_known(settings).map(Arc::new);
            DialectHeartbeats {
                dialect: dialect.name(),
                of_known: of_known.unwrap_or_else(|| Arc::clone(&first)),
                first,
            }
        };
        Self(dialects.into_iter().map(build).collect())
    }

    /// Returns the heartbeat of a dialect's new sockets; none for one that was not built.
    pub fn first(&self, dialect: &dyn Dialect) -> Option<Arc<Heartbeat>> {
        self.of(dialect).map(|heartbeats| Arc::clone(&heartbeats.first))
    }

    /// Returns the heartbeat of those that said who they are.
    pub fn of_known(&self, dialect: &dyn Dialect) -> Option<Arc<Heartbeat>> {
        self.of(dialect).map(|heartbeats| Arc::clone(&heartbeats.of_known))
    }

    fn of(&self, dialect: &dyn Dialect) -> Option<&DialectHeartbeats> {
        self.0.iter().find(|heartbeats| heartbeats.dialect == dialect.name())
    }
}
