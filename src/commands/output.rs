//! What commands print: data on standard output, chatter on standard error. Whatever an event says
//! passes here, so nothing of it drives the terminal.

use std::io::{self, IsTerminal as _, Write as _};

use super::terminal::harmless;

/// Prints one line of data.
///
/// # Errors
/// Fails when the output was closed: `fanfare dead list | head`.
pub(crate) fn data(line: &str) -> io::Result<()> {
    let mut out = io::stdout().lock();
    writeln!(out, "{}", harmless(line))?;
    out.flush()
}

/// Prints one line for the person at the terminal. A closed output is ignored.
pub(crate) fn chatter(line: &str) {
    let _unread = writeln!(io::stderr().lock(), "{}", harmless(line));
}

/// Returns whether a person looks at the output: both streams lead to a terminal.
pub(crate) fn is_watched() -> bool {
    io::stdout().is_terminal() && io::stderr().is_terminal()
}
