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

/// The wishes of this process, shared by those who wish and the task that fulfils.
#[derive(Debug, Default)]
pub(super) struct Wishes {
    state: Mutex<State>,
    /// Something is to be done for a wish.
    changed: Notify,
}

#[derive(Debug, Default)]
pub(super) struct State {
    wishes: HashMap<Arc<str>, Wish>,
    /// Names whose wish and subscription may differ.
    queue: VecDeque<Arc<str>>,
    /// Names in commands that were sent and not confirmed.
    unconfirmed: usize,
    attached: bool,
    /// Somebody was told that a topic is not subscribed, and it will be on this connection.
    late: bool,
}

#[derive(Debug)]
struct Wish {
    topic: Topic,
    wanted: bool,
    /// The last command about it was SUBSCRIBE.
    asked: bool,
    /// Commands about it without confirmation: a confirmation counts only when it is the last one.
    unconfirmed: u32,
    queued: bool,
    waiting: Vec<oneshot::Sender<()>>,
}

/// How a new wish stands.
pub(super) enum Standing {
    /// Subscribed.
    Done,
    /// The receiver hears when it is, or is closed when the connection is lost.
    Waiting(oneshot::Receiver<()>),
    /// There is no connection; it follows with the next one.
    Detached,
}

impl Wishes {
    /// For looking at several frames under one lock.
    pub(super) fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock_unpoisoned()
    }

    /// Resolves when there may be commands to send.
    pub(super) async fn changed(&self) {
        self.changed.notified().await;
    }

    pub(super) fn want(&self, name: String, topic: Topic) -> Standing {
        let mut state = self.lock();
        let State { wishes, queue, attached, .. } = &mut *state;
        let name: Arc<str> = name.into();
        let wish = wishes.entry(Arc::clone(&name)).or_insert_with(|| Wish::new(topic));
        wish.wanted = true;
        if !*attached {
            return Standing::Detached;
        }
        if wish.asked && wish.unconfirmed == 0 {
            return Standing::Done;
        }
        let (sender, receiver) = oneshot::channel();
        wish.waiting.push(sender);
        wish.enqueue(name, queue);
        drop(state);
        self.changed.notify_one();
        Standing::Waiting(receiver)
    }

    pub(super) fn unwant(&self, name: &str) {
        let mut state = self.lock();
        let State { wishes, queue, attached, .. } = &mut *state;
        let Some((name, _)) = wishes.get_key_value(name) else { return };
        let name = Arc::clone(name);
        let Some(wish) = wishes.get_mut(&name) else { return };
        wish.wanted = false;
        wish.waiting.clear();
        if *attached {
            wish.enqueue(name, queue);
            drop(state);
            self.changed.notify_one();
        } else {
            wishes.remove(&name);
        }
    }

    /// Somebody stopped waiting for a confirmation that may still come.
    pub(super) fn note_late(&self) {
        self.lock().late = true;
        self.changed.notify_one();
    }
}

impl Wish {
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

impl State {
    /// A new connection knows nothing: everything wanted is to be asked for.
    pub(super) fn attach(&mut self) {
        self.detach();
        self.attached = true;
        for (name, wish) in &mut self.wishes {
            wish.enqueue(Arc::clone(name), &mut self.queue);
        }
    }

    /// The connection is gone; who waits for a confirmation hears that none comes.
    pub(super) fn detach(&mut self) {
        self.attached = false;
        self.late = false;
        self.unconfirmed = 0;
        self.queue.clear();
        self.wishes.retain(|_, wish| wish.wanted);
        for wish in self.wishes.values_mut() {
            wish.asked = false;
            wish.unconfirmed = 0;
            wish.queued = false;
            wish.waiting.clear();
        }
    }

    /// Commands for as many wishes as may be under way.
    pub(super) fn commands(&mut self) -> Vec<u8> {
        let (mut wanted, mut unwanted) = (Vec::new(), Vec::new());
        while self.unconfirmed < UNCONFIRMED_MAX {
            let Some(name) = self.queue.pop_front() else { break };
            let Some(wish) = self.wishes.get_mut(&name) else { continue };
            wish.queued = false;
            if wish.wanted == wish.asked {
                if !wish.wanted && wish.unconfirmed == 0 {
                    self.wishes.remove(&name);
                }
                continue;
            }
            wish.asked = wish.wanted;
            wish.unconfirmed += 1;
            self.unconfirmed += 1;
            if wish.wanted { wanted.push(name) } else { unwanted.push(name) }
        }
        let mut bytes = Vec::new();
        encode(b"SUBSCRIBE", &wanted, &mut bytes);
        encode(b"UNSUBSCRIBE", &unwanted, &mut bytes);
        bytes
    }

