//! Readers: each follows one case, by the dice of its own, and writes down what it does and sees.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use domain::{channel::Channel, position::Position};
use rand::{RngExt as _, SeedableRng as _, rngs::StdRng};
use tokio::{task::JoinSet, time::Instant};
use tokio_util::sync::CancellationToken;

use crate::{
    judge::{Step, violations},
    node::Node,
    owner::Case,
    sse::{EventStream, Frame},
};

/// How often it is looked whether everybody has arrived.
pub(crate) const GLANCE: Duration = Duration::from_millis(20);

/// How late a reader comes, at most.
const LATE_MS_MAX: u64 = 4000;

/// For how long it reads nothing or stays away, at most.
const PAUSE_MS_MAX: u64 = 800;

/// Where a reader begins.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Start {
    /// After this offset.
    After(u64),
    /// Wherever the case is, with so many of the last events.
    Head { tail: u64 },
}

/// What a reader does beside reading.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Temper {
    /// Nothing.
    Steady,
    /// It comes late, reads nothing for a while, leaves and comes back.
    Restless,
}

/// What a reader did and saw.
pub(crate) struct History {
    pub(crate) name: String,
    pub(crate) steps: Vec<Step>,
    last: u64,
}

impl History {
    pub(crate) fn violations(&self) -> Vec<String> {
        violations(&self.steps, self.last)
    }
}

/// All readers of a run.
#[derive(Default)]
pub(crate) struct Crowd {
    readers: JoinSet<History>,
    arrived: Arc<AtomicUsize>,
    over: CancellationToken,
}

impl Crowd {
    pub(crate) fn add(
        &mut self,
        node: &Arc<Node>,
        case: &Arc<Case>,
        start: Start,
        temper: Temper,
        seed: u64,
    ) {
        let name =
            format!("{}, reader {}, {temper:?}, {start:?}", case.channel, self.readers.len());
        let reader = Reader {
            node: Arc::clone(node),
            case: Arc::clone(case),
            start,
            temper,
            last_id: None,
            dice: StdRng::seed_from_u64(seed),
            history: History { name, steps: Vec::new(), last: case.last },
            arrived: Arc::clone(&self.arrived),
        };
        self.readers.spawn(reader.run(self.over.clone()));
    }

    pub(crate) fn len(&self) -> usize {
        self.readers.len()
    }

    /// Waits until `all` arrivals at the end of a case were counted, or until patience ends.
    pub(crate) async fn arrivals(&self, all: usize, patience: Duration) {
        let deadline = Instant::now() + patience;
        while self.arrived.load(Ordering::Relaxed) < all && Instant::now() < deadline {
            tokio::time::sleep(GLANCE).await;
        }
    }

    /// Sends everybody home; what they saw.
    pub(crate) async fn go_home(self) -> Vec<History> {
        self.over.cancel();
        self.readers.join_all().await
    }
}

struct Reader {
    node: Arc<Node>,
    case: Arc<Case>,
    start: Start,
    temper: Temper,
    last_id: Option<String>,
    dice: StdRng,
    history: History,
    arrived: Arc<AtomicUsize>,
}

impl Reader {
    async fn run(mut self, over: CancellationToken) -> History {
        let _over = over.run_until_cancelled(self.read()).await;
        self.history
    }

    async fn read(&mut self) {
        if self.temper == Temper::Restless && self.dice.random_bool(0.6) {
            self.pause(LATE_MS_MAX).await;
        }
        loop {
            let mut stream = self.open().await;
            loop {
                let Some((id, frame)) = stream.next().await else {
                    self.history.steps.push(Step::Wrong(String::from("the stream ended")));
                    return;
                };
                let step = self.understand(id.as_deref(), &frame);
                self.last_id = id.or(self.last_id.take());
                if self.note(step) {
                    self.arrived.fetch_add(1, Ordering::Relaxed);
                    self.temper = Temper::Steady;
                }
                match (self.temper, self.dice.random_range(0..100)) {
                    (Temper::Restless, 0..15) => break,
                    (Temper::Restless, 15..35) => self.pause(PAUSE_MS_MAX).await,
                    _ => {}
                }
            }
            self.history.steps.push(Step::Left);
            drop(stream);
            if self.dice.random_bool(0.5) {
                self.pause(PAUSE_MS_MAX).await;
            }
        }
    }

