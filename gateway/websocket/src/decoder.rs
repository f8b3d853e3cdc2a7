//! The receiving half of RFC 6455, server side: from bytes in any pieces to messages.
//!
//! A whole frame is decoded where it lies in the read buffer, so the common message costs no
//! allocation and a connection at rest holds one empty pointer. Only what is incomplete (half a
//! header, half a frame, a fragmented message) is copied to memory of the connection, which is
//! freed as soon as the message is complete.
//!
//! Every rule is applied at the first byte that breaks it, and before memory is reserved: what a
//! header announces costs nothing until it has arrived.

mod assembly;
mod header;

use std::borrow::Cow;

use self::assembly::Assembly;
use self::header::{FrameHeader, unmask};
use crate::close;
use crate::opcode::Opcode;
use crate::rules::{MessageLimits, Received, Violation};

/// The state of one connection's input between two reads.
#[derive(Debug, Default)]
pub struct Decoder {
    partial: Option<Box<Incomplete>>,
}

/// What has arrived of something incomplete; nothing at rest.
#[derive(Debug, Default)]
struct Incomplete {
    /// Raw bytes of an incomplete header, or of a control frame that is not complete.
    raw: Vec<u8>,
    /// The data frame whose payload is arriving.
    frame: Option<OpenFrame>,
    /// The message that it belongs to, which may go on in further fragments.
    message: Option<Assembly>,
}

/// A data frame after its header.
#[derive(Debug)]
struct OpenFrame {
    is_final: bool,
    mask: [u8; 4],
    remaining: usize,
}

impl Decoder {
    /// Returns the next message or control frame in `input`, which is moved on behind what was
    /// used. `None` when the rest is not complete; it is kept, and `input` is then empty.
    ///
    /// # Errors
    /// When the client broke a rule. Nothing more can be read after that.
    pub fn next<'a>(
        &mut self,
        input: &mut &'a mut [u8],
        limits: MessageLimits,
    ) -> Result<Option<Received<'a>>, Violation> {
        let event = self.advance(input, limits)?;
        if self.partial.as_ref().is_some_and(|partial| partial.is_idle()) {
            self.partial = None;
        }
        Ok(event)
    }

    /// Tells whether nothing has begun that is not complete.
    pub fn is_idle(&self) -> bool {
        self.partial.is_none()
    }

    /// Returns the memory that incomplete input takes, in bytes.
    pub fn held_bytes(&self) -> usize {
        self.partial.as_ref().map_or(0, |partial| {
            partial.raw.capacity() + partial.message.as_ref().map_or(0, Assembly::held_bytes)
        })
    }

    /// Tells whether a message has begun and is not complete.
    pub fn has_open_message(&self) -> bool {
        self.partial.as_ref().is_some_and(|partial| partial.message.is_some())
    }

    fn advance<'a>(
        &mut self,
        input: &mut &'a mut [u8],
        limits: MessageLimits,
    ) -> Result<Option<Received<'a>>, Violation> {
        loop {
            if let Some(partial) = &mut self.partial {
                if partial.frame.is_some() {
                    match partial.payload(input)? {
                        PayloadStep::Complete(event) => return Ok(Some(event)),
                        PayloadStep::Fragment => continue,
                        PayloadStep::Incomplete => return Ok(None),
                    }
                }
                if !partial.raw.is_empty() {
                    match partial.resume(input, limits)? {
                        HeaderStep::Control(event) => return Ok(Some(event)),
                        HeaderStep::Data => continue,
                        HeaderStep::Incomplete => return Ok(None),
                    }
                }
            }
            if input.is_empty() {
                return Ok(None);
            }
            let wanted = wanted_bytes(input)?;
            if input.len() < wanted {
                self.partial_mut().raw.extend_from_slice(take(input, input.len()));
                return Ok(None);
            }
            let header = FrameHeader::parse(input)?;
            if header.opcode.is_control() {
                return control(&header, take(input, wanted)).map(Some);
            }
            take(input, wanted);
            if let Some(event) = self.begin(&header, input, limits)? {
                return Ok(Some(event));
            }
        }
    }

    /// A data frame's header was read. A whole unfragmented message that lies in `input` is
    /// decoded there; anything else opens a frame.
    fn begin<'a>(
        &mut self,
        header: &FrameHeader,
        input: &mut &'a mut [u8],
        limits: MessageLimits,
    ) -> Result<Option<Received<'a>>, Violation> {
        let is_whole = header.is_final && input.len() >= header.length;
        if !is_whole || header.opcode == Opcode::Continuation || self.has_open_message() {
            return self.partial_mut().open(header, limits).map(|()| None);
        }
        if header.length > limits.bytes_max {
            return Err(Violation::TooBig);
        }
        let payload = take(input, header.length);
        unmask(payload, header.mask);
        Ok(Some(if header.opcode == Opcode::Text {
            let text = std::str::from_utf8(payload).map_err(|_invalid| Violation::InvalidText)?;
            Received::Text(Cow::Borrowed(text))
        } else {
            Received::Binary(Cow::Borrowed(payload))
        }))
    }

    fn partial_mut(&mut self) -> &mut Incomplete {
        self.partial.get_or_insert_default()
    }
}

