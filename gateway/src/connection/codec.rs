//! The receiving half of RFC 6455, server side: bytes in whatever pieces → messages.
//!
//! A whole frame is decoded where it lies in the read buffer, so the common message costs no
//! allocation and a connection at rest holds one empty pointer. Only what is incomplete (half a
//! header, half a frame, a fragmented message) is copied to memory of the connection, which is
//! freed as soon as the message is complete.
//!
//! Every rule is applied at the first byte that breaks it, and before memory is reserved: what a
//! header announces costs nothing until it has arrived.

use std::borrow::Cow;

use super::assembly::Assembly;
use super::close;
use super::header::{Header, Kind, unmask};

/// What one connection may send.
#[derive(Clone, Copy, Debug)]
pub struct MessageLimits {
    /// Payload of one message in bytes, over all its fragments (`MAX_FRAME_BYTES`).
    pub bytes_max: usize,
    /// Fragments of one message. They need a bound of their own because they may be empty.
    pub fragments_max: u32,
}

/// What the peer has sent.
#[derive(Debug, PartialEq, Eq)]
pub enum Event<'a> {
    /// A whole text message.
    Text(Cow<'a, str>),
    /// A whole binary message.
    Binary(Cow<'a, [u8]>),
    /// A control ping with its payload, to be repeated in the pong.
    Ping(Cow<'a, [u8]>),
    /// A control pong.
    Pong,
    /// A close frame with its code, if it had one. Nothing may follow it.
    Close(Option<u16>),
}

/// A rule of RFC 6455 that the peer broke; the connection has to be failed (§7.1.7).
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Violation {
    /// Close with 1002.
    #[error("{0}")]
    Protocol(&'static str),
    /// Close with 1007.
    #[error("text is not UTF-8")]
    InvalidText,
    /// Close with 1009.
    #[error("message too big")]
    TooBig,
}

impl Violation {
    /// The close code that says this to the peer.
    pub fn code(self) -> u16 {
        match self {
            Self::Protocol(_) => close::PROTOCOL,
            Self::InvalidText => close::INVALID_TEXT,
            Self::TooBig => close::TOO_BIG,
        }
    }
}

/// The state of one connection's input between two reads.
#[derive(Debug, Default)]
pub struct Decoder {
    partial: Option<Box<Partial>>,
}

/// What has arrived of something incomplete. There is none at rest.
#[derive(Debug, Default)]
struct Partial {
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
    /// The next event in `input`, which is moved on behind what was used; `None` when the rest
    /// (kept, `input` is then empty) is no whole event. After an error nothing more can be read.
    pub fn next<'a>(
        &mut self,
        input: &mut &'a mut [u8],
        limits: MessageLimits,
    ) -> Result<Option<Event<'a>>, Violation> {
        let event = self.advance(input, limits)?;
        if self.partial.as_ref().is_some_and(|partial| partial.is_idle()) {
            self.partial = None;
        }
        Ok(event)
    }

    /// Whether nothing has begun that is not complete.
    pub fn is_idle(&self) -> bool {
        self.partial.is_none()
    }

    /// Memory that incomplete input takes, in bytes.
    pub fn held_bytes(&self) -> usize {
        self.partial.as_ref().map_or(0, |partial| {
            partial.raw.capacity() + partial.message.as_ref().map_or(0, Assembly::held_bytes)
        })
    }

    /// Whether a message has begun and is not complete.
    pub fn is_amid_message(&self) -> bool {
        self.partial.as_ref().is_some_and(|partial| partial.message.is_some())
    }

    fn advance<'a>(
        &mut self,
        input: &mut &'a mut [u8],
        limits: MessageLimits,
    ) -> Result<Option<Event<'a>>, Violation> {
        loop {
            if let Some(partial) = &mut self.partial {
                if partial.frame.is_some() {
                    match partial.payload(input)? {
                        Payload::Complete(event) => return Ok(Some(event)),
                        Payload::Fragment => continue,
                        Payload::Incomplete => return Ok(None),
                    }
                }
                if !partial.raw.is_empty() {
                    match partial.resume(input, limits)? {
                        Resumed::Control(event) => return Ok(Some(event)),
                        Resumed::Data => continue,
                        Resumed::Incomplete => return Ok(None),
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
            let header = Header::parse(input)?;
            if header.kind.is_control() {
                return control(&header, take(input, wanted)).map(Some);
            }
            take(input, wanted);
            if let Some(event) = self.begin(&header, input, limits)? {
                return Ok(Some(event));
            }
        }
    }

    /// A data frame's header was read. A whole unfragmented message that lies in `input` becomes
    /// an event there; anything else opens a frame.
    fn begin<'a>(
        &mut self,
        header: &Header,
        input: &mut &'a mut [u8],
        limits: MessageLimits,
    ) -> Result<Option<Event<'a>>, Violation> {
        let is_whole = header.is_final && input.len() >= header.length;
        if !is_whole || header.kind == Kind::Continuation || self.is_amid_message() {
            return self.partial_mut().open(header, limits).map(|()| None);
        }
        if header.length > limits.bytes_max {
            return Err(Violation::TooBig);
        }
        let payload = take(input, header.length);
        unmask(payload, header.mask);
        Ok(Some(if header.kind == Kind::Text {
            let text = std::str::from_utf8(payload).map_err(|_invalid| Violation::InvalidText)?;
            Event::Text(Cow::Borrowed(text))
        } else {
            Event::Binary(Cow::Borrowed(payload))
        }))
    }

    fn partial_mut(&mut self) -> &mut Partial {
        self.partial.get_or_insert_default()
    }
}