    /// The server confirmed a name. A confirmation counts when no later command is under way.
    pub(super) fn confirm(&mut self, name: &[u8]) {
        let Ok(name) = std::str::from_utf8(name) else { return };
        let Some(wish) = self.wishes.get_mut(name) else { return };
        if wish.unconfirmed == 0 {
            return;
        }
        wish.unconfirmed -= 1;
        self.unconfirmed -= 1;
        if wish.unconfirmed > 0 {
            return;
        }
        if wish.asked {
            for waiting in std::mem::take(&mut wish.waiting) {
                // An error says that nobody waits any more.
                waiting.send(()).unwrap_or_default();
            }
        } else if !wish.wanted {
            self.wishes.remove(name);
        }
    }

    /// The topic that a name stands for, if it is wanted.
    pub(super) fn topic(&self, name: &[u8]) -> Option<Topic> {
        let wish = self.wishes.get(std::str::from_utf8(name).ok()?)?;
        wish.wanted.then(|| wish.topic.clone())
    }

    /// Whether everything wanted is subscribed.
    pub(super) fn is_fulfilled(&self) -> bool {
        self.queue.is_empty() && self.unconfirmed == 0
    }

    /// Whether somebody was told too early that a topic is not subscribed; once.
    pub(super) fn take_late(&mut self) -> bool {
        std::mem::take(&mut self.late)
    }
}

fn encode(command: &[u8], names: &[Arc<str>], bytes: &mut Vec<u8>) {
    for part in names.chunks(NAMES_MAX) {
        let mut parts = vec![command];
        parts.extend(part.iter().map(|name| name.as_bytes()));
        bytes.extend(resp::encode(&parts));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(wishes: &Wishes) -> String {
        String::from_utf8(wishes.lock().commands()).unwrap().replace("\r\n", " ")
    }

    fn want(wishes: &Wishes, name: &str) -> Standing {
        wishes.want(name.to_owned(), Topic::Nodes)
    }

    #[test]
    fn a_wish_that_changes_while_commands_are_under_way_ends_as_wished() {
        let wishes = Wishes::default();
        wishes.lock().attach();
        let Standing::Waiting(mut first) = want(&wishes, "a") else { panic!() };
        assert!(text(&wishes).contains("$9 SUBSCRIBE"));
        wishes.unwant("a");
        assert!(text(&wishes).contains("UNSUBSCRIBE"));
        let Standing::Waiting(mut second) = want(&wishes, "a") else { panic!() };
        assert!(text(&wishes).contains("$9 SUBSCRIBE"));
        // The confirmations of the first SUBSCRIBE and of UNSUBSCRIBE are not that of the last.
        wishes.lock().confirm(b"a");
        wishes.lock().confirm(b"a");
        assert!(first.try_recv().is_err() && second.try_recv().is_err());
        wishes.lock().confirm(b"a");
        assert!(second.try_recv().is_ok());
        assert!(wishes.lock().is_fulfilled());
        assert!(matches!(want(&wishes, "a"), Standing::Done));
    }

    #[test]
    fn a_wish_that_was_taken_back_in_time_costs_no_command() {
        let wishes = Wishes::default();
        wishes.lock().attach();
        drop(want(&wishes, "a"));
        wishes.unwant("a");
        assert_eq!(text(&wishes), "");
        assert!(wishes.lock().wishes.is_empty());
    }

    #[test]
    fn a_hundred_thousand_wishes_go_out_in_few_commands_and_bounded_windows() {
        let wishes = Wishes::default();
        for n in 0..100_000 {
            assert!(matches!(want(&wishes, &format!("c{n}")), Standing::Detached));
        }
        wishes.lock().attach();
        let mut commands = 0;
        while !wishes.lock().is_fulfilled() {
            let bytes = wishes.lock().commands();
            let names: Vec<_> = bytes
                .split(|byte| *byte == b'\n')
                .filter(|line| line.starts_with(b"c"))
                .map(|line| line[..line.len() - 1].to_vec())
                .collect();
            assert!(names.len() <= UNCONFIRMED_MAX);
            commands += bytes.windows(9).filter(|part| part == b"SUBSCRIBE").count();
            for name in names {
                wishes.lock().confirm(&name);
            }
        }
        assert_eq!(commands, 100_000_usize.div_ceil(UNCONFIRMED_MAX) * 8 - 4);
        assert_eq!(wishes.lock().topic(b"c99999"), Some(Topic::Nodes));
    }
}
