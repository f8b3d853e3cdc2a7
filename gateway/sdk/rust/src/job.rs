//! One task in an agent's hands.

use std::time::Duration;

use serde::Deserialize;
use serde_json::{Value, json};
use tokio::sync::watch;

use crate::{Json, agent_command::AgentCommand, handler::Commands};

/// Why the work on a job was stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Cancelled {
    /// Somebody wanted it.
    Cancelled,
    /// It took too long.
    Timeout,
    /// It is another agent's.
    Stale,
    /// The server was not heard for the job's grace, so it is given to another.
    Lost,
}

/// A task that had to complete first.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Dependency {
    /// Its id.
    pub task_id: String,
    /// Its result; null where all of them together were too large.
    #[serde(default)]
    pub result: Value,
}

/// The `task` frame.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct TaskFrame {
    task_id: String,
    #[serde(default)]
    task_type: Option<String>,
    #[serde(default)]
    payload: Option<Json>,
    #[serde(default)]
    attempt: Option<u64>,
    #[serde(default)]
    grace_ms: Option<u64>,
    #[serde(default)]
    timeout_ms: Option<u64>,
    #[serde(default)]
    priority: Option<u8>,
    #[serde(default)]
    dependencies: Vec<Dependency>,
}

/// A task, and what its agent says of it while it works.
#[derive(Clone, Debug)]
pub struct Job {
    /// The task.
    pub id: String,
    /// Its executor.
    pub kind: String,
    /// What the agent is given.
    pub payload: Json,
    /// Which attempt this is; none for a task that goes to all agents.
    pub attempt: Option<u64>,
    /// How long without a word from the server until the work must stop.
    pub grace: Option<Duration>,
    /// How long the attempt may run after its last progress.
    pub timeout: Option<Duration>,
    /// 0 to 9.
    pub priority: Option<u8>,
    /// The tasks that had to complete first.
    pub dependencies: Vec<Dependency>,
    pub(crate) cancelled: watch::Receiver<Option<Cancelled>>,
    words: Commands<AgentCommand>,
}

impl Job {
    pub(crate) fn new(
        frame: TaskFrame,
        words: Commands<AgentCommand>,
        cancelled: watch::Receiver<Option<Cancelled>>,
    ) -> Self {
        Self {
            id: frame.task_id,
            kind: frame.task_type.unwrap_or_else(|| "unknown".to_owned()),
            payload: frame.payload.unwrap_or_default(),
            attempt: frame.attempt,
            grace: frame.grace_ms.map(Duration::from_millis),
            timeout: frame.timeout_ms.map(Duration::from_millis),
            priority: frame.priority,
            dependencies: frame.dependencies,
            cancelled,
            words,
        }
    }

    /// Why the work must stop; none while it may go on. Handlers are dropped then; what they
    /// started elsewhere has to look here.
    #[must_use]
    pub fn cancelled(&self) -> Option<Cancelled> {
        *self.cancelled.borrow()
    }

    /// Says how far it is; this also begins the time-out anew.
    pub fn progress(&self, progress: f64, message: &str) {
        let mut said = json!({ "progress": progress });
        if !message.is_empty() {
            said["message"] = message.into();
        }
        self.tell("task-progress", said);
    }

    /// Adds a line to the task's log.
    pub fn log(&self, line: &str) {
        self.tell("task-log", json!({ "lines": [line] }));
    }

    /// Says something of this attempt; a task for all has no words but its result.
    fn tell(&self, kind: &str, what: Value) {
        if self.attempt.is_some() && self.cancelled().is_none() {
            self.words.send(AgentCommand::Say(self.named(kind, what)));
        }
    }

    /// What names the task and its attempt, in every frame.
    pub(crate) fn name(&self) -> Value {
        self.named("", json!({}))
    }

    pub(crate) fn named(&self, kind: &str, what: Value) -> Value {
        let mut frame = json!({ "taskId": self.id });
        if !kind.is_empty() {
            frame["type"] = kind.into();
        }
        if let Some(attempt) = self.attempt {
            frame["attempt"] = attempt.into();
        }
        if let (Value::Object(frame), Value::Object(what)) = (&mut frame, what) {
            frame.extend(what);
        }
        frame
    }
}
