//! The folded state of an entity, one JSON object, and the log tail that states keep.

use serde_json::{Map, Number, Value};

/// The most log lines that a state keeps (`protocols.md` §0.2, trap 7).
pub const LOG_LINES_MAX: usize = 100;

/// The most bytes of log lines that a state keeps; older lines go first.
///
/// Half of the default `STATE_BYTES`: a talkative build must not keep its ending from fitting.
pub const LOG_BYTES_MAX: usize = 128 * 1024;

/// What a line that is no string counts for in [`LOG_BYTES_MAX`].
const OTHER_LINE_BYTES: usize = 64;

/// The state of an entity.
pub type State = Map<String, Value>;

/// Returns the lines of a log event: `{lines:[…]}` or `{message}`.
pub(super) fn log_lines(body: &State) -> Vec<String> {
    let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    match (body.get("lines"), body.get("message")) {
        (Some(Value::Array(lines)), _) => lines.iter().map(text).collect(),
        (_, Some(message)) => vec![text(message)],
        _ => Vec::new(),
    }
}

/// Appends lines to a log tail and keeps it within its bounds.
pub(super) fn append_lines(logs: &mut Vec<Value>, lines: impl IntoIterator<Item = String>) {
    logs.extend(lines.into_iter().map(Value::String));
    let surplus = logs.len().saturating_sub(LOG_LINES_MAX);
    logs.drain(..surplus);
    let size = |line: &Value| line.as_str().map_or(OTHER_LINE_BYTES, str::len);
    let mut bytes: usize = logs.iter().map(size).sum();
    let mut oversize = 0;
    while bytes > LOG_BYTES_MAX && oversize + 1 < logs.len() {
        bytes -= size(&logs[oversize]);
        oversize += 1;
    }
    logs.drain(..oversize);
    if bytes > LOG_BYTES_MAX
        && let Some(Value::String(line)) = logs.first_mut()
    {
        line.truncate(line.floor_char_boundary(LOG_BYTES_MAX));
    }
}

/// Takes the log tail out of a state, whatever stands there.
pub(super) fn take_logs(state: &mut State) -> Vec<Value> {
    match state.get_mut("logs").map(Value::take) {
        Some(Value::Array(logs)) => logs,
        Some(Value::String(text)) => text.lines().map(|line| Value::String(line.into())).collect(),
        _ => Vec::new(),
    }
}

/// Copies members of a body that are there.
pub(super) fn copy(state: &mut State, body: &State, keys: &[&str]) {
    for key in keys {
        if let Some(value) = body.get(*key) {
            state.insert((*key).to_owned(), value.clone());
        }
    }
}

/// Returns the number as every language has it: of double precision, infinite where it is larger.
pub(crate) fn double(number: &Number) -> f64 {
    number.as_str().parse().unwrap_or(f64::NAN)
}
