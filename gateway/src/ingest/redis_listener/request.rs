//! Requests out of the bytes of a connection: arrays of strings, or lines as a person types them.
//!
//! The array is opened here and each string is decoded by the library. Given a whole request the
//! library would follow arrays within arrays down the stack, which a client could make as deep as it
//! likes, and would begin anew at each read.

use bytes::{Bytes, BytesMut};
use redis_protocol::resp2::{decode::decode_bytes_mut, types::BytesFrame};

use super::inline;

/// The longest line with the length of an array or string, as Redis has it: more than any number needs.
const LENGTH_LINE_BYTES: usize = 32;

/// The longest line that a person may type, as Redis has it.
const INLINE_BYTES_MAX: usize = 64 << 10;

/// What bounds a request.
#[derive(Clone, Copy, Debug)]
pub(super) struct RequestLimits {
    /// The bytes of all its arguments.
    pub(super) bytes_max: usize,
    /// How many arguments it has.
    pub(super) arguments_max: usize,
}

impl RequestLimits {
    /// The bounds of clients that may do nothing yet but show who they are: enough for a token.
    pub(super) const STRANGER: Self = Self { bytes_max: 32 << 10, arguments_max: 10 };
}

/// Why a connection cannot go on: what follows in it means nothing any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum ProtocolError {
    /// `*` is followed by no number.
    #[error("ERR Protocol error: invalid multibulk length")]
    ArrayLength,
    /// An array holds more than a command has.
    #[error("ERR Protocol error: more than {0} arguments (EMBEDDED_REDIS_ARGUMENTS)")]
    TooManyArguments(usize),
    /// An array holds something else than strings.
    #[error("ERR Protocol error: expected '$', got '{}'", char::from(*.0).escape_default())]
    NotAString(u8),
    /// `$` is followed by no length.
    #[error("ERR Protocol error: invalid bulk length")]
    StringLength,
    /// The request is larger than allowed.
    #[error("ERR Protocol error: a command of more than {0} bytes (EMBEDDED_REDIS_REQUEST_BYTES)")]
    TooLarge(usize),
    /// A typed line has no end.
    #[error("ERR Protocol error: too big inline request")]
    LineTooLong,
    /// A typed line has an open quote.
    #[error("ERR Protocol error: unbalanced quotes in request")]
    Quotes,
}

/// Reads requests; remembers how far into one it is.
#[derive(Debug, Default)]
pub(super) struct RequestReader {
    arguments: Vec<Bytes>,
    bytes: usize,
    missing: usize,
}

impl RequestReader {
    /// Returns the next request, which has at least one argument; none when more bytes are needed.
    ///
    /// # Errors
    /// [`ProtocolError`]: the connection must be closed.
    pub(super) fn next(
        &mut self,
        input: &mut BytesMut,
        limits: RequestLimits,
    ) -> Result<Option<Vec<Bytes>>, ProtocolError> {
        loop {
            if self.missing == 0 {
                match input.first().copied() {
                    None => return Ok(None),
                    Some(b'*') if self.open_array(input, limits)? => continue,
                    Some(b'*') => return Ok(None),
                    Some(_) => match line(input)? {
                        None => return Ok(None),
                        Some(arguments) if arguments.is_empty() => continue,
                        Some(arguments) => return Ok(Some(arguments)),
                    },
                }
            }
            while self.missing > 0 {
                let Some(argument) = self.string(input, limits)? else { return Ok(None) };
                self.bytes += argument.len();
                self.arguments.push(argument);
                self.missing -= 1;
            }
            if self.bytes > limits.bytes_max {
                return Err(ProtocolError::TooLarge(limits.bytes_max));
            }
            self.bytes = 0;
            return Ok(Some(std::mem::take(&mut self.arguments)));
        }
    }

    /// Reads `*3\r\n`. Returns whether it was there; an array of nothing is passed over.
    fn open_array(
        &mut self,
        input: &mut BytesMut,
        limits: RequestLimits,
    ) -> Result<bool, ProtocolError> {
        let head = &input[..input.len().min(LENGTH_LINE_BYTES)];
        let Some(end) = head.windows(2).position(|two| two == b"\r\n") else {
            let endless = input.len() >= LENGTH_LINE_BYTES;
            return if endless { Err(ProtocolError::ArrayLength) } else { Ok(false) };
        };
        let number = std::str::from_utf8(&head[1..end]).ok().and_then(|n| n.parse::<i64>().ok());
        let number = number.ok_or(ProtocolError::ArrayLength)?;
        let number = usize::try_from(number).unwrap_or(0);
        let end = end + 2;
        if number > limits.arguments_max {
            return Err(ProtocolError::TooManyArguments(limits.arguments_max));
        }
        drop(input.split_to(end));
        self.missing = number;
        Ok(true)
    }