/// How a step inside a data frame's payload ended.
enum PayloadStep<'a> {
    Complete(Received<'a>),
    Fragment,
    Incomplete,
}

/// How a step with a header from an earlier read ended.
enum HeaderStep<'a> {
    Control(Received<'a>),
    Data,
    Incomplete,
}

impl Incomplete {
    fn is_idle(&self) -> bool {
        self.raw.is_empty() && self.frame.is_none() && self.message.is_none()
    }

    /// Completes the header, or the control frame, that an earlier read left.
    fn resume<'a>(
        &mut self,
        input: &mut &'a mut [u8],
        limits: MessageLimits,
    ) -> Result<HeaderStep<'a>, Violation> {
        loop {
            let missing = wanted_bytes(&self.raw)? - self.raw.len();
            if missing == 0 {
                break;
            }
            if input.is_empty() {
                return Ok(HeaderStep::Incomplete);
            }
            let count = missing.min(input.len());
            self.raw.extend_from_slice(take(input, count));
        }
        let mut raw = std::mem::take(&mut self.raw);
        let header = FrameHeader::parse(&raw)?;
        if header.opcode.is_control() {
            return control(&header, &mut raw).map(|event| HeaderStep::Control(event.into_owned()));
        }
        self.open(&header, limits)?;
        Ok(HeaderStep::Data)
    }

    /// Begins a frame of a new message, or the next fragment of the one that is arriving.
    fn open(&mut self, header: &FrameHeader, limits: MessageLimits) -> Result<(), Violation> {
        let message = match (&mut self.message, header.opcode) {
            (None, Opcode::Continuation) => {
                return Err(Violation::Protocol("continuation without a message"));
            }
            (Some(message), Opcode::Continuation) => message,
            (Some(_), _) => return Err(Violation::Protocol("new message amid another")),
            (None, opcode) => self.message.insert(Assembly::new(opcode == Opcode::Text)),
        };
        message.begin_fragment(header.length, limits)?;
        self.frame = Some(OpenFrame {
            is_final: header.is_final,
            mask: header.mask,
            remaining: header.length,
        });
        Ok(())
    }

    /// Moves what `input` has of the open frame's payload into the message.
    fn payload<'a>(&mut self, input: &mut &'a mut [u8]) -> Result<PayloadStep<'a>, Violation> {
        let (Some(frame), Some(message)) = (&mut self.frame, &mut self.message) else {
            return Ok(PayloadStep::Incomplete);
        };
        let count = frame.remaining.min(input.len());
        let chunk = take(input, count);
        unmask(chunk, frame.mask);
        frame.mask.rotate_left(count % 4);
        frame.remaining -= count;
        message.push(chunk, frame.remaining)?;
        if frame.remaining > 0 {
            return Ok(PayloadStep::Incomplete);
        }
        let is_final = frame.is_final;
        self.frame = None;
        if !is_final {
            return Ok(PayloadStep::Fragment);
        }
        match self.message.take() {
            Some(message) => message.finish().map(PayloadStep::Complete),
            None => Ok(PayloadStep::Incomplete),
        }
    }
}

/// Returns how many bytes have to be there before the frame that starts `bytes` can be looked
/// at: its header, or all of a control frame. Fails as soon as two bytes are wrong.
fn wanted_bytes(bytes: &[u8]) -> Result<usize, Violation> {
    let [first, second, ..] = bytes else { return Ok(2) };
    FrameHeader::check(*first, *second)?;
    Ok(FrameHeader::bytes(*first, *second))
}

/// Reads a whole control frame.
fn control<'a>(header: &FrameHeader, frame: &'a mut [u8]) -> Result<Received<'a>, Violation> {
    let start = frame.len() - header.length;
    let payload = &mut frame[start..];
    unmask(payload, header.mask);
    match header.opcode {
        Opcode::Ping => Ok(Received::Ping(Cow::Borrowed(payload))),
        Opcode::Pong => Ok(Received::Pong),
        _ => close_code(payload).map(Received::Close),
    }
}

/// Returns the code of a close frame, after checking what RFC 6455 §5.5.1 and §7.4 ask for.
fn close_code(payload: &[u8]) -> Result<Option<u16>, Violation> {
    match payload {
        [] => Ok(None),
        [_] => Err(Violation::Protocol("half a close code")),
        [high, low, reason @ ..] => {
            let code = u16::from_be_bytes([*high, *low]);
            if !close::may_be_received(code) {
                return Err(Violation::Protocol("invalid close code"));
            }
            std::str::from_utf8(reason).map_err(|_invalid| Violation::InvalidText)?;
            Ok(Some(code))
        }
    }
}

/// Cuts the first `count` bytes off `input`.
fn take<'a>(input: &mut &'a mut [u8], count: usize) -> &'a mut [u8] {
    let (taken, rest) = std::mem::take(input).split_at_mut(count);
    *input = rest;
    taken
}
