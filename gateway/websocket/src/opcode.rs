//! The opcodes of RFC 6455 §5.2, for frames of both directions.

/// The kind of a frame, with its value on the wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Opcode {
    Continuation = 0x0,
    Text = 0x1,
    Binary = 0x2,
    Close = 0x8,
    Ping = 0x9,
    Pong = 0xA,
}

impl Opcode {
    /// Reads the opcode in a frame's first byte; `None` for a reserved one.
    pub(crate) fn of(first: u8) -> Option<Self> {
        Some(match first & 0x0F {
            0x0 => Self::Continuation,
            0x1 => Self::Text,
            0x2 => Self::Binary,
            0x8 => Self::Close,
            0x9 => Self::Ping,
            0xA => Self::Pong,
            _ => return None,
        })
    }

    /// Tells a control frame, which is short and never fragmented (§5.5), from a data frame.
    pub(crate) fn is_control(self) -> bool {
        matches!(self, Self::Close | Self::Ping | Self::Pong)
    }
}
