//! What jobs, and whoever runs an agent, tell its connection.

use serde_json::Value;

/// What is wanted of the connection of an agent.
pub(crate) enum AgentCommand {
    Start,
    Say(Value),
    Done { id: String, attempt: Option<u64>, outcome: Result<Value, String> },
    Stop,
}
