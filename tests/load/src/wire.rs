//! As much of RFC 6455 as both ends need here: whole frames in a buffer.

/// What a frame is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Opcode {
    Text = 0x1,
    Close = 0x8,
    Ping = 0x9,
    Pong = 0xA,
}

/// A frame of a server.
pub(crate) fn frame(payload: &[u8]) -> Vec<u8> {
    let mut bytes = header(Opcode::Text, payload.len(), 0);
    bytes.extend_from_slice(payload);
    bytes
}

/// A frame of a client: masked, by zeros, which change nothing.
pub(crate) fn masked(opcode: Opcode, payload: &[u8]) -> Vec<u8> {
    let mut bytes = header(opcode, payload.len(), 0x80);
    bytes.extend_from_slice(&[0; 4]);
    bytes.extend_from_slice(payload);
    bytes
}

fn header(opcode: Opcode, length: usize, mask: u8) -> Vec<u8> {
    let mut bytes = vec![0x80 | opcode as u8];
    match u16::try_from(length) {
        Ok(short @ 0..126) => bytes.push(mask | short as u8),
        Ok(long) => {
            bytes.push(mask | 126);
            bytes.extend_from_slice(&long.to_be_bytes());
        }
        Err(_) => {
            bytes.push(mask | 127);
            bytes.extend_from_slice(&(length as u64).to_be_bytes());
        }
    }
    bytes
}

/// The first frame in `bytes`, if it is whole: its opcode, where its payload is, and its end.
///
/// The payload is given as it stands: both ends here mask with zeros or not at all.
pub(crate) fn parse(bytes: &[u8]) -> Option<(u8, std::ops::Range<usize>)> {
    let (&first, &second) = (bytes.first()?, bytes.get(1)?);
    let (mut start, length) = match second & 0x7F {
        126 => (4, usize::from(u16::from_be_bytes([*bytes.get(2)?, *bytes.get(3)?]))),
        127 => {
            let long = bytes.get(2..10)?.try_into().ok()?;
            (10, usize::try_from(u64::from_be_bytes(long)).ok()?)
        }
        short => (2, usize::from(short)),
    };
    if second & 0x80 != 0 {
        start += 4;
    }
    (bytes.len() >= start + length).then(|| (first & 0x0F, start..start + length))
}

/// The upgrade request for `path`.
pub(crate) fn upgrade(host: &str, path: &str) -> String {
    format!(
        "GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
         Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
    )
}

/// The answer to [`upgrade`]; the key is always the same, so its answer is, too.
pub(crate) const SWITCHING: &str = "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\n\
    Upgrade: websocket\r\nSec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n";

/// The number behind `key` in a JSON text: what is measured carries its numbers with it.
pub(crate) fn number_behind(text: &[u8], key: &[u8]) -> Option<u64> {
    let at = text.windows(key.len()).position(|window| window == key)? + key.len();
    let digits = text[at..].iter().take_while(|byte| byte.is_ascii_digit());
    digits.fold(None, |number: Option<u64>, digit| {
        Some(number.unwrap_or(0) * 10 + u64::from(digit - b'0'))
    })
}
