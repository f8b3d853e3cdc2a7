//! The header of a client frame (RFC 6455 §5.2) and the mask of its payload (§5.3).

use crate::opcode::Opcode;
use crate::rules::Violation;

const RESERVED: Violation = Violation::Protocol("reserved opcode");

/// The header of one client frame.
#[derive(Debug)]
pub(super) struct FrameHeader {
    pub(super) is_final: bool,
    pub(super) opcode: Opcode,
    pub(super) mask: [u8; 4],
    /// Payload in bytes, as announced; not checked against any limit.
    pub(super) length: usize,
}

impl FrameHeader {
    /// Checks what the first two bytes alone may get wrong.
    pub(super) fn check(first: u8, second: u8) -> Result<(), Violation> {
        let opcode = Opcode::of(first).ok_or(RESERVED)?;
        if first & 0x70 != 0 {
            return Err(Violation::Protocol("reserved bit without an extension"));
        }
        if second & 0x80 == 0 {
            return Err(Violation::Protocol("frame without mask"));
        }
        if opcode.is_control() && first & 0x80 == 0 {
            return Err(Violation::Protocol("fragmented control frame"));
        }
        if opcode.is_control() && second & 0x7F > 125 {
            return Err(Violation::Protocol("control frame over 125 bytes"));
        }
        Ok(())
    }

    /// Returns the size of the header that starts with these two bytes; of a control frame, the
    /// size of the whole frame.
    pub(super) fn bytes(first: u8, second: u8) -> usize {
        let is_control = first & 0x08 != 0;
        match second & 0x7F {
            126 => 2 + 2 + 4,
            127 => 2 + 8 + 4,
            length if is_control => 2 + 4 + usize::from(length),
            _ => 2 + 4,
        }
    }

    /// Reads a header from at least [`FrameHeader::bytes`] bytes.
    ///
    /// A length that could have been written shorter is taken, as most implementations do. One
    /// that no machine could hold, or with the highest bit set, is too big whatever the limit.
    pub(super) fn parse(bytes: &[u8]) -> Result<Self, Violation> {
        const INCOMPLETE: Violation = Violation::Protocol("incomplete header");
        let [first, second, rest @ ..] = bytes else { return Err(INCOMPLETE) };
        let (length, rest) = match second & 0x7F {
            126 => {
                let (length, rest) = rest.split_first_chunk().ok_or(INCOMPLETE)?;
                (u64::from(u16::from_be_bytes(*length)), rest)
            }
            127 => {
                let (length, rest) = rest.split_first_chunk().ok_or(INCOMPLETE)?;
                (u64::from_be_bytes(*length), rest)
            }
            short => (u64::from(short), rest),
        };
        let length = isize::try_from(length).map_err(|_too_big| Violation::TooBig)?;
        Ok(Self {
            is_final: first & 0x80 != 0,
            opcode: Opcode::of(*first).ok_or(RESERVED)?,
            mask: *rest.first_chunk().ok_or(INCOMPLETE)?,
            length: length.unsigned_abs(),
        })
    }
}

/// Takes the mask off a payload in place, eight bytes at a time so that it vectorizes.
pub(super) fn unmask(payload: &mut [u8], mask: [u8; 4]) {
    let [a, b, c, d] = mask;
    let wide = u64::from_ne_bytes([a, b, c, d, a, b, c, d]);
    let (words, rest) = payload.as_chunks_mut();
    for word in words {
        *word = (u64::from_ne_bytes(*word) ^ wide).to_ne_bytes();
    }
    for (byte, key) in rest.iter_mut().zip(mask.iter().cycle()) {
        *byte ^= key;
    }
}
