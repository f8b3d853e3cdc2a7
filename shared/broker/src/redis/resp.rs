//! Reading RESP3 (<https://github.com/redis/redis-specifications/blob/master/protocol/RESP3.md>)
//! for the subscriber, without copying.
//!
//! The subscriber reads its socket itself, because then all that one read brought is delivered as one
//! batch, and a consumer that lags makes Redis wait instead of filling a queue in between.

/// The deepest nesting that is taken; the answer to HELLO has three levels.
const DEPTH_MAX: usize = 8;

/// The longest text and the most items that are taken; more is no answer of a healthy server.
const LENGTH_MAX: usize = 1 << 29;

/// One whole answer or push.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum RespFrame<'a> {
    /// A text of any kind; also doubles, booleans and big numbers, as they are written.
    Text(&'a [u8]),
    /// An error and its text.
    Error(&'a [u8]),
    /// A signed 64-bit number.
    Integer(i64),
    /// The null of RESP3, or a null string or array of RESP2.
    Null,
    /// An array or a set, or keys and values of a map in turn.
    List(Vec<Self>),
    /// What the server says unasked.
    Push(Vec<Self>),
}

/// The bytes are no RESP.
#[derive(Debug, thiserror::Error)]
#[error("not understood: {0}")]
pub(super) struct Malformed(&'static str);

/// Reads the first frame; its length too. None when it is not whole yet.
pub(super) fn parse(bytes: &[u8]) -> Result<Option<(RespFrame<'_>, usize)>, Malformed> {
    let mut input = Input { bytes, at: 0 };
    Ok(input.frame(0)?.map(|frame| (frame, input.at)))
}

/// Reads the frequent case, a message of a channel, with less ado: channel, payload, length of all.
/// None when it is something else or not whole: [`parse`] tells.
pub(super) fn parse_message(bytes: &[u8]) -> Option<(&[u8], &[u8], usize)> {
    // Of SUBSCRIBE, and of SSUBSCRIBE.
    const OPENINGS: [&[u8]; 2] = [b">3\r\n$7\r\nmessage\r\n$", b">3\r\n$8\r\nsmessage\r\n$"];
    let opening = OPENINGS.into_iter().find(|opening| bytes.starts_with(opening))?;
    let mut input = Input { bytes, at: opening.len() };
    let channel = input.text().ok()??;
    if input.take(1)? != b"$" {
        return None;
    }
    let payload = input.text().ok()??;
    Some((channel, payload, input.at))
}

/// Writes a command.
pub(super) fn encode(parts: &[&[u8]]) -> Vec<u8> {
    let mut bytes = format!("*{}\r\n", parts.len()).into_bytes();
    for part in parts {
        bytes.extend_from_slice(format!("${}\r\n", part.len()).as_bytes());
        bytes.extend_from_slice(part);
        bytes.extend_from_slice(b"\r\n");
    }
    bytes
}

struct Input<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Input<'a> {
    fn frame(&mut self, depth: usize) -> Result<Option<RespFrame<'a>>, Malformed> {
        if depth > DEPTH_MAX {
            return Err(Malformed("nested too deeply"));
        }
        let Some(&[kind]) = self.take(1) else { return Ok(None) };
        Ok(match kind {
            b'+' | b',' | b'#' | b'(' => self.line().map(RespFrame::Text),
            b'-' => self.line().map(RespFrame::Error),
            b':' => self.number()?.map(RespFrame::Integer),
            b'_' => self.line().map(|_| RespFrame::Null),
            b'$' => match self.is_null() {
                true => self.line().map(|_| RespFrame::Null),
                false => self.text()?.map(RespFrame::Text),
            },
            // `txt:` or another format of three letters precedes the text.
            b'=' => self.text()?.map(|text| RespFrame::Text(text.get(4..).unwrap_or_default())),
            b'!' => self.text()?.map(RespFrame::Error),
            b'*' if self.is_null() => self.line().map(|_| RespFrame::Null),
            b'*' | b'~' => self.items(1, depth)?.map(RespFrame::List),
            b'%' => self.items(2, depth)?.map(RespFrame::List),
            b'>' => self.items(1, depth)?.map(RespFrame::Push),
            b'|' => match self.items(2, depth)? {
                // Attributes are remarks about what follows.
                Some(_) => self.frame(depth + 1)?,
                None => None,
            },
            _ => return Err(Malformed("an unknown type of frame")),
        })
    }

    fn items(
        &mut self,
        each: usize,
        depth: usize,
    ) -> Result<Option<Vec<RespFrame<'a>>>, Malformed> {
        let Some(count) = self.length()? else { return Ok(None) };
        // Not more than the bytes at hand could hold.
        let mut items = Vec::with_capacity((count * each).min(self.bytes.len() - self.at));
        for _ in 0..count * each {
            match self.frame(depth + 1)? {
                Some(item) => items.push(item),
                None => return Ok(None),
            }
        }
        Ok(Some(items))
    }

    /// `LENGTH CR LF bytes CR LF`
    fn text(&mut self) -> Result<Option<&'a [u8]>, Malformed> {
        let Some(length) = self.length()? else { return Ok(None) };
        let Some(text) = self.take(length) else { return Ok(None) };
        match self.take(2) {
            Some(b"\r\n") => Ok(Some(text)),
            Some(_) => Err(Malformed("a text that does not end where it should")),
            None => Ok(None),
        }
    }

    fn length(&mut self) -> Result<Option<usize>, Malformed> {
        let Some(number) = self.number()? else { return Ok(None) };
        let length = usize::try_from(number).ok().filter(|length| *length <= LENGTH_MAX);
        length.map(Some).ok_or(Malformed("a length out of range"))
    }

    fn number(&mut self) -> Result<Option<i64>, Malformed> {
        let Some(line) = self.line() else { return Ok(None) };
        let number = std::str::from_utf8(line).ok().and_then(|text| text.parse().ok());
        number.map(Some).ok_or(Malformed("a number that is none"))
    }

    fn is_null(&self) -> bool {
        self.bytes[self.at..].starts_with(b"-1\r\n")
    }

    fn line(&mut self) -> Option<&'a [u8]> {
        let rest = &self.bytes[self.at..];
        let end = rest.windows(2).position(|two| two == b"\r\n")?;
        self.at += end + 2;
        Some(&rest[..end])
    }

    fn take(&mut self, count: usize) -> Option<&'a [u8]> {
        let taken = self.bytes.get(self.at..self.at.checked_add(count)?)?;
        self.at += count;
        Some(taken)
    }
}

