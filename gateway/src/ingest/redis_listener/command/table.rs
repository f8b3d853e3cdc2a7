//! The commands that there are, as COMMAND describes them.

/// Describes a command as COMMAND INFO does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in super::super) struct CommandInfo {
    /// Its name, in lower case.
    pub(in super::super) name: &'static str,
    /// How many arguments it has, its name included; negative: at least so many.
    pub(in super::super) arity: i64,
    /// What Redis says of it.
    pub(in super::super) flags: &'static [&'static str],
    /// Whether its first argument is a key.
    pub(in super::super) has_key: bool,
    /// Whether a client may ask for it before it showed who it is.
    pub(in super::super) before_auth: bool,
}

const fn command(name: &'static str, arity: i64, flags: &'static [&'static str]) -> CommandInfo {
    CommandInfo { name, arity, flags, has_key: false, before_auth: false }
}

const fn on_key(info: CommandInfo) -> CommandInfo {
    CommandInfo { has_key: true, ..info }
}

const fn before_auth(info: CommandInfo) -> CommandInfo {
    CommandInfo { before_auth: true, ..info }
}

/// All of them.
pub(in super::super) const COMMANDS: [CommandInfo; 15] = [
    on_key(command("xadd", -5, &["write", "denyoom", "fast"])),
    on_key(command("xlen", 2, &["readonly", "fast"])),
    on_key(command("xrange", -4, &["readonly"])),
    command("multi", 1, &["noscript", "loading", "stale", "fast"]),
    command("exec", 1, &["noscript", "loading", "stale"]),
    command("discard", 1, &["noscript", "loading", "stale", "fast"]),
    command("ping", -1, &["fast"]),
    command("echo", 2, &["loading", "stale", "fast"]),
    before_auth(command("hello", -1, &["noscript", "loading", "stale", "fast", "no_auth"])),
    before_auth(command("auth", -2, &["noscript", "loading", "stale", "fast", "no_auth"])),
    command("select", 2, &["loading", "stale", "fast"]),
    command("client", -2, &["noscript", "loading", "stale"]),
    command("command", -1, &["loading", "stale"]),
    command("info", -1, &["loading", "stale"]),
    before_auth(command("quit", -1, &["noscript", "loading", "stale", "fast", "no_auth"])),
];
