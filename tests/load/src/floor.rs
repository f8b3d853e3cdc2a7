//! The floor: the least that a server on this kernel can spend on a delivery.
//!
//! It knows no tokens, positions, history or limits. Who connects is upgraded unseen and belongs
//! to the channel that its first frame names; what Redis publishes on a channel is framed once and
//! given to each of its sockets by one `send`.

use std::collections::HashMap;
use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex, PoisonError};

use crate::resp::Redis;
use crate::wire;

type Channels = Arc<Mutex<HashMap<String, Vec<TcpStream>>>>;

/// What confirms a subscription.
pub(crate) const ACKNOWLEDGED: &str = "subscribed";

/// Serves on `port` what the Redis at `redis` publishes.
pub(crate) fn run(port: u16, redis: &str) -> anyhow::Result<()> {
    let channels = Channels::default();
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port))?;
    let mut redis = Redis::connect(redis)?;
    redis.add(&[b"PSUBSCRIBE", b"*"]);
    redis.send()?;
    let served = Arc::clone(&channels);
    std::thread::spawn(move || deliver(&mut redis, &served));
    loop {
        let (stream, _) = listener.accept()?;
        // A client that does not keep to the protocol is no client of ours.
        drop(admit(stream, &channels));
    }
}

fn admit(mut stream: TcpStream, channels: &Channels) -> anyhow::Result<()> {
    stream.set_nodelay(true)?;
    let mut bytes = [0; 4096];
    let mut length = 0;
    while !bytes[..length].ends_with(b"\r\n\r\n") {
        length += more(&mut stream, &mut bytes[length..])?;
    }
    stream.write_all(wire::SWITCHING.as_bytes())?;
    length = 0;
    let payload = loop {
        if let Some((_, payload)) = wire::parse(&bytes[..length]) {
            break payload;
        }
        length += more(&mut stream, &mut bytes[length..])?;
    };
    let channel = String::from_utf8(bytes[payload].to_vec())?;
    stream.write_all(&wire::frame(ACKNOWLEDGED.as_bytes()))?;
    let mut channels = channels.lock().unwrap_or_else(PoisonError::into_inner);
    channels.entry(channel).or_default().push(stream);
    Ok(())
}

/// Reads once; the end of the stream is an error.
fn more(stream: &mut TcpStream, room: &mut [u8]) -> anyhow::Result<usize> {
    let count = stream.read(room)?;
    anyhow::ensure!(count > 0, "gone");
    Ok(count)
}

fn deliver(redis: &mut Redis, channels: &Channels) -> anyhow::Result<()> {
    loop {
        // `pmessage`, pattern, channel, payload.
        let message = redis.answer()?;
        let [_, _, channel, payload] = &message[..] else { continue };
        let frame = wire::frame(payload);
        let mut channels = channels.lock().unwrap_or_else(PoisonError::into_inner);
        let sockets = channels.get_mut(std::str::from_utf8(channel)?);
        for socket in sockets.into_iter().flatten() {
            // A client that has gone takes nothing more.
            let _gone = socket.write(&frame);
        }
    }
}
