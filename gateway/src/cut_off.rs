//! Cutting users off: whoever is denied is closed here, and does not come back while it lasts.
//!
//! An order over pub/sub makes it immediate; the record is read every now and then as well, so
//! that a node which missed the order, or was started later, keeps to it too.

use std::time::Duration;

use crate::{connection::close, gateway::Gateway, session::Session};

/// How often the record is read.
const INTERVAL: Duration = Duration::from_secs(5);

impl Gateway {
    /// Keeps to what the record says of who is denied, for ever.
    pub async fn keep_denials(&self) {
        loop {
            tokio::time::sleep(INTERVAL).await;
            self.read_denials().await;
        }
    }

    /// Reads who is denied, and closes those who are here.
    pub(crate) async fn read_denials(&self) {
        let denials = self.auth.denials();
        let changes = denials.changes();
        match self.store.denied().await {
            Ok(all) => {
                if denials.replace(all, changes) {
                    self.cut_off(|session| self.is_denied(session));
                }
            }
            Err(error) => tracing::debug!(%error, "who is denied is not read yet"),
        }
    }

    /// Whether a session's user is denied.
    pub(crate) fn is_denied(&self, session: &Session) -> bool {
        let now = jiff::Timestamp::now().as_millisecond();
        let user = session.identity().user;
        user.is_some_and(|user| self.auth.denials().hold(&user, now))
    }

    /// Closes sessions for good.
    pub(crate) fn cut_off(&self, chosen: impl Fn(&Session) -> bool) {
        for session in self.sessions().iter().filter(|session| chosen(session)) {
            session.close(close::FORBIDDEN, "disconnected by an operator");
        }
    }
}
