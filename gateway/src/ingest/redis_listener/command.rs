//! Commands out of their arguments. Pure: nothing is asked and nothing done.

mod refusal;
mod stream;
mod table;

use bytes::Bytes;

use self::refusal::number;
pub(super) use self::{
    refusal::CommandError,
    stream::{RangeCommand, XaddCommand},
    table::{COMMANDS, CommandInfo},
};

/// What a client shows to say who it is. The user name that Redis asks for is of no consequence.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Credential(pub(super) Bytes);

/// What a client asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum RedisCommand {
    /// PING, with words to be said back.
    Ping(Option<Bytes>),
    /// ECHO
    Echo(Bytes),
    /// AUTH
    Auth(Credential),
    /// HELLO: a protocol, who it is, its name.
    Hello { version: Option<i64>, credential: Option<Credential>, name: Option<Bytes> },
    /// SELECT, which is of no consequence: the streams are the same everywhere.
    Select,
    /// CLIENT
    Client(ClientCommand),
    /// COMMAND and COMMAND INFO: commands, all when none is named.
    Describe(Vec<Bytes>),
    /// COMMAND COUNT
    CountCommands,
    /// COMMAND LIST
    ListCommands,
    /// COMMAND DOCS
    DocumentCommands,
    /// INFO
    Info,
    /// QUIT
    Quit,
    /// MULTI
    Multi,
    /// EXEC
    Exec,
    /// DISCARD
    Discard,
    /// XADD
    Xadd(XaddCommand),
    /// XLEN of a key.
    Xlen(Bytes),
    /// XRANGE
    Xrange(RangeCommand),
}

/// CLIENT with a word.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum ClientCommand {
    /// ID
    Id,
    /// GETNAME
    Name,
    /// SETNAME
    SetName(Bytes),
    /// INFO
    Info,
    /// What is taken without a consequence: SETINFO, NO-EVICT, NO-TOUCH.
    Noted,
}

/// Finds the command that is named, if it has as many arguments as it needs.
///
/// # Errors
/// [`CommandError`] when there is none, with what there is.
pub(super) fn look_up(arguments: &[Bytes]) -> Result<&'static CommandInfo, CommandError> {
    let name = arguments.first().map(|name| name.to_ascii_lowercase()).unwrap_or_default();
    let Some(info) = COMMANDS.iter().find(|info| info.name.as_bytes() == name) else {
        let name: String = String::from_utf8_lossy(&name).chars().take(64).collect();
        let names: Vec<_> = COMMANDS.iter().map(|info| info.name.to_uppercase()).collect();
        let names = names.join(" ");
        return Err(CommandError::new(format!(
            "ERR unknown command '{}': this is Fanfare, which takes events by XADD, and not a \
             Redis server; it knows {names}",
            name.escape_debug()
        )));
    };
    let count = i64::try_from(arguments.len()).unwrap_or(i64::MAX);
    let fits = if info.arity < 0 { count >= -info.arity } else { count == info.arity };
    if fits { Ok(info) } else { Err(CommandError::arity(info.name)) }
}

/// Reads a whole command.
///
/// # Errors
/// [`CommandError`] with what is wrong.
pub(super) fn parse(arguments: &[Bytes]) -> Result<RedisCommand, CommandError> {
    let name = look_up(arguments)?.name;
    let rest = &arguments[1..];
    Ok(match (name, rest) {
        ("ping", []) => RedisCommand::Ping(None),
        ("ping", [words]) => RedisCommand::Ping(Some(words.clone())),
        ("echo", [words]) => RedisCommand::Echo(words.clone()),
        ("auth", [secret] | [_, secret]) => RedisCommand::Auth(Credential(secret.clone())),
        ("auth", _) => return Err(CommandError::syntax()),
        ("hello", options) => hello(options)?,
        ("select", [index]) => match number(index)? {
            0..16 => RedisCommand::Select,
            _ => return Err(CommandError::new("ERR DB index is out of range")),
        },
        ("client", [word, options @ ..]) => RedisCommand::Client(client(word, options)?),
        ("command", options) => describe(options)?,
        ("info", _) => RedisCommand::Info,
        ("quit", _) => RedisCommand::Quit,
        ("multi", _) => RedisCommand::Multi,
        ("exec", _) => RedisCommand::Exec,
        ("discard", _) => RedisCommand::Discard,
        ("xadd", [key, options @ ..]) => RedisCommand::Xadd(stream::xadd(key, options)?),
        ("xlen", [key]) => RedisCommand::Xlen(key.clone()),
        ("xrange", [key, from, to, options @ ..]) => {
            RedisCommand::Xrange(stream::xrange(key, from, to, options)?)
        }
        (name, _) => return Err(CommandError::arity(name)),
    })
}

fn hello(options: &[Bytes]) -> Result<RedisCommand, CommandError> {
    let Some((version, mut options)) = options.split_first() else {
        return Ok(RedisCommand::Hello { version: None, credential: None, name: None });
    };
    let version = number(version)
        .map_err(|_| CommandError::new("ERR Protocol version is not an integer or out of range"))?;
    if !(2..=3).contains(&version) {
        return Err(CommandError::new("NOPROTO unsupported protocol version"));
    }
    let (mut credential, mut name) = (None, None);
    while let [option, rest @ ..] = options {
        options = match rest {
            [_user, secret, rest @ ..] if option.eq_ignore_ascii_case(b"auth") => {
                credential = Some(Credential(secret.clone()));
                rest
            }
            [given, rest @ ..] if option.eq_ignore_ascii_case(b"setname") => {
                name = Some(client_name(given)?);
                rest
            }
            _ => {
                let option = String::from_utf8_lossy(option).escape_debug().to_string();
                return Err(CommandError::new(format!(
                    "ERR Syntax error in HELLO option '{option}'"
                )));
            }
        };
    }
    Ok(RedisCommand::Hello { version: Some(version), credential, name })
}

