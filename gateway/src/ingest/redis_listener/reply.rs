//! Answers, and how each protocol writes them.

use bytes::{Bytes, BytesMut};
use redis_protocol::{resp2, resp3};

/// The protocol that a client asked for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Protocol {
    /// From the beginning.
    #[default]
    Resp2,
    /// After `HELLO 3`.
    Resp3,
}

/// Holds an answer, in neither protocol yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Reply {
    /// A word of ours.
    Word(&'static str),
    /// An error: a code in capitals and a sentence.
    Error(String),
    /// A number.
    Number(i64),
    /// Any bytes.
    Bytes(Bytes),
    /// Several answers.
    List(Vec<Self>),
    /// Names with answers; a flat list before RESP 3.
    Map(Vec<(&'static str, Self)>),
    /// Nothing.
    Null,
}

impl Reply {
    /// The answer to what went well and has no result.
    pub(super) const OK: Self = Self::Word("OK");

    /// An answer of text.
    pub(super) fn text(text: impl Into<String>) -> Self {
        Self::Bytes(Bytes::from(text.into()))
    }

    /// An error. Line breaks, which would end it, become spaces.
    pub(super) fn error(text: impl std::fmt::Display) -> Self {
        Self::Error(text.to_string().replace(['\r', '\n'], " "))
    }

    /// Writes the answer to the end of `output`.
    pub(super) fn write(self, protocol: Protocol, output: &mut BytesMut) {
        let written = match protocol {
            Protocol::Resp2 => resp2::encode::extend_encode(output, &self.resp2(), false),
            Protocol::Resp3 => resp3::encode::complete::extend_encode(output, &self.resp3(), false),
        };
        // It refuses streamed frames alone, which there are none of.
        debug_assert!(written.is_ok(), "{written:?}");
    }

    fn resp2(self) -> resp2::types::BytesFrame {
        use resp2::types::BytesFrame as Frame;
        match self {
            Self::Word(word) => Frame::SimpleString(Bytes::from_static(word.as_bytes())),
            Self::Error(text) => Frame::Error(text.into()),
            Self::Number(number) => Frame::Integer(number),
            Self::Bytes(bytes) => Frame::BulkString(bytes),
            Self::List(items) => Frame::Array(items.into_iter().map(Self::resp2).collect()),
            Self::Map(pairs) => {
                let pair = |(name, value)| [Self::text(name).resp2(), Self::resp2(value)];
                Frame::Array(pairs.into_iter().flat_map(pair).collect())
            }
            Self::Null => Frame::Null,
        }
    }

    fn resp3(self) -> resp3::types::BytesFrame {
        use resp3::types::BytesFrame as Frame;
        let attributes = None;
        match self {
            Self::Word(word) => {
                Frame::SimpleString { data: Bytes::from_static(word.as_bytes()), attributes }
            }
            Self::Error(text) => Frame::SimpleError { data: text.into(), attributes },
            Self::Number(data) => Frame::Number { data, attributes },
            Self::Bytes(data) => Frame::BlobString { data, attributes },
            Self::List(items) => {
                Frame::Array { data: items.into_iter().map(Self::resp3).collect(), attributes }
            }
            Self::Map(pairs) => {
                let pair = |(name, value)| (Self::text(name).resp3(), Self::resp3(value));
                Frame::Map { data: pairs.into_iter().map(pair).collect(), attributes }
            }
            Self::Null => Frame::Null,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(reply: Reply, protocol: Protocol) -> String {
        let mut output = BytesMut::new();
        reply.write(protocol, &mut output);
        String::from_utf8(output.to_vec()).unwrap()
    }

    #[test]
    fn both_protocols_say_the_same() {
        let reply = || {
            Reply::List(vec![
                Reply::OK,
                Reply::Number(-7),
                Reply::text("a\r\nb"),
                Reply::Null,
                Reply::error("ERR a\r\nb"),
                Reply::Map(vec![("proto", Reply::Number(3))]),
            ])
        };
        let begin = "*6\r\n+OK\r\n:-7\r\n$4\r\na\r\nb\r\n";
        let two = "$-1\r\n-ERR a  b\r\n*2\r\n$5\r\nproto\r\n:3\r\n";
        let three = "_\r\n-ERR a  b\r\n%1\r\n$5\r\nproto\r\n:3\r\n";
        assert_eq!(written(reply(), Protocol::Resp2), format!("{begin}{two}"));
        assert_eq!(written(reply(), Protocol::Resp3), format!("{begin}{three}"));
    }
}
