//! What the listener says of itself and of its clients: HELLO, INFO, COMMAND, CLIENT INFO.

use bytes::Bytes;

use super::{
    command::{COMMANDS, CommandInfo},
    reply::{Protocol, Reply},
};

/// The version of Redis whose commands these are: the oldest that Fanfare works with. Clients decide
/// by it what they may send.
const REDIS_VERSION: &str = "7.0.0";

/// The answer to HELLO.
pub(super) fn hello(protocol: Protocol, client: u64) -> Reply {
    Reply::Map(vec![
        ("server", Reply::text("fanfare")),
        ("version", Reply::text(REDIS_VERSION)),
        ("proto", Reply::Number(number(protocol))),
        ("id", Reply::Number(i64::try_from(client).unwrap_or(i64::MAX))),
        ("mode", Reply::text("standalone")),
        ("role", Reply::text("master")),
        ("modules", Reply::List(Vec::new())),
    ])
}

/// The answer to INFO; clients wait until `loading` is 0.
pub(super) fn info() -> Reply {
    Reply::text(format!(
        "# Server\r\nredis_version:{REDIS_VERSION}\r\nredis_mode:standalone\r\nserver_name:fanfare\r\n\
         fanfare_version:{}\r\nprocess_id:{}\r\n\r\n# Persistence\r\nloading:0\r\n\r\n\
         # Replication\r\nrole:master\r\nconnected_slaves:0\r\n",
        env!("CARGO_PKG_VERSION"),
        std::process::id()
    ))
}

/// The answer to CLIENT INFO.
pub(super) fn client(protocol: Protocol, client: u64, name: &Bytes) -> Reply {
    let name = String::from_utf8_lossy(name);
    Reply::text(format!("id={client} name={name} db=0 resp={}\n", number(protocol)))
}

/// The answer to COMMAND and COMMAND INFO; of all commands when none is named.
pub(super) fn commands(names: &[Bytes]) -> Reply {
    if names.is_empty() {
        return Reply::List(COMMANDS.iter().map(command).collect());
    }
    let named = |name: &Bytes| {
        let known = COMMANDS.iter().find(|info| name.eq_ignore_ascii_case(info.name.as_bytes()));
        known.map_or(Reply::Null, command)
    };
    Reply::List(names.iter().map(named).collect())
}

/// The answer to COMMAND LIST.
pub(super) fn names() -> Reply {
    Reply::List(COMMANDS.iter().map(|info| Reply::text(info.name)).collect())
}

fn command(info: &CommandInfo) -> Reply {
    let key = i64::from(info.has_key);
    let none = || Reply::List(Vec::new());
    Reply::List(vec![
        Reply::text(info.name),
        Reply::Number(info.arity),
        Reply::List(info.flags.iter().map(|flag| Reply::Word(flag)).collect()),
        Reply::Number(key),
        Reply::Number(key),
        Reply::Number(key),
        none(),
        none(),
        none(),
        none(),
    ])
}

const fn number(protocol: Protocol) -> i64 {
    match protocol {
        Protocol::Resp2 => 2,
        Protocol::Resp3 => 3,
    }
}
