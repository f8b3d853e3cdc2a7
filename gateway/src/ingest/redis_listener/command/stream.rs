//! XADD and XRANGE out of their arguments, with Redis's words for what is wrong.

use broker::{EntryIdRequest, Keep, NewEntry, Trimming};
use bytes::Bytes;
use domain::entry::{EntryId, Fields};

use super::refusal::{CommandError, number};

/// XADD: a key, and what is appended there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in super::super) struct XaddCommand {
    /// The key of the stream.
    pub(in super::super) key: Bytes,
    /// What is appended.
    pub(in super::super) entry: NewEntry,
}

/// XRANGE: which entries of a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in super::super) struct RangeCommand {
    /// The key of the stream.
    pub(in super::super) key: Bytes,
    /// The first id, included.
    pub(in super::super) from: EntryId,
    /// The last id, included.
    pub(in super::super) to: EntryId,
    /// The most entries.
    pub(in super::super) count: Option<usize>,
}

/// `[NOMKSTREAM] [MAXLEN|MINID [=|~] threshold [LIMIT count]] <*|id> field value …`
pub(super) fn xadd(key: &Bytes, options: &[Bytes]) -> Result<XaddCommand, CommandError> {
    let mut options = options;
    let mut create = true;
    let mut trimming: Option<Trimming> = None;
    let mut limit = None;
    let id = loop {
        let Some((option, rest)) = options.split_first() else {
            return Err(CommandError::arity("xadd"));
        };
        options = match option.to_ascii_lowercase().as_slice() {
            b"nomkstream" => {
                create = false;
                rest
            }
            name @ (b"maxlen" | b"minid") => {
                let (given, rest) = threshold(name, rest)?;
                if trimming.is_some_and(|before| kind(before.keep) != kind(given.keep)) {
                    return Err(CommandError::new(
                        "ERR syntax error, MAXLEN and MINID options at the same time are not \
                         compatible",
                    ));
                }
                trimming = Some(given);
                rest
            }
            b"limit" => {
                let (count, rest) = rest.split_first().ok_or_else(CommandError::syntax)?;
                let count = u64::try_from(number(count)?)
                    .map_err(|_| CommandError::new("ERR The LIMIT argument must be >= 0."))?;
                limit = Some(count);
                rest
            }
            _ => {
                options = rest;
                break requested_id(option)?;
            }
        };
    };
    if let Some(limit) = limit {
        let approximate = trimming.as_mut().filter(|trimming| trimming.approximate);
        approximate
            .ok_or_else(|| {
                CommandError::new(
                    "ERR syntax error, LIMIT cannot be used without the special ~ option",
                )
            })?
            .removed_max = limit;
    }
    if options.is_empty() || !options.len().is_multiple_of(2) {
        return Err(CommandError::arity("xadd"));
    }
    if id == EntryIdRequest::Exactly(EntryId::ZERO) {
        return Err(CommandError::new("ERR The ID specified in XADD must be greater than 0-0"));
    }
    // A name is text, as where entries are read from Redis; a value is any bytes.
    let field = |pair: &[Bytes]| (String::from_utf8_lossy(&pair[0]).into_owned(), pair[1].to_vec());
    let fields = Fields(options.chunks_exact(2).map(field).collect());
    Ok(XaddCommand { key: key.clone(), entry: NewEntry { fields, id, create, trimming } })
}

const fn kind(keep: Keep) -> bool {
    matches!(keep, Keep::Newest(_))
}

fn threshold<'a>(
    name: &[u8],
    options: &'a [Bytes],
) -> Result<(Trimming, &'a [Bytes]), CommandError> {
    let (approximate, options) = match options {
        [sign, rest @ ..] if sign.as_ref() == b"~" => (true, rest),
        [sign, rest @ ..] if sign.as_ref() == b"=" => (false, rest),
        _ => (false, options),
    };
    let (text, rest) = options.split_first().ok_or_else(CommandError::syntax)?;
    let keep = if name == b"maxlen" {
        let length = u64::try_from(number(text)?);
        Keep::Newest(
            length.map_err(|_| CommandError::new("ERR The MAXLEN argument must be >= 0."))?,
        )
    } else {
        Keep::From(id(text, 0)?)
    };
    Ok((Trimming { keep, approximate, removed_max: 0 }, rest))
}

