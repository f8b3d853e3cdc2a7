//! The jobs of an agent, and the frames that speak of them (contract §8, "Agents").

use std::{
    collections::{HashMap, VecDeque},
    ops::ControlFlow,
    time::{Duration, Instant},
};

use serde_json::{Value, json};
use tokio::sync::watch;

use crate::{
    Json,
    agent_command::AgentCommand,
    error::Error,
    frame::Frame,
    handler::{Commands, Handler, Need},
    job::{Cancelled, Job, TaskFrame},
    session::{Session, Sessions},
    wire::Id,
    work::Work,
};

/// Lines and progress that wait for a connection; the oldest go first.
const UNSAID_MAX: usize = 1000;
/// What a frame holds beside its result.
const ENVELOPE_BYTES: usize = 1024;

/// Who an agent is, to the server.
#[derive(Clone, Debug, Default)]
pub(crate) struct Profile {
    pub capabilities: Vec<String>,
    pub slots: u32,
    pub metadata: Json,
}

struct Held {
    job: Job,
    cancel: watch::Sender<Option<Cancelled>>,
}

/// Takes tasks, has them worked on, and keeps each result until the server has recorded it.
pub(crate) struct Desk {
    profile: Profile,
    work: Work,
    words: Commands<AgentCommand>,
    jobs: HashMap<String, Held>,
    owed: HashMap<String, Value>,
    unsaid: VecDeque<Value>,
    acknowledged: Option<Id>,
    heard: Instant,
}

impl Desk {
    pub(crate) fn new(profile: Profile, work: Work, words: Commands<AgentCommand>) -> Self {
        Self {
            profile,
            work,
            words,
            jobs: HashMap::new(),
            owed: HashMap::new(),
            unsaid: VecDeque::new(),
            acknowledged: None,
            heard: Instant::now(),
        }
    }

    /// Sends a frame; what cannot be sent now waits. A result of an attempt is owed anyway.
    fn announce(&mut self, sessions: &mut Sessions, frame: Value) {
        if let Some(session) = sessions.current() {
            return session.send(frame);
        }
        if frame["type"] != "task-result" || frame["attempt"].is_null() {
            if self.unsaid.len() == UNSAID_MAX {
                self.unsaid.pop_front();
            }
            self.unsaid.push_back(frame);
        }
    }

    fn take(&mut self, sessions: &mut Sessions, frame: TaskFrame) {
        let (cancel, cancelled) = watch::channel(None);
        let job = Job::new(frame, self.words.clone(), cancelled);
        if let Some(held) = self.jobs.get(&job.id) {
            if held.job.attempt == job.attempt {
                return; // Sent again: it is in hand.
            }
            self.drop_job(&job.id.clone(), Cancelled::Stale);
        }
        match self.owed.get(&job.id) {
            Some(owed) if is_of(owed, &job.name()) => return self.announce(sessions, owed.clone()),
            _ => self.owed.remove(&job.id),
        };
        if let Some(reason) = (self.work.refuse)(&job) {
            return self.announce(sessions, job.named("task-reject", json!({ "reason": reason })));
        }
        if job.attempt.is_some() {
            self.announce(sessions, job.named("task-accept", json!({})));
        }
        self.begin(job.clone());
        self.jobs.insert(job.id.clone(), Held { job, cancel });
    }

    /// Works in a task of its own, which ends when the job is stopped.
    fn begin(&self, job: Job) {
        let (work, words) = ((self.work.handle)(job.clone()), self.words.clone());
        #[expect(clippy::disallowed_methods, reason = "it ends when the job is stopped")]
        tokio::spawn(async move {
            let (id, attempt) = (job.id.clone(), job.attempt);
            let mut cancelled = job.cancelled.clone();
            let stopped = async move { cancelled.wait_for(Option::is_some).await.is_ok() };
            let outcome = tokio::select! {
                outcome = work => outcome,
                _ = stopped => return,
            };
            words.deliver(AgentCommand::Done { id, attempt, outcome }).await;
        });
    }

    fn done(
        &mut self,
        sessions: &mut Sessions,
        id: &str,
        attempt: Option<u64>,
        outcome: Result<Value, String>,
    ) {
        let is_held = self.jobs.get(id).is_some_and(|held| held.job.attempt == attempt);
        let Some(held) = self.jobs.remove(id).filter(|_| is_held) else { return };
        let frame_bytes =
            sessions.current().map_or(usize::MAX, |session| session.limits().frame_bytes);
        let outcome = outcome.and_then(|result| {
            let fits = result.to_string().len() <= frame_bytes.saturating_sub(ENVELOPE_BYTES);
            if fits { Ok(result) } else { Err("too_large".to_owned()) }
        });
        let said = match outcome {
            Ok(result) => json!({ "status": "completed", "result": result }),
            Err(error) => json!({ "status": "failed", "result": { "error": error } }),
        };
        let frame = held.job.named("task-result", said);
        if attempt.is_some() {
            self.owed.insert(id.to_owned(), frame.clone());
        }
        self.announce(sessions, frame);
    }

