//! How many events each key, user or address may publish, by whatever door (`PUBLISH_PER_SECOND`).

use std::{
    collections::HashMap,
    net::IpAddr,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use auth::Identity;
use tokio::time::Instant;

/// The most publishers that are remembered; those whose allowance is whole again go first.
const PUBLISHERS_MAX: usize = 10_000;

/// Whom an event is counted for. A key, a user and an address of one name are three.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum EventSender {
    /// An API key, by its name.
    Key(Box<str>),
    /// A user.
    User(Box<str>),
    /// Somebody whom nobody vouches for.
    Address(Option<IpAddr>),
}

impl EventSender {
    /// Returns whom the events of a request are counted for.
    pub fn of(identity: &Identity, address: Option<IpAddr>) -> Self {
        match (&identity.user, identity.api_key()) {
            (Some(user), _) => Self::User(user.as_ref().into()),
            (None, Some(key)) => Self::Key(key.into()),
            (None, None) => Self::Address(address),
        }
    }
}

/// Allowances by sender: one second's worth may come at once.
#[derive(Debug)]
pub struct PublishLimits {
    per_second: f64,
    publishers: Mutex<HashMap<EventSender, (f64, Instant)>>,
}

impl PublishLimits {
    /// So many events per second each.
    pub fn new(per_second: u32) -> Self {
        Self { per_second: per_second.into(), publishers: Mutex::default() }
    }

    /// Takes events out of an allowance.
    ///
    /// # Errors
    /// How long to wait, when it does not suffice.
    pub fn take(&self, sender: EventSender, events: usize) -> Result<(), Duration> {
        let events = f64::from(u32::try_from(events).unwrap_or(u32::MAX));
        let now = Instant::now();
        let mut publishers = self.publishers.lock().unwrap_or_else(PoisonError::into_inner);
        if publishers.len() >= PUBLISHERS_MAX {
            publishers.retain(|_, (_, at)| now.duration_since(*at) < Duration::from_secs(1));
        }
        let (left, at) = publishers.entry(sender).or_insert((self.per_second, now));
        let refilled = now.duration_since(*at).as_secs_f64() * self.per_second;
        *left = (*left + refilled).min(self.per_second);
        *at = now;
        // A request larger than a second's worth passes when the allowance is whole.
        let needed = events.min(self.per_second);
        if *left < needed {
            return Err(Duration::from_secs_f64((needed - *left) / self.per_second));
        }
        *left -= events;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn who_publishes_too_much_waits_and_others_do_not() {
        let limits = PublishLimits::new(10);
        let (key, user) = (EventSender::Key("a".into()), EventSender::User("a".into()));
        assert_eq!(limits.take(key.clone(), 10), Ok(()));
        assert!(limits.take(key.clone(), 1).is_err());
        assert_eq!(limits.take(user, 1), Ok(()), "a user of the same name is another");
        tokio::time::advance(Duration::from_millis(150)).await;
        assert_eq!(limits.take(key, 1), Ok(()));
    }
}