fn requested_id(text: &Bytes) -> Result<EntryIdRequest, CommandError> {
    if text.as_ref() == b"*" {
        return Ok(EntryIdRequest::Next);
    }
    match text.strip_suffix(b"-*") {
        Some(ms) => decimal(ms).map(EntryIdRequest::NextWithin).ok_or_else(invalid_id),
        None => id(text, 0).map(EntryIdRequest::Exactly),
    }
}

/// `key start end [COUNT count]`
pub(super) fn xrange(
    key: &Bytes,
    from: &Bytes,
    to: &Bytes,
    options: &[Bytes],
) -> Result<RangeCommand, CommandError> {
    let count = match options {
        [] => None,
        [word, count] if word.eq_ignore_ascii_case(b"count") => {
            Some(usize::try_from(number(count)?).unwrap_or(0))
        }
        _ => return Err(CommandError::syntax()),
    };
    let from = match end(from, 0)? {
        (from, false) => from,
        (from, true) => {
            from.next().ok_or_else(|| CommandError::new("ERR invalid start ID for the interval"))?
        }
    };
    let to = match end(to, u64::MAX)? {
        (to, false) => to,
        (to, true) => {
            before(to).ok_or_else(|| CommandError::new("ERR invalid end ID for the interval"))?
        }
    };
    Ok(RangeCommand { key: key.clone(), from, to, count })
}

/// One end of a range, and whether it is left out itself.
fn end(text: &Bytes, number: u64) -> Result<(EntryId, bool), CommandError> {
    match text.as_ref() {
        b"-" => Ok((EntryId::ZERO, false)),
        b"+" => Ok((EntryId { ms: u64::MAX, number: u64::MAX }, false)),
        [b'(', rest @ ..] => Ok((id(rest, number)?, true)),
        text => Ok((id(text, number)?, false)),
    }
}

const fn before(id: EntryId) -> Option<EntryId> {
    match (id.number.checked_sub(1), id.ms.checked_sub(1)) {
        (Some(number), _) => Some(EntryId { number, ..id }),
        (None, Some(ms)) => Some(EntryId { ms, number: u64::MAX }),
        (None, None) => None,
    }
}

/// An id, whose second half may be missing.
fn id(text: &[u8], missing: u64) -> Result<EntryId, CommandError> {
    let (ms, number) = match text.iter().position(|byte| *byte == b'-') {
        Some(at) => (decimal(&text[..at]), decimal(&text[at + 1..])),
        None => (decimal(text), Some(missing)),
    };
    ms.zip(number).map(|(ms, number)| EntryId { ms, number }).ok_or_else(invalid_id)
}

fn decimal(text: &[u8]) -> Option<u64> {
    let text = std::str::from_utf8(text).ok().filter(|text| !text.starts_with('+'))?;
    text.parse().ok()
}

