//! What seed 003 tells of a task: its frames name status, title and progress each time, whatever the
//! event itself says. So a node that shows them keeps a summary of each task that it hears of.

use std::collections::HashMap;

use domain::event::{EventKind, State, entity::EntityKind};
use serde_json::Value;

/// How many tasks a node keeps in mind. Of those that are forgotten it knows what events say.
const TASKS_MAX: usize = 20_000;

/// Whether the page is told of events of this kind: everything of a task but its log.
pub(super) fn is_shown(kind: &EventKind) -> bool {
    *kind != EventKind::TaskLog && kind.entity() == Some(EntityKind::Task)
}

/// What is known of a task.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Summary {
    title: Option<Box<str>>,
    status: Option<Box<str>>,
    progress: Option<serde_json::Number>,
}

impl Summary {
    /// What a task's state says.
    pub(super) fn of(state: &State) -> Self {
        let text = |key| state.get(key).and_then(Value::as_str).map(Into::into);
        let progress = match state.get("progress") {
            Some(Value::Number(number)) => Some(number.clone()),
            _ => None,
        };
        Self { title: text("title"), status: text("status"), progress }
    }

    /// What is known after an event.
    #[must_use]
    pub(super) fn after(mut self, kind: &EventKind, body: &State) -> Self {
        let said = Self::of(body);
        let outcome = || {
            let failed = body.get("error").is_some_and(|error| !error.is_null());
            Box::from(if failed { "failed" } else { "completed" })
        };
        let step = match kind {
            EventKind::TaskResult => Some(outcome()),
            EventKind::TaskAssigned | EventKind::TaskAccepted | EventKind::TaskProgress => {
                Some("running".into())
            }
            EventKind::TaskReleased | EventKind::TaskRetried => Some("pending".into()),
            EventKind::TaskCancelled => Some("cancelled".into()),
            EventKind::TaskExpired => Some("expired".into()),
            _ => None,
        };
        self.title = said.title.or(self.title);
        self.status = said.status.or(step).or(self.status);
        self.progress = said.progress.or(self.progress);
        self
    }

    /// `queued`, `running`, `completed`, `failed`, in the words of the page.
    pub(super) fn status(&self) -> &str {
        match self.status.as_deref() {
            None | Some("pending") => "queued",
            Some("assigned") => "running",
            Some("abandoned" | "cancelled" | "expired") => "failed",
            Some(other) => other,
        }
    }

    /// The task's title.
    pub(super) fn query(&self) -> &str {
        self.title.as_deref().unwrap_or_default()
    }

    /// How far it is; 100 for one that is completed.
    pub(super) fn progress(&self) -> Value {
        match &self.progress {
            Some(progress) => progress.clone().into(),
            None if self.status() == "completed" => 100.into(),
            None => 0.into(),
        }
    }

    /// Whether it says what no later event of the task needs to say again.
    fn is_whole(&self) -> bool {
        self.title.is_some()
    }
}

/// The tasks that a node has heard of.
#[derive(Debug, Default)]
pub(super) struct Summaries {
    known: HashMap<Box<str>, Summary>,
}

impl Summaries {
    /// Whether the database has to be asked before an event of this task is written.
    pub(super) fn lacks(&self, task: &str, kind: &EventKind) -> bool {
        *kind != EventKind::TaskCreated && !self.known.get(task).is_some_and(Summary::is_whole)
    }

    /// Remembers what is known of a task.
    pub(super) fn insert(&mut self, task: &str, summary: Summary) {
        if self.known.len() >= TASKS_MAX {
            self.known.clear();
        }
        self.known.insert(task.into(), summary);
    }

    /// Returns and remembers what is known of a task after an event.
    pub(super) fn advance(&mut self, task: &str, kind: &EventKind, body: &State) -> Summary {
        let summary = self.known.remove(task).unwrap_or_default().after(kind, body);
        self.insert(task, summary.clone());
        summary
    }
}
