//! One encoded WebSocket frame, ready for the wire and shared by everyone who gets it.

use std::ops::Range;

use bytes::{BufMut, Bytes};

use crate::opcode::Opcode;

/// The longest header of a server frame (RFC 6455 §5.2): two bytes and a 64-bit length, no mask.
const HEADER_BYTES_MAX: usize = 10;
/// The longest payload of a control frame (RFC 6455 §5.5).
const CONTROL_BYTES_MAX: usize = 125;

/// A whole unfragmented server frame: header and payload in one piece of shared memory.
///
/// A frame is encoded once and cloned for each connection, which costs a reference count. So a
/// hundred slow clients of one channel hold one copy of what they have not read yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frame {
    bytes: Bytes,
}

impl Frame {
    /// Encodes a text frame.
    pub fn text(text: &str) -> Self {
        Self::text_with(text.len(), |buffer| buffer.extend_from_slice(text.as_bytes()))
    }

    /// Encodes a text frame whose payload is written straight behind the header, without a copy.
    ///
    /// `capacity` is a guess of the payload's size in bytes. What `write` appends must be UTF-8,
    /// as JSON is: browsers drop a connection that sends anything else as text.
    pub fn text_with(capacity: usize, write: impl FnOnce(&mut Vec<u8>)) -> Self {
        Self::encode(Opcode::Text, capacity, write)
    }

    /// Encodes a binary frame.
    pub fn binary(payload: &[u8]) -> Self {
        Self::encode(Opcode::Binary, payload.len(), |buffer| buffer.extend_from_slice(payload))
    }

    /// Encodes a control ping. The client's pong repeats the payload, which is cut at 125 bytes.
    pub fn ping(payload: &[u8]) -> Self {
        Self::control(Opcode::Ping, payload)
    }

    /// Encodes a pong, the answer to a control ping; its payload is cut at 125 bytes.
    pub fn pong(payload: &[u8]) -> Self {
        Self::control(Opcode::Pong, payload)
    }

    /// Encodes a close frame. The reason is cut at the last character that fits into 123 bytes.
    pub fn close(code: u16, reason: &str) -> Self {
        let reason = &reason[..reason.floor_char_boundary(CONTROL_BYTES_MAX - 2)];
        Self::encode(Opcode::Close, 2 + reason.len(), |buffer| {
            buffer.put_u16(code);
            buffer.extend_from_slice(reason.as_bytes());
        })
    }

    /// Encodes a close frame without a code, the answer to one without (RFC 6455 §5.5.1).
    pub fn close_without_code() -> Self {
        Self::control(Opcode::Close, &[])
    }

    /// Joins frames in one piece of memory, so that one buffer and one write carry them all.
    ///
    /// The result counts as one when a send queue decides about room.
    pub fn join(frames: &[Self]) -> Self {
        if let [only] = frames {
            return only.clone();
        }
        let mut joined = Vec::with_capacity(frames.iter().map(Self::len).sum());
        for frame in frames {
            joined.extend_from_slice(&frame.bytes);
        }
        Self { bytes: joined.into() }
    }

    /// Returns the size on the wire in bytes, header included.
    #[expect(clippy::len_without_is_empty, reason = "a frame has at least its header")]
    pub fn len(&self) -> usize {
        self.bytes.len()
    }

    /// Returns the payload of the first frame, without its header.
    pub fn payload(&self) -> &[u8] {
        &self.bytes[self.payload_range()]
    }

    /// Returns the same as shared memory.
    pub fn payload_bytes(&self) -> Bytes {
        self.bytes.slice(self.payload_range())
    }

    fn payload_range(&self) -> Range<usize> {
        let start = header_bytes(&self.bytes);
        let length = match self.bytes[1] {
            126 => usize::from(u16::from_be_bytes([self.bytes[2], self.bytes[3]])),
            127 => self.bytes.len() - start,
            short => usize::from(short),
        };
        start..start + length
    }

    /// Returns the bytes for the wire.
    pub(crate) fn bytes(&self) -> &Bytes {
        &self.bytes
    }

    fn control(opcode: Opcode, payload: &[u8]) -> Self {
        let payload = &payload[..payload.len().min(CONTROL_BYTES_MAX)];
        Self::encode(opcode, payload.len(), |buffer| buffer.extend_from_slice(payload))
    }

    /// Leaves room for the longest header, lets `write` append the payload and then puts the
    /// header, whose size depends on the payload's, right before it.
    fn encode(opcode: Opcode, capacity: usize, write: impl FnOnce(&mut Vec<u8>)) -> Self {
        let mut buffer = Vec::with_capacity(HEADER_BYTES_MAX + capacity);
        buffer.resize(HEADER_BYTES_MAX, 0);
        write(&mut buffer);
        if buffer.capacity() - buffer.len() > buffer.len() / 4 {
            // Frames are kept and counted by their length, so that has to be what they take.
            buffer.shrink_to_fit();
        }
        let length = buffer.len() - HEADER_BYTES_MAX;
        let start = match length {
            0..126 => {
                buffer[9] = u8::try_from(length).unwrap_or_default();
                8
            }
            126..=0xFFFF => {
                buffer[7] = 126;
                let short = u16::try_from(length).unwrap_or_default();
                buffer[8..10].copy_from_slice(&short.to_be_bytes());
                6
            }
            _ => {
                buffer[1] = 127;
                buffer[2..10].copy_from_slice(&(length as u64).to_be_bytes());
                0
            }
        };
        buffer[start] = FIN | opcode as u8;
        Self { bytes: Bytes::from(buffer).slice(start..) }
    }
}

/// The bit that marks the last fragment of a message; our frames are never fragmented.
const FIN: u8 = 0x80;

/// Returns how many bytes the header at the start of `bytes` has.
fn header_bytes(bytes: &[u8]) -> usize {
    match bytes[1] {
        126 => 4,
        127 => 10,
        _ => 2,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_length_takes_the_fewest_bytes() {
        for (length, header) in [(0, 2), (125, 2), (126, 4), (65_535, 4), (65_536, 10)] {
            let frame = Frame::text(&"x".repeat(length));
            assert_eq!(frame.len(), header + length);
            assert_eq!(frame.payload(), "x".repeat(length).as_bytes());
            assert_eq!(frame.bytes()[0], 0x81);
        }
    }

    #[test]
    fn a_close_reason_is_cut_between_characters() {
        let frame = Frame::close(4001, &"é".repeat(100));
        assert_eq!(frame.len(), 2 + 2 + 122);
        assert_eq!(&frame.payload()[..2], &4001_u16.to_be_bytes());
        assert!(std::str::from_utf8(&frame.payload()[2..]).is_ok());
    }

    #[test]
    fn joined_frames_follow_each_other() {
        let joined = Frame::join(&[Frame::text("a"), Frame::binary(b"b")]);
        assert_eq!(&joined.bytes()[..], b"\x81\x01a\x82\x01b");
        assert_eq!(joined.payload(), b"a");
    }
}