fn invalid_id() -> CommandError {
    CommandError::new("ERR Invalid stream ID specified as stream command argument")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(line: &str) -> Vec<Bytes> {
        line.split(' ').map(|word| Bytes::from(word.to_owned())).collect()
    }

    fn added(line: &str) -> Result<NewEntry, String> {
        let parsed = xadd(&"k".into(), &words(line));
        parsed.map(|command| command.entry).map_err(|error| error.to_string())
    }

    #[test]
    fn all_of_xadd_is_understood() {
        let entry = added("nomkstream MaxLen ~ 1000 LIMIT 5 1-* a 1 a 2").unwrap();
        assert!(!entry.create);
        let trimming = Trimming { keep: Keep::Newest(1000), approximate: true, removed_max: 5 };
        assert_eq!(entry.trimming, Some(trimming));
        assert_eq!(entry.id, EntryIdRequest::NextWithin(1));
        assert_eq!(
            entry.fields.0,
            [("a".to_owned(), b"1".to_vec()), ("a".to_owned(), b"2".to_vec())]
        );
        let entry = added("MINID = 5-1 7 a b").unwrap();
        let keep = Keep::From(EntryId { ms: 5, number: 1 });
        assert_eq!(entry.trimming, Some(Trimming { keep, approximate: false, removed_max: 0 }));
        assert_eq!(entry.id, EntryIdRequest::Exactly(EntryId { ms: 7, number: 0 }));
        let entry = added("MAXLEN 0 * maxlen 1").unwrap();
        assert_eq!(entry.trimming.unwrap().keep, Keep::Newest(0));
        assert!(entry.create && entry.id == EntryIdRequest::Next);
    }

    #[test]
    fn what_is_wrong_is_said_in_the_words_of_redis() {
        let arity = "ERR wrong number of arguments for 'xadd' command";
        let id = "ERR Invalid stream ID specified as stream command argument";
        for (line, expected) in [
            ("*", arity),
            ("* a", arity),
            ("* a b c", arity),
            ("NOMKSTREAM", arity),
            ("x a b", id),
            ("+1 a b", id),
            ("1-2-3 a b", id),
            ("-* a b", id),
            ("18446744073709551616 a b", id),
            ("0-0 a b", "ERR The ID specified in XADD must be greater than 0-0"),
            ("MAXLEN x * a b", "ERR value is not an integer or out of range"),
            ("MAXLEN -1 * a b", "ERR The MAXLEN argument must be >= 0."),
            ("MAXLEN ~ 1 LIMIT -1 * a b", "ERR The LIMIT argument must be >= 0."),
            ("MAXLEN ~", "ERR syntax error"),
            (
                "MAXLEN 1 LIMIT 1 * a b",
                "ERR syntax error, LIMIT cannot be used without the special ~ option",
            ),
            (
                "MAXLEN 1 MINID 1 * a b",
                "ERR syntax error, MAXLEN and MINID options at the same time are not compatible",
            ),
        ] {
            assert_eq!(added(line).unwrap_err(), expected, "{line}");
        }
    }

    #[test]
    fn values_are_any_bytes() {
        let value = Bytes::from_static(b"\0\xff\r\n");
        let parsed = xadd(&"k".into(), &["*".into(), "data".into(), value.clone()]).unwrap();
        assert_eq!(parsed.entry.fields.get("data"), Some(value.as_ref()));
    }

    #[test]
    fn a_range_may_leave_out_its_ends() {
        let parsed = |from: &str, to: &str, more: &str| {
            let more = if more.is_empty() { vec![] } else { words(more) };
            let range = xrange(&"k".into(), &words(from)[0], &words(to)[0], &more);
            range
                .map(|range| (range.from.to_string(), range.to.to_string(), range.count))
                .map_err(|error| error.to_string())
        };
        let end = format!("{0}-{0}", u64::MAX);
        assert_eq!(parsed("-", "+", ""), Ok(("0-0".into(), end.clone(), None)));
        assert_eq!(
            parsed("5", "5", "COUNT 2"),
            Ok(("5-0".into(), format!("5-{}", u64::MAX), Some(2)))
        );
        assert_eq!(parsed("(5-0", "(6-0", ""), Ok(("5-1".into(), format!("5-{}", u64::MAX), None)));
        assert_eq!(
            parsed(&format!("({end}"), "+", ""),
            Err("ERR invalid start ID for the interval".into())
        );
        assert_eq!(parsed("-", "(0-0", ""), Err("ERR invalid end ID for the interval".into()));
        assert_eq!(parsed("-", "+", "COUNT"), Err("ERR syntax error".into()));
    }
}
