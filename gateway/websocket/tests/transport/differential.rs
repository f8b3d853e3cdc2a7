//! Our decoder against tungstenite: the same client bytes, cut anywhere, mean the same to both.

use std::collections::VecDeque;
use std::io::{self, Read, Write};

use tungstenite::protocol::{Role, WebSocketConfig};
use tungstenite::{Error, Message, WebSocket};
use websocket::{Decoder, MessageLimits, Received, Violation};

/// Small, so that random input reaches it.
const BYTES_MAX: usize = 300;

/// What we say of a control frame with more than a byte of length.
const LONG_CONTROL: Violation = Violation::Protocol("control frame over 125 bytes");

/// How a stream of messages ended.
#[derive(Debug, PartialEq, Eq)]
enum End {
    /// With a close frame.
    Close,
    /// A rule was broken.
    Failed,
    /// More bytes are needed.
    Waiting,
}

/// Asserts that both decoders see the same in `bytes`. `cut` says how many bytes come next, given
/// how many are left. True when the input was refused.
pub(crate) fn compare(bytes: &[u8], cut: impl FnMut(usize) -> usize) -> bool {
    let pieces = pieces(bytes, cut);
    let (our_messages, our_end, violation) = ours(&pieces);
    let (their_messages, their_end) = theirs(pieces);
    if violation == Some(LONG_CONTROL) {
        // They take a control frame whose length is written in a longer form than it needs, which
        // RFC 6455 §5.2 forbids.
        assert!(their_messages.starts_with(&our_messages), "{bytes:02x?}");
        return true;
    }
    assert_eq!(our_messages, their_messages, "{bytes:02x?}");
    match (&our_end, &their_end) {
        // We refuse at the first wrong byte; they may wait for the rest of the frame.
        (End::Failed, End::Waiting) => {}
        (ours, theirs) => assert_eq!(ours, theirs, "{violation:?} {bytes:02x?}"),
    }
    our_end == End::Failed
}

fn pieces(mut bytes: &[u8], mut cut: impl FnMut(usize) -> usize) -> VecDeque<Vec<u8>> {
    let mut pieces = VecDeque::new();
    while !bytes.is_empty() {
        let (piece, rest) = bytes.split_at(cut(bytes.len()).clamp(1, bytes.len()));
        pieces.push_back(piece.to_vec());
        bytes = rest;
    }
    pieces
}

fn ours(pieces: &VecDeque<Vec<u8>>) -> (Vec<Message>, End, Option<Violation>) {
    let limits = MessageLimits { bytes_max: BYTES_MAX, fragments_max: u32::MAX };
    let mut decoder = Decoder::default();
    let mut messages = Vec::new();
    for piece in pieces {
        let mut piece = piece.clone();
        let mut input = &mut piece[..];
        loop {
            match decoder.next(&mut input, limits) {
                Ok(None) => break,
                Ok(Some(Received::Close(_code))) => return (messages, End::Close, None),
                Ok(Some(event)) => messages.push(message(event)),
                Err(violation) => return (messages, End::Failed, Some(violation)),
            }
        }
        assert!(input.is_empty(), "everything that waits is kept");
    }
    (messages, End::Waiting, None)
}

fn message(event: Received<'_>) -> Message {
    match event {
        Received::Text(text) => Message::text(text.into_owned()),
        Received::Binary(bytes) => Message::binary(bytes.into_owned()),
        Received::Ping(payload) => Message::Ping(payload.into_owned().into()),
        Received::Pong => Message::Pong(Vec::new().into()),
        Received::Close(_code) => Message::Close(None),
    }
}

fn theirs(pieces: VecDeque<Vec<u8>>) -> (Vec<Message>, End) {
    let config = WebSocketConfig::default()
        .max_message_size(Some(BYTES_MAX))
        .max_frame_size(Some(BYTES_MAX));
    let mut socket = WebSocket::from_raw_socket(Pieces(pieces), Role::Server, Some(config));
    let mut messages = Vec::new();
    loop {
        match socket.read() {
            // Where we fail with 1002, they answer with it.
            Ok(Message::Close(Some(frame))) if frame.reason == "Protocol violation" => {
                return (messages, End::Failed);
            }
            Ok(Message::Close(_frame)) => return (messages, End::Close),
            // We do not look into pongs.
            Ok(Message::Pong(_payload)) => messages.push(Message::Pong(Vec::new().into())),
            Ok(message) => messages.push(message),
            Err(Error::Io(error)) if error.kind() == io::ErrorKind::WouldBlock => {
                return (messages, End::Waiting);
            }
            Err(_refused) => return (messages, End::Failed),
        }
    }
}

/// A socket from which pieces are read, and that throws away what is written.
struct Pieces(VecDeque<Vec<u8>>);

impl Read for Pieces {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let Some(piece) = self.0.front_mut() else { return Err(io::ErrorKind::WouldBlock.into()) };
        let count = piece.len().min(buffer.len());
        buffer[..count].copy_from_slice(&piece[..count]);
        piece.drain(..count);
        if piece.is_empty() {
            self.0.pop_front();
        }
        Ok(count)
    }
}

impl Write for Pieces {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
