//! Who is denied: closed here, and not let in while it lasts.
//!
//! An order over pub/sub makes it immediate; the record is read every now and then as well, so
//! that a node which missed the order, or was started later, keeps to it too.

use std::{sync::Arc, time::Duration};

use auth::Authenticator;
use store::Store;

use crate::session::sessions::Sessions;

/// How often the record is read.
const INTERVAL: Duration = Duration::from_secs(5);

/// Keeps the denials of the authenticator to what the record says.
pub struct Denylist {
    store: Arc<dyn Store>,
    auth: Arc<Authenticator>,
    sessions: Arc<Sessions>,
}

impl Denylist {
    /// Returns a denylist that was not read yet.
    pub fn new(store: Arc<dyn Store>, auth: Arc<Authenticator>, sessions: Arc<Sessions>) -> Self {
        Self { store, auth, sessions }
    }

    /// Reads the record again and again, until the process stops.
    pub async fn run(&self) {
        loop {
            tokio::time::sleep(INTERVAL).await;
            self.read().await;
        }
    }

    /// Reads who is denied, and closes those who are here.
    pub async fn read(&self) {
        let denials = self.auth.denials();
        let changes = denials.changes();
        match self.store.denied().await {
            Ok(all) => {
                let users: Vec<String> = all.iter().map(|(user, _)| user.clone()).collect();
                if denials.replace(all, changes) {
                    for user in &users {
                        self.sessions.disconnect(user);
                    }
                }
            }
            Err(error) => tracing::debug!(%error, "denylist: not read, read again in five seconds"),
        }
    }
}