#[cfg(test)]
mod tests {
    use rand::{Rng as _, RngExt as _, SeedableRng as _, rngs::StdRng};

    use super::*;

    /// What redis-rs makes of the same bytes, in our terms.
    fn translate(value: &redis::Value) -> String {
        use redis::Value;
        let all = |values: &[Value]| values.iter().map(translate).collect::<Vec<_>>().join(" ");
        match value {
            Value::Nil => "null".to_owned(),
            Value::Int(number) => format!("int {number}"),
            Value::BulkString(bytes) => format!("text {bytes:?}"),
            Value::SimpleString(text) => format!("text {:?}", text.as_bytes()),
            Value::VerbatimString { text, .. } => format!("text {:?}", text.as_bytes()),
            Value::Okay => format!("text {:?}", b"OK"),
            Value::Array(values) | Value::Set(values) => format!("[{}]", all(values)),
            Value::Map(pairs) => {
                let flat: Vec<_> = pairs.iter().flat_map(|(k, v)| [k, v]).cloned().collect();
                format!("[{}]", all(&flat))
            }
            Value::Push { kind, data } => {
                let kind = format!("text {:?}", kind.to_string().as_bytes());
                format!(">[{kind} {}]", all(data)).replace(" ]", "]")
            }
            Value::ServerError(_) => "error".to_owned(),
            other => panic!("not generated: {other:?}"),
        }
    }