    /// Reads `$3\r\nfoo\r\n`; none when it is not there in full.
    fn string(
        &self,
        input: &mut BytesMut,
        limits: RequestLimits,
    ) -> Result<Option<Bytes>, ProtocolError> {
        match input.first() {
            None => return Ok(None),
            Some(b'$') => {}
            Some(other) => return Err(ProtocolError::NotAString(*other)),
        }
        let head = &input[..input.len().min(LENGTH_LINE_BYTES)];
        if head.len() == LENGTH_LINE_BYTES && !head.contains(&b'\r') {
            return Err(ProtocolError::StringLength);
        }
        match decode_bytes_mut(input) {
            Ok(Some((BytesFrame::BulkString(string), ..))) => Ok(Some(string)),
            Ok(None) if self.bytes + input.len() <= limits.bytes_max + LENGTH_LINE_BYTES => {
                Ok(None)
            }
            Ok(None) => Err(ProtocolError::TooLarge(limits.bytes_max)),
            Ok(Some(_)) | Err(_) => Err(ProtocolError::StringLength),
        }
    }
}

/// Reads a line as a person types it; none when it has no end yet.
fn line(input: &mut BytesMut) -> Result<Option<Vec<Bytes>>, ProtocolError> {
    let Some(end) = input.iter().take(INLINE_BYTES_MAX).position(|byte| *byte == b'\n') else {
        let endless = input.len() >= INLINE_BYTES_MAX;
        return if endless { Err(ProtocolError::LineTooLong) } else { Ok(None) };
    };
    let whole = input.split_to(end + 1);
    let line = whole.strip_suffix(b"\n").unwrap_or(&whole);
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    inline::split(line).ok_or(ProtocolError::Quotes).map(Some)
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: RequestLimits = RequestLimits { bytes_max: 1000, arguments_max: 20 };

    /// What comes out when the bytes arrive in pieces of this size.
    fn read(bytes: &[u8], piece: usize) -> Result<Vec<Vec<Vec<u8>>>, ProtocolError> {
        let mut reader = RequestReader::default();
        let mut input = BytesMut::new();
        let mut requests = Vec::new();
        for piece in bytes.chunks(piece) {
            input.extend_from_slice(piece);
            while let Some(request) = reader.next(&mut input, LIMITS)? {
                requests.push(request.iter().map(|argument| argument.to_vec()).collect());
            }
        }
        Ok(requests)
    }

    #[test]
    fn requests_come_out_alike_however_they_are_cut() {
        let bytes =
            b"*2\r\n$4\r\nECHO\r\n$4\r\n\r\n\0\xff\r\n*0\r\n*-1\r\n\r\nPING 'a b' \"\\x41\\n\"\r\n\
                      *1\r\n$4\r\nPING\r\nQUIT\n";
        let expected = read(bytes, bytes.len()).unwrap();
        assert_eq!(expected.len(), 4);
        assert_eq!(expected[0], [b"ECHO".to_vec(), b"\r\n\0\xff".to_vec()]);
        assert_eq!(expected[1], [b"PING".to_vec(), b"a b".to_vec(), b"A\n".to_vec()]);
        assert_eq!(expected[3], [b"QUIT".to_vec()]);
        for piece in 1..bytes.len() {
            assert_eq!(read(bytes, piece).unwrap(), expected, "in pieces of {piece}");
        }
    }

    #[test]
    fn what_is_no_request_is_named() {
        let long = format!("*1\r\n$2000\r\n{}", "x".repeat(1500));
        let many = format!("*3\r\n{}", format!("$400\r\n{}\r\n", "x".repeat(400)).repeat(3));
        for (bytes, expected) in [
            ("*x\r\n", ProtocolError::ArrayLength),
            ("*1111111111111111111111111111111111111", ProtocolError::ArrayLength),
            ("*21\r\n", ProtocolError::TooManyArguments(20)),
            ("*1\r\n*1\r\n*1\r\n", ProtocolError::NotAString(b'*')),
            ("*1\r\n:5\r\n", ProtocolError::NotAString(b':')),
            ("*1\r\n$-1\r\n", ProtocolError::StringLength),
            ("*1\r\n$x\r\n", ProtocolError::StringLength),
            ("*1\r\n$1111111111111111111111111111111111111", ProtocolError::StringLength),
            (&long, ProtocolError::TooLarge(1000)),
            (&many, ProtocolError::TooLarge(1000)),
            ("PING 'a\r\n", ProtocolError::Quotes),
        ] {
            assert_eq!(read(bytes.as_bytes(), 7), Err(expected), "{bytes}");
        }
        let endless = vec![b'x'; INLINE_BYTES_MAX + 1];
        assert_eq!(read(&endless, 1000), Err(ProtocolError::LineTooLong));
    }

    #[test]
    fn noise_is_refused_or_awaited_but_never_a_panic() {
        let words =
            ["*", "$", "\r\n", "1", "3", "-1", "XADD", "'", "\"", "\\x", "\0", "99999999999"];
        for _ in 0..20_000 {
            let noise: String =
                (0..rand::random_range(1..30)).map(|_| words[rand::random_range(0..12)]).collect();
            let _ended = read(noise.as_bytes(), rand::random_range(1..9));
        }
    }
}
