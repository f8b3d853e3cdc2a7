//! A client that writes its bytes itself, for what a proper client would not do.

use std::net::SocketAddr;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// First bytes of whole frames.
pub(crate) const TEXT: u8 = 0x81;
pub(crate) const CLOSE: u8 = 0x88;
pub(crate) const PING: u8 = 0x89;

/// The key of RFC 6455 §1.3, whose answer is known.
pub(crate) const KEY: &str = "dGhlIHNhbXBsZSBub25jZQ==";

/// A client frame.
pub(crate) fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
    const MASK: [u8; 4] = [0x12, 0x34, 0x56, 0x78];
    let mut frame = vec![first];
    match u16::try_from(payload.len()) {
        Ok(short @ 0..126) => frame.push(0x80 | short.to_le_bytes()[0]),
        Ok(medium) => {
            frame.push(0xFE);
            frame.extend_from_slice(&medium.to_be_bytes());
        }
        Err(_long) => {
            frame.push(0xFF);
            frame.extend_from_slice(&(payload.len() as u64).to_be_bytes());
        }
    }
    frame.extend_from_slice(&MASK);
    frame.extend(payload.iter().zip(MASK.iter().cycle()).map(|(byte, mask)| byte ^ mask));
    frame
}

/// An upgrade request as every client sends it.
pub(crate) fn upgrade_request() -> String {
    format!(
        "GET / HTTP/1.1\r\nHost: node\r\nConnection: keep-alive, Upgrade\r\n\
         Upgrade: WebSocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {KEY}\r\n\r\n"
    )
}

/// Sends the upgrade request with `more` right behind it, and reads the answer's header.
pub(crate) async fn upgrade(node: SocketAddr, more: &[u8]) -> anyhow::Result<TcpStream> {
    let mut stream = TcpStream::connect(node).await?;
    stream.write_all(&[upgrade_request().as_bytes(), more].concat()).await?;
    let header = read_header(&mut stream).await?;
    anyhow::ensure!(header.starts_with("HTTP/1.1 101 "), "{header}");
    Ok(stream)
}

/// Reads a response's header, and nothing behind it.
pub(crate) async fn read_header(stream: &mut TcpStream) -> anyhow::Result<String> {
    let mut header = Vec::new();
    while !header.ends_with(b"\r\n\r\n") {
        header.push(stream.read_u8().await?);
    }
    Ok(String::from_utf8(header)?)
}

/// Sends a whole HTTP request and reads the answer's header.
pub(crate) async fn ask(node: SocketAddr, request: &str) -> anyhow::Result<String> {
    let mut stream = TcpStream::connect(node).await?;
    stream.write_all(request.as_bytes()).await?;
    read_header(&mut stream).await
}

/// Reads exactly these bytes.
pub(crate) async fn expect(stream: &mut TcpStream, bytes: &[u8]) -> anyhow::Result<()> {
    let mut read = vec![0; bytes.len()];
    stream.read_exact(&mut read).await?;
    anyhow::ensure!(read == bytes, "{read:?} instead of {bytes:?}");
    Ok(())
}
