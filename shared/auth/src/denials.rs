//! Who is kept out whatever token they bring, as far as this process knows.

use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard},
};

use runtime::lock::LockExt as _;

/// Users and until when they are kept out. The record has them; this is what every check asks.
#[derive(Debug, Default)]
pub struct Denials {
    list: Mutex<DenialList>,
}

#[derive(Debug, Default)]
struct DenialList {
    until: HashMap<String, i64>,
    changes: u64,
}

impl Denials {
    /// Keeps a user out until then, ms since 1970.
    pub fn deny(&self, user: &str, until: i64) {
        let mut list = self.lock();
        list.changes += 1;
        list.until.insert(user.to_owned(), until);
    }

    /// Lets a user in again.
    pub fn admit(&self, user: &str) {
        let mut list = self.lock();
        list.changes += 1;
        list.until.remove(user);
    }

    /// Whether a user is kept out at a time, ms since 1970.
    pub fn hold(&self, user: &str, now: i64) -> bool {
        self.lock().until.get(user).is_some_and(|until| *until > now)
    }

    /// How many changes there were: to be asked before the record is read.
    pub fn changes(&self) -> u64 {
        self.lock().changes
    }

    /// Takes over what the record says, unless something changed since `changes`: then the record
    /// was read too early and has to be read again. Whether a user is new on the list.
    pub fn replace(&self, all: Vec<(String, i64)>, changes: u64) -> bool {
        let mut list = self.lock();
        if list.changes != changes {
            return false;
        }
        let is_new = all.iter().any(|(user, _)| !list.until.contains_key(user));
        list.until = all.into_iter().collect();
        is_new
    }

    fn lock(&self) -> MutexGuard<'_, DenialList> {
        self.list.lock_unpoisoned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_read_before_a_change_does_not_undo_it() {
        let denials = Denials::default();
        let before = denials.changes();
        denials.deny("mallory", 10);
        assert!(!denials.replace(Vec::new(), before));
        assert!(denials.hold("mallory", 9) && !denials.hold("mallory", 10));
        assert!(denials.replace(vec![("eve".to_owned(), 5)], denials.changes()));
        assert!(denials.hold("eve", 4) && !denials.hold("mallory", 4));
        assert!(!denials.replace(vec![("eve".to_owned(), 6)], denials.changes()), "nobody new");
        denials.admit("eve");
        assert!(!denials.hold("eve", 4));
    }
}