/// How a step inside a data frame's payload ended.
enum Payload<'a> {
    Complete(Event<'a>),
    Fragment,
    Incomplete,
}

/// How a step with a header from an earlier read ended.
enum Resumed<'a> {
    Control(Event<'a>),
    Data,
    Incomplete,
}

impl Partial {
    fn is_idle(&self) -> bool {
        self.raw.is_empty() && self.frame.is_none() && self.message.is_none()
    }

    /// Completes the header, or the control frame, that an earlier read left.
    fn resume<'a>(
        &mut self,
        input: &mut &'a mut [u8],
        limits: MessageLimits,
    ) -> Result<Resumed<'a>, Violation> {
        loop {
            let missing = wanted_bytes(&self.raw)? - self.raw.len();
            if missing == 0 {
                break;
            }
            if input.is_empty() {
                return Ok(Resumed::Incomplete);
            }
            let count = missing.min(input.len());
            self.raw.extend_from_slice(take(input, count));
        }
        let mut raw = std::mem::take(&mut self.raw);
        let header = Header::parse(&raw)?;
        if header.kind.is_control() {
            return control(&header, &mut raw).map(|event| Resumed::Control(event.into_owned()));
        }
        self.open(&header, limits)?;
        Ok(Resumed::Data)
    }

    /// Begins a frame of a new message, or the next fragment of the one that is arriving.
    fn open(&mut self, header: &Header, limits: MessageLimits) -> Result<(), Violation> {
        let message = match (&mut self.message, header.kind) {
            (None, Kind::Continuation) => {
                return Err(Violation::Protocol("continuation without a message"));
            }
            (Some(message), Kind::Continuation) => message,
            (Some(_), _) => return Err(Violation::Protocol("new message amid another")),
            (None, kind) => self.message.insert(Assembly::new(kind == Kind::Text)),
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
    fn payload<'a>(&mut self, input: &mut &'a mut [u8]) -> Result<Payload<'a>, Violation> {
        let (Some(frame), Some(message)) = (&mut self.frame, &mut self.message) else {
            return Ok(Payload::Incomplete);
        };
        let count = frame.remaining.min(input.len());
        let chunk = take(input, count);
        unmask(chunk, frame.mask);
        frame.mask.rotate_left(count % 4);
        frame.remaining -= count;
        message.push(chunk, frame.remaining)?;
        if frame.remaining > 0 {
            return Ok(Payload::Incomplete);
        }
        let is_final = frame.is_final;
        self.frame = None;
        if !is_final {
            return Ok(Payload::Fragment);
        }
        match self.message.take() {
            Some(message) => message.finish().map(Payload::Complete),
            None => Ok(Payload::Incomplete),
        }
    }
}

impl Event<'_> {
    fn into_owned<'b>(self) -> Event<'b> {
        match self {
            Self::Text(text) => Event::Text(Cow::Owned(text.into_owned())),
            Self::Binary(bytes) => Event::Binary(Cow::Owned(bytes.into_owned())),
            Self::Ping(bytes) => Event::Ping(Cow::Owned(bytes.into_owned())),
            Self::Pong => Event::Pong,
            Self::Close(code) => Event::Close(code),
        }
    }
}

/// How many bytes have to be there before the frame that starts `bytes` can be looked at: its
/// header, and with a control frame all of it. Says no as soon as two bytes are wrong.
fn wanted_bytes(bytes: &[u8]) -> Result<usize, Violation> {
    let [first, second, ..] = bytes else { return Ok(2) };
    Header::check(*first, *second)?;
    Ok(Header::bytes(*first, *second))
}

/// Reads a whole control frame.
fn control<'a>(header: &Header, frame: &'a mut [u8]) -> Result<Event<'a>, Violation> {
    let start = frame.len() - header.length;
    let payload = &mut frame[start..];
    unmask(payload, header.mask);
    match header.kind {
        Kind::Ping => Ok(Event::Ping(Cow::Borrowed(payload))),
        Kind::Pong => Ok(Event::Pong),
        _ => close_code(payload).map(Event::Close),
    }
}

/// The code of a close frame, after checking what RFC 6455 §5.5.1 and §7.4 ask for.
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