    fn drop_job(&mut self, id: &str, why: Cancelled) {
        if let Some(held) = self.jobs.remove(id) {
            held.cancel.send_replace(Some(why));
        }
    }

    fn stop_all(&mut self, why: Cancelled) {
        for (_, held) in self.jobs.drain() {
            held.cancel.send_replace(Some(why));
        }
    }

    /// Stops work whose grace is over.
    fn stop_silent(&mut self) {
        let silence = self.heard.elapsed();
        let late = |held: &&Held| held.job.grace.is_some_and(|grace| silence >= grace);
        let late: Vec<String> =
            self.jobs.values().filter(late).map(|held| held.job.id.clone()).collect();
        for id in late {
            self.drop_job(&id, Cancelled::Lost);
        }
    }

    fn shortest_grace(&self) -> Option<Duration> {
        self.jobs.values().filter_map(|held| held.job.grace).min()
    }
}

impl Handler for Desk {
    type Command = AgentCommand;

    /// Agents need both directions.
    fn query(&mut self, _: &mut Session) -> Vec<(String, String)> {
        Vec::new()
    }

    /// Says who we are and what we still run, then what was done or said meanwhile.
    fn ready(&mut self, session: &mut Session) {
        let held = self.jobs.values().map(|held| held.job.name());
        let owed = self
            .owed
            .values()
            .map(|frame| json!({ "taskId": frame["taskId"], "attempt": frame["attempt"] }));
        let running: Vec<Value> =
            held.chain(owed).filter(|one| !one["attempt"].is_null()).collect();
        let mut metadata = Value::Object(self.profile.metadata.clone());
        metadata["slots"] = self.profile.slots.into();
        metadata["accepts"] = true.into();
        metadata["cancels"] = true.into();
        metadata["running"] = running.into();
        session.send(json!({
            "type": "agent-status", "status": "online",
            "capabilities": self.profile.capabilities, "metadata": metadata,
        }));
        for frame in self.unsaid.drain(..).chain(self.owed.values().cloned()) {
            session.send(frame);
        }
    }

    fn command(&mut self, sessions: &mut Sessions, word: AgentCommand) -> ControlFlow<()> {
        match word {
            AgentCommand::Start => {}
            AgentCommand::Say(frame) => self.announce(sessions, frame),
            AgentCommand::Done { id, attempt, outcome } => {
                self.done(sessions, &id, attempt, outcome);
            }
            AgentCommand::Stop => {
                self.stop_all(Cancelled::Lost);
                // So that its tasks go to others at once.
                self.announce(sessions, json!({ "type": "agent-status", "status": "offline" }));
                return ControlFlow::Break(());
            }
        }
        ControlFlow::Continue(())
    }

    fn question(&mut self, _: &mut Session, _: &str) -> Option<Value> {
        None
    }

    fn hear(&mut self, sessions: &mut Sessions, id: Id, frame: Frame) {
        let name = Value::Object(frame.body.clone());
        let task = frame.text("taskId").unwrap_or_default().to_owned();
        match frame.kind() {
            "task" => {
                if let Some(frame) = frame.read() {
                    self.take(sessions, frame);
                }
            }
            "task-cancel" => {
                let is_held =
                    self.jobs.get(&task).is_some_and(|held| is_of(&held.job.name(), &name));
                if is_held {
                    let why = frame.body.get("reason").cloned().unwrap_or_default();
                    let why = serde_json::from_value(why).unwrap_or(Cancelled::Cancelled);
                    self.drop_job(&task, why);
                }
                self.owed.retain(|_, owed| !is_of(owed, &name));
            }
            "task-recorded" => self.owed.retain(|_, owed| !is_of(owed, &name)),
            "ack" => self.acknowledged = Some(id),
            "ping" => {
                let pong = json!({ "type": "pong", "timestamp": name["timestamp"] });
                if let Some(session) = sessions.get(id) {
                    session.send(pong);
                }
            }
            "error" => {
                let message = frame.text("message").unwrap_or_default();
                tracing::warn!(message, "agent: the server refused a frame");
            }
            _ => {}
        }
    }

    fn lost(&mut self, _: &mut Sessions, id: Id) {
        if self.acknowledged == Some(id) {
            self.acknowledged = None;
        }
    }

    /// The server before is needed until the next one knows us.
    fn settled(&self, id: Id) -> bool {
        self.acknowledged == Some(id)
    }

    /// Asks for signs of life while work depends on them.
    fn tick(&mut self, session: Option<&mut Session>) -> Option<Need> {
        let grace = self.shortest_grace();
        if let Some(session) = session {
            self.heard = self.heard.max(session.heard);
            session.ping_every = grace.map(|grace| grace / 3);
        }
        self.stop_silent();
        None
    }

    fn end(&mut self, _: &Error) {
        self.stop_all(Cancelled::Lost);
    }
}

/// Whether two frames speak of the same attempt of the same task.
fn is_of(held: &Value, frame: &Value) -> bool {
    held["taskId"] == frame["taskId"] && held["attempt"] == frame["attempt"]
}
