//! The open sessions of this node: who is let in, and who is there, by connection and by user.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, MutexGuard,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
};

use runtime::lock::LockExt as _;

use super::{
    Session,
    context::{SessionContext, SessionEnd},
};
use crate::{
    metrics::GatewayMetrics,
    protocol::{Dialect, Opening, Refusal, Transport, TurnedAway},
};
use websocket::{Frame, close};

/// The list of open sessions.
pub struct Sessions {
    metrics: Arc<GatewayMetrics>,
    by_connection: Mutex<HashMap<u64, Arc<Session>>>,
    /// The numbers of those of each user.
    by_user: Mutex<HashMap<Arc<str>, Vec<u64>>>,
    count: AtomicUsize,
    numbers: AtomicU64,
}

impl Sessions {
    /// Returns a list without sessions.
    pub fn new(metrics: Arc<GatewayMetrics>) -> Self {
        Self {
            metrics,
            by_connection: Mutex::default(),
            by_user: Mutex::default(),
            count: AtomicUsize::new(0),
            numbers: AtomicU64::new(0),
        }
    }

    /// Returns a number that no connection of this node has had.
    pub fn next_number(&self) -> u64 {
        self.numbers.fetch_add(1, Ordering::Relaxed)
    }

    /// Begins a session if there is room for it; else its client is told and closed.
    pub fn open(
        &self,
        context: &Arc<SessionContext>,
        dialect: &Arc<dyn Dialect>,
        number: u64,
        opening: Result<Opening, Refusal>,
        transport: Transport,
    ) -> Arc<Session> {
        let (encoding, identity, outcome) = match opening {
            Ok(opening) => (opening.encoding, opening.identity, Ok(opening.commands)),
            Err(refusal) => (dialect.encodings()[0], context.auth.anonymous(), Err(refusal)),
        };
        let (context, dialect) = (Arc::clone(context), Arc::clone(dialect));
        let session = Session::new(context, dialect, number, encoding, identity, transport);
        match outcome {
            Ok(commands) => match self.admit(&session) {
                Ok(()) => session.begin(commands),
                Err((code, frame)) => session.refuse(Refusal::Socket {
                    frames: frame.into_iter().collect(),
                    code,
                    reason: "over capacity",
                }),
            },
            Err(refusal) => session.refuse(refusal),
        }
        session
    }

    /// Lets a session in.
    ///
    /// # Errors
    /// The code and frame with which it is turned away.
    fn admit(&self, session: &Arc<Session>) -> Result<(), (u16, Option<Frame>)> {
        let dialect = session.dialect();
        let limits = &session.context.config.limits;
        let reserve = dialect.capacity_reserve(limits.connections);
        if self.count() >= limits.connections + reserve {
            Self::refused(session, "node_full");
            let error = dialect.turned_away(TurnedAway::NodeFull, "this node is full");
            return Err((close::OVER_CAPACITY, error));
        }
        if let Some(user) = session.identity().user
            && !self.joined(session.number, &user, limits.connections_per_user)
        {
            Self::refused(session, "user_full");
            let message = "this user has too many connections";
            let error = dialect.turned_away(TurnedAway::UserFull, message);
            return Err((close::TOO_MANY_CONNECTIONS, error));
        }
        session.set_admitted(true);
        self.count.fetch_add(1, Ordering::Relaxed);
        self.metrics.connections.with_label_values(&[dialect.name()]).inc();
        self.metrics.opened[session.encoding().index()].fetch_add(1, Ordering::Relaxed);
        self.lock().insert(session.number, Arc::clone(session));
        session.admitted();
        Ok(())
    }

    fn refused(session: &Session, reason: &'static str) {
        let address = session.transport.address;
        session.context.refusals.note(session.dialect().name(), reason, address);
    }

    /// Returns all open sessions.
    pub fn all(&self) -> Vec<Arc<Session>> {
        self.lock().values().cloned().collect()
    }

    /// Returns how many sessions are open.
    pub fn count(&self) -> usize {
        self.count.load(Ordering::Relaxed)
    }

    /// Closes for good the sessions of a user; returns how many there were.
    pub fn disconnect(&self, user: &str) -> usize {
        let numbers = self.by_user.lock_unpoisoned().get(user).cloned().unwrap_or_default();
        let find = |number: &u64| self.lock().get(number).cloned();
        let sessions: Vec<Arc<Session>> = numbers.iter().filter_map(find).collect();
        sessions.iter().for_each(|session| session.disconnect());
        sessions.len()
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<u64, Arc<Session>>> {
        self.by_connection.lock_unpoisoned()
    }
}

impl SessionEnd for Sessions {
    fn joined(&self, number: u64, user: &Arc<str>, connections_max: usize) -> bool {
        let mut users = self.by_user.lock_unpoisoned();
        let numbers = users.entry(Arc::clone(user)).or_default();
        let has_room = numbers.len() < connections_max;
        if has_room {
            numbers.push(number);
        }
        has_room
    }

    fn ended(&self, number: u64, dialect: &'static str, user: Option<&str>) {
        self.lock().remove(&number);
        self.count.fetch_sub(1, Ordering::Relaxed);
        self.metrics.connections.with_label_values(&[dialect]).dec();
        let Some(user) = user else { return };
        let mut users = self.by_user.lock_unpoisoned();
        if let Some(numbers) = users.get_mut(user) {
            numbers.retain(|other| *other != number);
            if numbers.is_empty() {
                users.remove(user);
            }
        }
    }
}
