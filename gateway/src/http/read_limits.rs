//! How many reads run at the same time: of one reader, and of all, so that who asks for much waits for
//! its own answers, and the sockets' reads always find a connection of the database.

use std::{
    collections::HashMap,
    hash::{BuildHasher as _, RandomState},
    sync::{Arc, Mutex, PoisonError, Weak},
};

use runtime::config::LimitSettings;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// How many readers are remembered before those that read nothing are forgotten.
const READERS_KEPT: usize = 1024;

/// The reads that run at the moment.
pub struct ReadLimits {
    all: Arc<Semaphore>,
    of_one: usize,
    readers: Mutex<HashMap<u64, Weak<Semaphore>>>,
    hasher: RandomState,
}

/// The right to read, until it is dropped.
#[derive(Debug)]
pub struct ReadTurn {
    _own: OwnedSemaphorePermit,
    _node: OwnedSemaphorePermit,
    /// Keeps the reader known, so that others of the same one count with it.
    _reader: Arc<Semaphore>,
}

impl ReadLimits {
    /// Returns the limits of the settings.
    pub fn new(limits: &LimitSettings) -> Self {
        Self {
            all: Arc::new(Semaphore::new(limits.reads_at_once)),
            of_one: limits.user_reads_at_once,
            readers: Mutex::default(),
            hasher: RandomState::new(),
        }
    }

    /// Waits for the turn of a reader, whose name is its credential or address.
    pub async fn turn(&self, name: &str) -> Option<ReadTurn> {
        let reader = self.reader(self.hasher.hash_one(name));
        // First its own: who waits for itself takes nothing from others.
        let own = Arc::clone(&reader).acquire_owned().await.ok()?;
        let node = Arc::clone(&self.all).acquire_owned().await.ok()?;
        Some(ReadTurn { _own: own, _node: node, _reader: reader })
    }

    fn reader(&self, key: u64) -> Arc<Semaphore> {
        let mut readers = self.readers.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(reader) = readers.get(&key).and_then(Weak::upgrade) {
            return reader;
        }
        if readers.len() >= READERS_KEPT {
            readers.retain(|_, reader| reader.strong_count() > 0);
        }
        let reader = Arc::new(Semaphore::new(self.of_one));
        readers.insert(key, Arc::downgrade(&reader));
        reader
    }
}

#[cfg(test)]
mod tests {
    use std::{collections::HashMap, time::Duration};

    use runtime::config::{Config, Role};

    use super::*;

    #[tokio::test]
    async fn who_asks_for_much_waits_for_its_own_answers_and_others_do_not() {
        let settings = HashMap::from([(String::from("USER_READS_AT_ONCE"), String::from("2"))]);
        let (config, _) = Config::from_environment(Role::Whole, &settings).unwrap();
        let limits = ReadLimits::new(&config.limits);
        let first = limits.turn("alice").await;
        let _second = limits.turn("alice").await;
        let waits = tokio::time::timeout(Duration::from_millis(20), limits.turn("alice")).await;
        assert!(waits.is_err());
        assert!(limits.turn("bob").await.is_some());
        drop(first);
        assert!(limits.turn("alice").await.is_some());
    }
}
