//! What is wanted and what is subscribed, and the commands that make the one out of the other.

use std::{
    collections::{HashMap, VecDeque},
    sync::{Arc, Mutex, MutexGuard},
};

use runtime::lock::LockExt as _;
use tokio::sync::{Notify, oneshot};

use super::super::resp;
use crate::Topic;

/// The most names in one command.
const NAMES_MAX: usize = 512;

/// The most names that wait for their confirmation at a time.
const UNCONFIRMED_MAX: usize = 8 * NAMES_MAX;

/// The subscriptions at one server, shared by those who want them and the task that fulfils.
#[derive(Debug)]
pub(super) struct SubscriptionSet {
    state: Mutex<SubscriptionTable>,
    /// Something is to be done for a subscription.
    changed: Notify,
}

#[derive(Debug, Default)]
pub(super) struct SubscriptionTable {
    subscriptions: HashMap<Arc<str>, TopicSubscription>,
    /// Names whose subscription and subscription may differ.
    queue: VecDeque<Arc<str>>,
    /// Names in commands that were sent and not confirmed.
    unconfirmed: usize,
    attached: bool,
    /// A caller was told that a topic is not subscribed, and it will be on this connection.
    late: bool,
    /// Whether SSUBSCRIBE is used, which takes names of one slot only.
    is_sharded: bool,
    /// Whether the server sent some to another, which may not know of it yet.
    refused: bool,
}

#[derive(Debug)]
struct TopicSubscription {
    topic: Topic,
    wanted: bool,
    /// The last command about it was SUBSCRIBE.
    asked: bool,
    /// Commands about it without confirmation: a confirmation counts only when it is the last one.
    unconfirmed: u32,
    queued: bool,
    waiting: Vec<oneshot::Sender<()>>,
}

/// How a new subscription stands.
pub(super) enum SubscribeOutcome {
    /// The server has confirmed it.
    Done,
    /// The receiver hears when it is, or is closed when the connection is lost.
    Waiting(oneshot::Receiver<()>),
    /// There is no connection; it follows with the next one.
    Detached,
}

impl SubscriptionSet {
    /// An empty one; `is_sharded` in a cluster.
    pub(super) fn new(is_sharded: bool) -> Self {
        let table = SubscriptionTable { is_sharded, ..SubscriptionTable::default() };
        Self { state: Mutex::new(table), changed: Notify::new() }
    }

    /// The command that subscribes.
    pub(super) fn command(&self) -> &'static [u8] {
        self.lock().subscribe_command()
    }

    /// Takes wanted names out, to be wanted elsewhere; who waits for one hears that it does not come.
    pub(super) fn take_out(&self, moves: impl Fn(&str) -> bool) -> Vec<(Arc<str>, Topic)> {
        let mut state = self.lock();
        let mut taken = Vec::new();
        let mut unconfirmed = 0;
        state.subscriptions.retain(|name, subscription| {
            let moves = moves(name);
            if moves {
                unconfirmed += subscription.unconfirmed as usize;
                if subscription.wanted {
                    taken.push((Arc::clone(name), subscription.topic.clone()));
                }
            }
            !moves
        });
        state.unconfirmed -= unconfirmed.min(state.unconfirmed);
        taken
    }

    /// For looking at several frames under one lock.
    pub(super) fn lock(&self) -> MutexGuard<'_, SubscriptionTable> {
        self.state.lock_unpoisoned()
    }

    /// Resolves when there may be commands to send.
    pub(super) async fn changed(&self) {
        self.changed.notified().await;
    }

    pub(super) fn want(&self, name: String, topic: Topic) -> SubscribeOutcome {
        let mut state = self.lock();
        let SubscriptionTable { subscriptions, queue, attached, .. } = &mut *state;
        let name: Arc<str> = name.into();
        let subscription =
            subscriptions.entry(Arc::clone(&name)).or_insert_with(|| TopicSubscription::new(topic));
        subscription.wanted = true;
        if !*attached {
            return SubscribeOutcome::Detached;
        }
        if subscription.asked && subscription.unconfirmed == 0 {
            return SubscribeOutcome::Done;
        }
        let (sender, receiver) = oneshot::channel();
        subscription.waiting.push(sender);
        subscription.enqueue(name, queue);
        drop(state);
        self.changed.notify_one();
        SubscribeOutcome::Waiting(receiver)
    }

    pub(super) fn unwant(&self, name: &str) {
        let mut state = self.lock();
        let SubscriptionTable { subscriptions, queue, attached, .. } = &mut *state;
        let Some((name, _)) = subscriptions.get_key_value(name) else { return };
        let name = Arc::clone(name);
        let Some(subscription) = subscriptions.get_mut(&name) else { return };
        subscription.wanted = false;
        subscription.waiting.clear();
        if *attached {
            subscription.enqueue(name, queue);
            drop(state);
            self.changed.notify_one();
        } else {
            subscriptions.remove(&name);
        }
    }

    /// Notes that a caller stopped waiting for a confirmation that may still come.
    pub(super) fn note_late(&self) {
        self.lock().late = true;
        self.changed.notify_one();
    }
}