    /// Opens a stream where the last one ended, in one of the ways in which that can be said.
    async fn open(&mut self) -> EventStream {
        let channel = &self.case.channel;
        let mut path = format!("/v1/events?channel={channel}");
        let mut opened = Step::Opened { since: None, tail: 0 };
        let mut header = None;
        if let Some(id) = &self.last_id {
            // The id of a stream of one channel is its position.
            opened = Step::Opened { since: self.offset(id), tail: 0 };
            match self.dice.random_range(0..3) {
                0 => header = Some(id.as_str()),
                1 => path = format!("{path}&lastEventId={id}"),
                _ => path = format!("{path}&since={id}"),
            }
        } else {
            match self.start {
                Start::Head { tail: 0 } => {}
                Start::Head { tail } => {
                    opened = Step::Opened { since: None, tail };
                    path = format!("{path}&tail={tail}");
                }
                Start::After(offset) => {
                    opened = Step::Opened { since: Some(offset), tail: 0 };
                    path = format!("{path}&since={}", self.at(channel, offset));
                }
            }
        }
        self.history.steps.push(opened);
        EventStream::open(&self.node.router, &path, header).await
    }

    fn at(&self, channel: &Channel, offset: u64) -> String {
        let offsets = [(channel.home(), offset)].into_iter().collect();
        Position { epoch: self.node.record.epoch(), offsets }.show(channel)
    }

    /// The offset of a position of this case and database.
    fn offset(&self, position: &str) -> Option<u64> {
        let position = Position::parse(&self.case.channel, position).ok()?;
        (position.epoch == self.node.record.epoch()).then(|| position.offsets.total())
    }

    /// What a frame means; none when it says nothing of events.
    fn understand(&self, id: Option<&str>, frame: &Frame) -> Option<Step> {
        if matches!(frame.kind.as_str(), "welcome" | "status") {
            return None;
        }
        let known = self.step(id, frame);
        Some(known.unwrap_or_else(|| Step::Wrong(format!("id {id:?}, {frame:?}"))))
    }

    fn step(&self, id: Option<&str>, frame: &Frame) -> Option<Step> {
        let channel = self.case.channel.as_str();
        if frame.channel.as_deref() != Some(channel) || frame.cause.is_some() {
            return None;
        }
        let position = frame.position.as_deref()?;
        let offset = self.offset(position)?;
        match frame.kind.as_str() {
            "subscribed" => {
                let head = self.offset(frame.head.as_deref()?)?;
                let number = frame.state.as_ref().map(|state| state.n);
                Some(Step::Subscribed { position: offset, head, number })
            }
            "event" if frame.tail => {
                id.is_none().then_some(Step::Tail { offset, number: frame.data.as_ref()?.n })
            }
            "event" => (id == Some(position))
                .then_some(Step::Event { offset, number: frame.data.as_ref()?.n }),
            _ => None,
        }
    }

    /// Writes a step down; whether it led to the end of the case.
    fn note(&mut self, step: Option<Step>) -> bool {
        let Some(step) = step else { return false };
        let last = self.case.last;
        let arrived = match &step {
            Step::Event { offset, .. } => *offset == last,
            Step::Subscribed { position, .. } => *position == last,
            _ => false,
        };
        self.history.steps.push(step);
        arrived
    }

    async fn pause(&mut self, ms_max: u64) {
        let ms = self.dice.random_range(0..ms_max);
        self.history.steps.push(Step::Paused(ms));
        tokio::time::sleep(Duration::from_millis(ms)).await;
    }
}