    fn show(frame: &RespFrame<'_>) -> String {
        let all = |frames: &[RespFrame<'_>]| frames.iter().map(show).collect::<Vec<_>>().join(" ");
        match frame {
            RespFrame::Text(bytes) => format!("text {bytes:?}"),
            RespFrame::Error(_) => "error".to_owned(),
            RespFrame::Integer(number) => format!("int {number}"),
            RespFrame::Null => "null".to_owned(),
            RespFrame::List(items) => format!("[{}]", all(items)),
            RespFrame::Push(items) => format!(">[{}]", all(items)),
        }
    }

    fn bulk(random: &mut StdRng, out: &mut Vec<u8>) {
        let mut text = vec![0; random.random_range(0..40)];
        random.fill_bytes(&mut text);
        out.extend_from_slice(format!("${}\r\n", text.len()).as_bytes());
        out.extend_from_slice(&text);
        out.extend_from_slice(b"\r\n");
    }

    fn generate(random: &mut StdRng, depth: usize, out: &mut Vec<u8>) {
        let kinds = if depth < 3 { 11 } else { 7 };
        let kind = random.random_range(0..kinds);
        let items = random.random_range(0..4);
        match kind {
            0 => out.extend_from_slice(b"+simple\r\n"),
            1 => out.extend_from_slice(b"-ERR wrong\r\n"),
            2 => out.extend_from_slice(format!(":{}\r\n", random.random::<i64>()).as_bytes()),
            3 => out.extend_from_slice(b"_\r\n"),
            4 => out.extend_from_slice(b"$-1\r\n"),
            5 => out.extend_from_slice(b"=7\r\ntxt:abc\r\n"),
            6 => bulk(random, out),
            7 => out.extend_from_slice(format!("*{items}\r\n").as_bytes()),
            8 => out.extend_from_slice(format!("~{items}\r\n").as_bytes()),
            9 => out.extend_from_slice(format!("%{items}\r\n").as_bytes()),
            _ => {
                out.extend_from_slice(format!(">{}\r\n$7\r\nmessage\r\n", items + 1).as_bytes());
            }
        }
        let count = if kind == 9 { 2 * items } else { items };
        for _ in 0..if kind >= 7 { count } else { 0 } {
            generate(random, depth + 1, out);
        }
    }

    #[test]
    fn it_reads_what_the_library_reads() {
        let mut random = StdRng::seed_from_u64(7);
        for _ in 0..5_000 {
            let mut bytes = Vec::new();
            generate(&mut random, 0, &mut bytes);
            let Ok(expected) = redis::parse_redis_value(&bytes) else { continue };
            let (frame, length) = parse(&bytes).unwrap().unwrap();
            assert_eq!(show(&frame), translate(&expected));
            assert_eq!(length, bytes.len());
            let cut = random.random_range(0..bytes.len());
            assert!(parse(&bytes[..cut]).unwrap().is_none(), "a part is no whole");
        }
    }

    #[test]
    fn random_bytes_are_refused_or_awaited_but_never_a_panic() {
        let mut random = StdRng::seed_from_u64(8);
        for _ in 0..20_000 {
            let mut bytes = Vec::new();
            generate(&mut random, 0, &mut bytes);
            for _ in 0..3 {
                let at = random.random_range(0..bytes.len());
                bytes[at] = random.random();
            }
            drop(parse(&bytes));
            parse_message(&bytes);
        }
    }

    #[test]
    fn a_message_is_read_either_way_alike() {
        let bytes = b">3\r\n$7\r\nmessage\r\n$2\r\nch\r\n$5\r\na\r\nbc\r\n+rest\r\n";
        let (channel, payload, length) = parse_message(bytes).unwrap();
        assert_eq!((channel, payload), (&b"ch"[..], &b"a\r\nbc"[..]));
        let (frame, same_length) = parse(bytes).unwrap().unwrap();
        assert_eq!(length, same_length);
        let texts: [&[u8]; 3] = [b"message", b"ch", b"a\r\nbc"];
        assert_eq!(frame, RespFrame::Push(texts.map(RespFrame::Text).into()));
        for end in 0..length {
            assert!(parse_message(&bytes[..end]).is_none());
        }
        assert_eq!(encode(&[b"PING", b""]), b"*2\r\n$4\r\nPING\r\n$0\r\n\r\n");
    }
}
