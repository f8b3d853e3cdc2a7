//! Locking without a word about poison: the one way in which this workspace takes a mutex.

use std::sync::{Mutex, MutexGuard, PoisonError};

/// Locks what a panic of another thread may have poisoned.
///
/// Nothing here panics between a lock and its release, so what a panicking thread left behind is
/// whole, and every mutex can be used on.
pub trait LockExt<T: ?Sized> {
    /// Waits for the lock and takes it, poisoned or not.
    fn lock_unpoisoned(&self) -> MutexGuard<'_, T>;
}

impl<T: ?Sized> LockExt<T> for Mutex<T> {
    fn lock_unpoisoned(&self) -> MutexGuard<'_, T> {
        self.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    #[test]
    fn a_lock_can_be_taken_after_its_holder_panicked() {
        let mutex = Arc::new(Mutex::new(1));
        let holder = Arc::clone(&mutex);
        let panicked = std::thread::spawn(move || {
            let _held = holder.lock_unpoisoned();
            panic!("while it is locked");
        });
        assert!(panicked.join().is_err() && mutex.is_poisoned());
        assert_eq!(*mutex.lock_unpoisoned(), 1);
    }
}
