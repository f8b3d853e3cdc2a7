//! How a database is used.

use std::time::Duration;

/// How a database is used.
#[derive(Clone, Debug)]
pub struct Options {
    /// What PostgreSQL shows its operators as the connections' name.
    pub application: String,
    /// The most connections (SQLite: the most that read).
    pub connections_max: u32,
    /// How long one call may take, its commit included: less than the lease. The server gets shorter
    /// times for statements, locks and idle transactions.
    pub deadline: Duration,
    /// The most bytes of states that one transaction of more than one entry reads and folds.
    pub batch_state_bytes: usize,
    /// The longest run of a task's attempt that names none.
    pub task_timeout: Duration,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            application: String::from("fanfare"),
            connections_max: 8,
            deadline: Duration::from_millis(2500),
            batch_state_bytes: 16 << 20,
            task_timeout: Duration::from_secs(3600),
        }
    }
}