fn client(word: &Bytes, options: &[Bytes]) -> Result<ClientCommand, CommandError> {
    match (word.to_ascii_lowercase().as_slice(), options) {
        (b"id", []) => Ok(ClientCommand::Id),
        (b"getname", []) => Ok(ClientCommand::Name),
        (b"setname", [name]) => Ok(ClientCommand::SetName(client_name(name)?)),
        (b"info", []) => Ok(ClientCommand::Info),
        (b"setinfo", [_, _]) | (b"no-evict" | b"no-touch", [_]) => Ok(ClientCommand::Noted),
        _ => Err(unknown_word("CLIENT", word)),
    }
}

fn describe(options: &[Bytes]) -> Result<RedisCommand, CommandError> {
    let Some((word, names)) = options.split_first() else {
        return Ok(RedisCommand::Describe(Vec::new()));
    };
    match (word.to_ascii_lowercase().as_slice(), names) {
        (b"count", []) => Ok(RedisCommand::CountCommands),
        (b"list", []) => Ok(RedisCommand::ListCommands),
        (b"docs", _) => Ok(RedisCommand::DocumentCommands),
        (b"info", names) => Ok(RedisCommand::Describe(names.to_vec())),
        _ => Err(unknown_word("COMMAND", word)),
    }
}

fn unknown_word(command: &str, word: &Bytes) -> CommandError {
    let word: String = String::from_utf8_lossy(word).chars().take(64).collect();
    let word = word.escape_debug();
    CommandError::new(format!(
        "ERR unknown subcommand or wrong number of arguments for '{word}' of {command}"
    ))
}

fn client_name(name: &Bytes) -> Result<Bytes, CommandError> {
    if name.len() <= 200 && name.iter().all(u8::is_ascii_graphic) {
        return Ok(name.clone());
    }
    Err(CommandError::new(
        "ERR Client names cannot contain spaces, newlines or special characters.",
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(line: &str) -> Result<RedisCommand, String> {
        let arguments: Vec<_> = line.split(' ').map(|word| Bytes::from(word.to_owned())).collect();
        parse(&arguments).map_err(|error| error.to_string())
    }

    #[test]
    fn commands_are_read_in_either_case() {
        assert_eq!(parsed("ping"), Ok(RedisCommand::Ping(None)));
        assert_eq!(parsed("PiNg x"), Ok(RedisCommand::Ping(Some("x".into()))));
        assert_eq!(parsed("AUTH default key"), Ok(RedisCommand::Auth(Credential("key".into()))));
        assert_eq!(
            parsed("hello 3 auth u p setname n"),
            Ok(RedisCommand::Hello {
                version: Some(3),
                credential: Some(Credential("p".into())),
                name: Some("n".into()),
            })
        );
        assert_eq!(
            parsed("CLIENT SETINFO lib-name x"),
            Ok(RedisCommand::Client(ClientCommand::Noted))
        );
        assert_eq!(parsed("COMMAND INFO xadd"), Ok(RedisCommand::Describe(vec!["xadd".into()])));
    }

    #[test]
    fn what_is_not_known_is_told_what_is() {
        let said = parsed("GET key").unwrap_err();
        assert!(said.starts_with("ERR unknown command 'get': this is Fanfare"), "{said}");
        assert!(said.contains("XADD") && said.contains("PING"), "{said}");
        for (line, expected) in [
            ("ECHO", "ERR wrong number of arguments for 'echo' command"),
            ("HELLO 4", "NOPROTO unsupported protocol version"),
            ("HELLO x", "ERR Protocol version is not an integer or out of range"),
            ("HELLO 3 AUTH u", "ERR Syntax error in HELLO option 'AUTH'"),
            ("SELECT 16", "ERR DB index is out of range"),
            ("SELECT x", "ERR value is not an integer or out of range"),
            ("AUTH a b c", "ERR syntax error"),
        ] {
            assert_eq!(parsed(line), Err(expected.to_owned()), "{line}");
        }
        assert!(parsed("CLIENT KILL x").unwrap_err().contains("'KILL' of CLIENT"));
    }

    #[test]
    fn noise_is_refused_but_never_a_panic() {
        let mut words: Vec<&[u8]> = COMMANDS.iter().map(|info| info.name.as_bytes()).collect();
        words.extend([
            &b""[..],
            b"fanfare:tasks",
            b"*",
            b"~",
            b"=",
            b"MAXLEN",
            b"MINID",
            b"LIMIT",
            b"COUNT",
            b"NOMKSTREAM",
            b"-1",
            b"0",
            b"1-1",
            b"1-*",
            b"(1",
            b"-",
            b"+",
            b"\xff\0",
            b"99999999999999999999",
            b"18446744073709551615-18446744073709551615",
        ]);
        for _ in 0..50_000 {
            let arguments: Vec<_> = (0..rand::random_range(0..9))
                .map(|_| Bytes::copy_from_slice(words[rand::random_range(0..words.len())]))
                .collect();
            let _refused = parse(&arguments);
        }
    }
}
