//! What an agent offers on its socket, and how it is told of its work.

use domain::event::Rejection;
use store::{AgentSocket, Attempts, Claimed};
use websocket::Frame;

/// What an agent said of itself on a socket.
#[derive(Debug)]
pub struct AgentOffer {
    /// The row of the socket.
    pub socket: AgentSocket,
    /// Whether it is the first of this socket.
    pub is_first: bool,
    /// The attempts that it still runs, where it says so.
    pub running: Option<Attempts>,
    /// How its frames are written.
    pub frames: &'static dyn AgentFrames,
}

/// A task on its way to its agent.
#[derive(Debug)]
pub struct TaskHandover<'a> {
    /// The task.
    pub id: &'a str,
    /// The number of the attempt.
    pub attempt: u64,
    /// What was claimed.
    pub claimed: &'a Claimed,
    /// How long an agent may be away before the attempt is lost, ms.
    pub grace_ms: u64,
    /// The longest run of the attempt, ms.
    pub timeout_ms: u64,
}

/// Writes the frames that agents get of tasks for one.
pub trait AgentFrames: Send + Sync + std::fmt::Debug {
    /// Returns the frame that hands a task over.
    fn task(&self, handover: &TaskHandover<'_>) -> Frame;

    /// Returns the frame that tells an agent to stop: `cancelled`, `timeout` or `stale`.
    fn cancel(&self, task: &str, attempt: u64, reason: &str) -> Frame;

    /// Returns the frame that says that a result is recorded.
    fn recorded(&self, task: &str, attempt: u64) -> Frame;

    /// Returns the frame that says why a step of a task was refused.
    fn refused(&self, rejection: &Rejection) -> Frame;
}

/// What the author of an event hears when it is recorded, or refused.
#[derive(Debug)]
pub struct Receipt {
    /// How the frames are written.
    pub frames: &'static dyn AgentFrames,
    /// The task whose recorded result is answered, and the attempt if it was named.
    pub result_of: Option<(Box<str>, Option<u64>)>,
}
