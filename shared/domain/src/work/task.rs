//! The row of a task for one: what it asks for, and how far it is.

use serde::{Deserialize, Serialize};

use super::spec::TaskSpec;

/// The most agents whose rejection of a task is remembered; of more the oldest is forgotten.
pub const REJECTIONS_MAX: usize = 256;

/// How far a task for one is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TaskStatus {
    /// Waits for an agent.
    Pending,
    /// An agent was chosen and has not begun.
    Assigned,
    /// An agent works on it.
    Running,
    /// An agent did it.
    Completed,
    /// It ended without having been done.
    Failed,
    /// Whoever could wanted it no more.
    Cancelled,
    /// It waited too long for its first agent.
    Expired,
}

impl TaskStatus {
    /// Every status, in the order of a task's life.
    pub const ALL: [Self; 7] = [
        Self::Pending,
        Self::Assigned,
        Self::Running,
        Self::Completed,
        Self::Failed,
        Self::Cancelled,
        Self::Expired,
    ];

    /// Returns the word on the wire.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Assigned => "assigned",
            Self::Running => "running",
            Self::Completed => "completed",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
            Self::Expired => "expired",
        }
    }

    /// Whether it is an end.
    pub const fn is_end(self) -> bool {
        !matches!(self, Self::Pending | Self::Assigned | Self::Running)
    }
}

/// The row of a task for one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Task {
    /// What it asks for.
    pub spec: TaskSpec,
    /// Without another step of its attempt for so long, that is a time-out, ms.
    pub lease_ms: Option<i64>,
    /// How far it is.
    pub status: TaskStatus,
    /// The number of the last attempt; 0 before the first.
    pub attempt: u64,
    /// The agent that has the current attempt, or had the last one.
    pub holder: Option<Box<str>>,
    /// Whether the holder itself said that it began.
    pub begun: bool,
    /// Attempts that ended lost, timed out or failed since the last retry by hand.
    pub spent: u32,
    /// Agents that rejected it since then.
    pub rejected_by: Vec<Box<str>>,
    /// Not assigned before, ms since 1970.
    pub ready_at: i64,
    /// Whether `ready_at` is the end of a pause after an attempt.
    pub pausing: bool,
    /// When it expires, unless it is assigned before.
    pub expires_at: Option<i64>,
    /// When the current attempt has run too long.
    pub timeout_at: Option<i64>,
    /// When its lease is over.
    pub lease_at: Option<i64>,
    /// Why it ended, where the worker ended it.
    pub reason: Option<Box<str>>,
    /// The last attempt that gave a result, and the fingerprint of that.
    pub answered: Option<(u64, i64)>,
    /// Since when it is at its end, ms since 1970.
    pub ended_at: Option<i64>,
}

impl Task {
    /// Returns a task that is recorded now.
    pub fn new(spec: TaskSpec, lease_ms: Option<i64>, now: i64) -> Self {
        let mut task = Self {
            spec,
            lease_ms,
            status: TaskStatus::Pending,
            attempt: 0,
            holder: None,
            begun: false,
            spent: 0,
            rejected_by: Vec::new(),
            ready_at: 0,
            pausing: false,
            expires_at: None,
            timeout_at: None,
            lease_at: None,
            reason: None,
            answered: None,
            ended_at: None,
        };
        task.begin_waiting(now);
        task
    }

    /// Begins to wait for a first assignment: after its recording, and after a retry by hand.
    pub(super) fn begin_waiting(&mut self, now: i64) {
        self.status = TaskStatus::Pending;
        self.ready_at = self.spec.not_before.unwrap_or(0);
        self.pausing = false;
        let from = self.ready_at.max(now);
        self.expires_at = self.spec.expires_ms.map(|ms| from.saturating_add(ms));
        (self.spent, self.reason, self.ended_at) = (0, None, None);
        self.rejected_by.clear();
    }

    /// Whether an agent has an attempt of it now.
    pub const fn is_held(&self) -> bool {
        matches!(self.status, TaskStatus::Assigned | TaskStatus::Running)
    }

    /// Returns when the owner has to look at it again, unless something happens before.
    pub fn due_at(&self) -> Option<i64> {
        let of_wait = self.expires_at.filter(|_| self.status == TaskStatus::Pending);
        let of_attempt = [self.timeout_at, self.lease_at].into_iter().flatten().min();
        of_wait.or(of_attempt.filter(|_| self.is_held()))
    }
}
