//! Work: tasks for one agent, as a queue hands them out (contract §8).
//!
//! A task for one lives from `task_created` to its end, attempt after attempt. Its row in SQL is the
//! fence; what may happen to it next is decided here, by pure functions: [`spec`] reads what a task
//! asks for, [`task`] is its row, [`transition`] judges each [`step`], [`matching`] pairs waiting tasks
//! with free agents.

pub mod matching;
pub mod spec;
pub mod step;
pub mod task;
pub mod transition;

#[cfg(test)]
mod tests;

pub use self::{
    spec::{RetryOn, RetryPolicy, TaskSpec},
    step::{AttemptChange, Recording, Ruling, TaskStep},
    task::{Task, TaskStatus},
    transition::judge,
};