impl TopicSubscription {
    fn new(topic: Topic) -> Self {
        let waiting = Vec::new();
        Self { topic, wanted: true, asked: false, unconfirmed: 0, queued: false, waiting }
    }

    fn enqueue(&mut self, name: Arc<str>, queue: &mut VecDeque<Arc<str>>) {
        if !self.queued {
            self.queued = true;
            queue.push_back(name);
        }
    }
}

impl SubscriptionTable {
    /// A new connection knows nothing: everything wanted is to be asked for.
    pub(super) fn attach(&mut self) {
        self.detach();
        self.attached = true;
        for (name, subscription) in &mut self.subscriptions {
            subscription.enqueue(Arc::clone(name), &mut self.queue);
        }
    }

    /// The connection is gone; who waits for a confirmation hears that none comes.
    pub(super) fn detach(&mut self) {
        self.attached = false;
        self.late = false;
        self.refused = false;
        self.unconfirmed = 0;
        self.queue.clear();
        self.subscriptions.retain(|_, subscription| subscription.wanted);
        for subscription in self.subscriptions.values_mut() {
            subscription.asked = false;
            subscription.unconfirmed = 0;
            subscription.queued = false;
            subscription.waiting.clear();
        }
    }

    /// Commands for as many subscriptions as may be under way.
    pub(super) fn commands(&mut self) -> Vec<u8> {
        let (mut wanted, mut unwanted) = (Vec::new(), Vec::new());
        while self.unconfirmed < UNCONFIRMED_MAX {
            let Some(name) = self.queue.pop_front() else { break };
            let Some(subscription) = self.subscriptions.get_mut(&name) else { continue };
            subscription.queued = false;
            if subscription.wanted == subscription.asked {
                if !subscription.wanted && subscription.unconfirmed == 0 {
                    self.subscriptions.remove(&name);
                }
                continue;
            }
            subscription.asked = subscription.wanted;
            subscription.unconfirmed += 1;
            self.unconfirmed += 1;
            if subscription.wanted { wanted.push(name) } else { unwanted.push(name) }
        }
        let mut bytes = Vec::new();
        let (each, unsubscribe): (_, &[u8]) =
            if self.is_sharded { (1, b"SUNSUBSCRIBE") } else { (NAMES_MAX, b"UNSUBSCRIBE") };
        encode(self.subscribe_command(), &wanted, each, &mut bytes);
        encode(unsubscribe, &unwanted, each, &mut bytes);
        bytes
    }

    fn subscribe_command(&self) -> &'static [u8] {
        if self.is_sharded { b"SSUBSCRIBE" } else { b"SUBSCRIBE" }
    }

    /// The server ended a subscription: asked to, or because the slot was moved. Whether it was that.
    pub(super) fn end(&mut self, name: &[u8]) -> bool {
        let moved = std::str::from_utf8(name)
            .ok()
            .and_then(|name| self.subscriptions.get_mut(name))
            .filter(|subscription| subscription.asked && subscription.unconfirmed == 0);
        let Some(subscription) = moved else {
            self.confirm(name);
            return false;
        };
        subscription.asked = false;
        self.refused = true;
        // What comes until it is subscribed elsewhere may be lost.
        self.late = true;
        true
    }

    /// The server does not take subscriptions of these names: they live elsewhere.
    pub(super) fn refuse(&mut self, lives_elsewhere: impl Fn(&str) -> bool) {
        for (name, subscription) in &mut self.subscriptions {
            if subscription.unconfirmed > 0 && lives_elsewhere(name) {
                self.unconfirmed -= (subscription.unconfirmed as usize).min(self.unconfirmed);
                subscription.unconfirmed = 0;
                subscription.asked = false;
                self.refused = true;
            }
        }
    }

    /// Asks again for what was refused and has not gone elsewhere since.
    pub(super) fn retry_refused(&mut self) {
        if !std::mem::take(&mut self.refused) {
            return;
        }
        let Self { subscriptions, queue, .. } = self;
        for (name, subscription) in subscriptions {
            if subscription.wanted != subscription.asked {
                subscription.enqueue(Arc::clone(name), queue);
            }
        }
    }

    /// The server confirmed a name. A confirmation counts when no later command is under way.
    pub(super) fn confirm(&mut self, name: &[u8]) {
        let Ok(name) = std::str::from_utf8(name) else { return };
        let Some(subscription) = self.subscriptions.get_mut(name) else { return };
        if subscription.unconfirmed == 0 {
            return;
        }
        subscription.unconfirmed -= 1;
        self.unconfirmed -= 1;
        if subscription.unconfirmed > 0 {
            return;
        }
        if subscription.asked {
            for waiting in std::mem::take(&mut subscription.waiting) {
                // An error says that nobody waits any more.
                waiting.send(()).unwrap_or_default();
            }
        } else if !subscription.wanted {
            self.subscriptions.remove(name);
        }
    }

    /// The topic that a name stands for, if it is wanted.
    pub(super) fn topic(&self, name: &[u8]) -> Option<Topic> {
        let subscription = self.subscriptions.get(std::str::from_utf8(name).ok()?)?;
        subscription.wanted.then(|| subscription.topic.clone())
    }

    /// Whether everything wanted is subscribed.
    pub(super) fn is_fulfilled(&self) -> bool {
        self.queue.is_empty() && self.unconfirmed == 0 && !self.refused
    }

    /// Whether a caller was told too early that a topic is not subscribed; once.
    pub(super) fn take_late(&mut self) -> bool {
        std::mem::take(&mut self.late)
    }
}

fn encode(command: &[u8], names: &[Arc<str>], each: usize, bytes: &mut Vec<u8>) {
    for part in names.chunks(each) {
        let mut parts = vec![command];
        parts.extend(part.iter().map(|name| name.as_bytes()));
        bytes.extend(resp::encode(&parts));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(subscriptions: &SubscriptionSet) -> String {
        String::from_utf8(subscriptions.lock().commands()).unwrap().replace("\r\n", " ")
    }

    fn want(subscriptions: &SubscriptionSet, name: &str) -> SubscribeOutcome {
        subscriptions.want(name.to_owned(), Topic::Nodes)
    }

    #[test]
    fn a_subscription_that_changes_while_commands_are_under_way_ends_as_wanted() {
        let subscriptions = SubscriptionSet::new(false);
        subscriptions.lock().attach();
        let SubscribeOutcome::Waiting(mut first) = want(&subscriptions, "a") else { panic!() };
        assert!(text(&subscriptions).contains("$9 SUBSCRIBE"));
        subscriptions.unwant("a");
        assert!(text(&subscriptions).contains("UNSUBSCRIBE"));
        let SubscribeOutcome::Waiting(mut second) = want(&subscriptions, "a") else { panic!() };
        assert!(text(&subscriptions).contains("$9 SUBSCRIBE"));
        // The confirmations of the first SUBSCRIBE and of UNSUBSCRIBE are not that of the last.
        subscriptions.lock().confirm(b"a");
        subscriptions.lock().confirm(b"a");
        assert!(first.try_recv().is_err() && second.try_recv().is_err());
        subscriptions.lock().confirm(b"a");
        assert!(second.try_recv().is_ok());
        assert!(subscriptions.lock().is_fulfilled());
        assert!(matches!(want(&subscriptions, "a"), SubscribeOutcome::Done));
    }

    #[test]
    fn a_subscription_that_was_taken_back_in_time_costs_no_command() {
        let subscriptions = SubscriptionSet::new(false);
        subscriptions.lock().attach();
        drop(want(&subscriptions, "a"));
        subscriptions.unwant("a");
        assert_eq!(text(&subscriptions), "");
        assert!(subscriptions.lock().subscriptions.is_empty());
    }

    #[test]
    fn names_of_a_slot_that_is_moved_are_taken_out_and_wanted_elsewhere() {
        let (here, there) = (SubscriptionSet::new(true), SubscriptionSet::new(true));
        here.lock().attach();
        let SubscribeOutcome::Waiting(mut waiting) = want(&here, "a") else { panic!() };
        drop(want(&here, "b"));
        assert_eq!(text(&here).matches("$10 SSUBSCRIBE").count(), 2, "one name in each");
        here.lock().confirm(b"b");
        assert!(here.lock().end(b"b"), "nobody asked for that");
        here.lock().refuse(|name| name == "a");
        assert!(!here.lock().is_fulfilled());
        let moved = here.take_out(|name| name == "a");
        assert!(waiting.try_recv().is_err());
        for (name, topic) in moved {
            drop(there.want(name.to_string(), topic));
        }
        here.lock().retry_refused();
        assert!(text(&here).contains(" b "), "it is asked for again where it was");
        here.lock().confirm(b"b");
        assert!(here.lock().is_fulfilled() && here.lock().take_late());
        there.lock().attach();
        assert!(text(&there).contains(" a "));
    }

    #[test]
    fn a_hundred_thousand_subscriptions_go_out_in_few_commands_and_bounded_windows() {
        let subscriptions = SubscriptionSet::new(false);
        for n in 0..100_000 {
            assert!(matches!(want(&subscriptions, &format!("c{n}")), SubscribeOutcome::Detached));
        }
        subscriptions.lock().attach();
        let mut commands = 0;
        while !subscriptions.lock().is_fulfilled() {
            let bytes = subscriptions.lock().commands();
            let names: Vec<_> = bytes
                .split(|byte| *byte == b'\n')
                .filter(|line| line.starts_with(b"c"))
                .map(|line| line[..line.len() - 1].to_vec())
                .collect();
            assert!(names.len() <= UNCONFIRMED_MAX);
            commands += bytes.windows(9).filter(|part| part == b"SUBSCRIBE").count();
            for name in names {
                subscriptions.lock().confirm(&name);
            }
        }
        assert_eq!(commands, 100_000_usize.div_ceil(UNCONFIRMED_MAX) * 8 - 4);
        assert_eq!(subscriptions.lock().topic(b"c99999"), Some(Topic::Nodes));
    }
}
