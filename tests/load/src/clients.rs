//! The process that plays clients: one thread, one small task per connection.
//!
//! It is told by one line of JSON who it is ([`Herd`]) and answers each further line with what its
//! clients have seen ([`Tally`]). It ends when the other end does.

use std::cell::RefCell;
use std::net::{IpAddr, SocketAddr};
use std::rc::Rc;

use anyhow::Context as _;
use serde::{Deserialize, Serialize};
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{TcpSocket, TcpStream};
use tokio::sync::Semaphore;

use crate::tally::{Tally, now_us};
use crate::wire::{self, Opcode};

/// How many connections are on their way in at once.
const CONNECTING_MAX: usize = 100;

const READ_BYTES: usize = 64 << 10;

/// The clients of one process.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Herd {
    /// Whom they connect to.
    pub(crate) server: SocketAddr,
    /// Where they come from.
    pub(crate) source: IpAddr,
    /// What a frame holds that confirms a subscription; empty when nothing does.
    pub(crate) acknowledged: String,
    /// Each of them.
    pub(crate) members: Vec<Member>,
}

/// One client.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Member {
    /// Path and query of the upgrade.
    pub(crate) path: String,
    /// What it sends, each a subscription.
    pub(crate) subscribe: Vec<String>,
    /// Whether it reads nothing once it is subscribed.
    pub(crate) stalled: bool,
}

struct Shared {
    herd: Herd,
    tally: RefCell<Tally>,
    scratch: RefCell<Vec<u8>>,
    connecting: Semaphore,
}

/// Plays the clients that `control` asks for.
pub(crate) async fn run(control: &str) -> anyhow::Result<()> {
    let mut control = BufReader::new(TcpStream::connect(control).await?);
    let mut line = String::new();
    control.read_line(&mut line).await?;
    let herd: Herd = serde_json::from_str(&line)?;
    let shared = Rc::new(Shared {
        herd,
        tally: RefCell::default(),
        scratch: RefCell::new(vec![0; READ_BYTES]),
        connecting: Semaphore::new(CONNECTING_MAX),
    });
    let tasks = tokio::task::LocalSet::new();
    for index in 0..shared.herd.members.len() {
        let shared = Rc::clone(&shared);
        tasks.spawn_local(async move {
            let ended = live(&shared, index).await;
            shared.tally.borrow_mut().ended += 1;
            drop(ended);
        });
    }
    tasks
        .run_until(async {
            loop {
                line.clear();
                if control.read_line(&mut line).await? == 0 {
                    return Ok(());
                }
                let mut answer = serde_json::to_vec(&*shared.tally.borrow())?;
                answer.push(b'\n');
                control.write_all(&answer).await?;
            }
        })
        .await
}

/// A client's life: upgrade, subscriptions, and then all that comes.
async fn live(shared: &Shared, index: usize) -> anyhow::Result<()> {
    let member = &shared.herd.members[index];
    let permit = shared.connecting.acquire().await?;
    let mut stream = upgrade(&shared.herd, member).await?;
    for text in &member.subscribe {
        stream.write_all(&wire::masked(Opcode::Text, text.as_bytes())).await?;
    }
    let expected = if shared.herd.acknowledged.is_empty() { 0 } else { member.subscribe.len() };
    let mut client = Client { shared, unread: Vec::new(), acknowledged: 0, last: 0 };
    while client.acknowledged < expected {
        client.read(&mut stream).await?;
    }
    shared.tally.borrow_mut().ready += 1;
    drop(permit);
    if member.stalled {
        return std::future::pending().await;
    }
    loop {
        client.read(&mut stream).await?;
    }
}

async fn upgrade(herd: &Herd, member: &Member) -> anyhow::Result<TcpStream> {
    let socket = TcpSocket::new_v4()?;
    socket.bind((herd.source, 0).into())?;
    let mut stream = socket.connect(herd.server).await?;
    stream.set_nodelay(true)?;
    let request = wire::upgrade(&herd.server.to_string(), &member.path);
    stream.write_all(request.as_bytes()).await?;
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await?);
    }
    anyhow::ensure!(head.starts_with(b"HTTP/1.1 101"), "{}", String::from_utf8_lossy(&head));
    Ok(stream)
}

struct Client<'s> {
    shared: &'s Shared,
    /// The beginning of a frame; empty most of the time, so that idle clients are small.
    unread: Vec<u8>,
    acknowledged: usize,
    /// The number of the last event.
    last: u64,
}

impl Client<'_> {
    /// Reads once and takes every whole frame.
    async fn read(&mut self, stream: &mut TcpStream) -> anyhow::Result<()> {
        stream.readable().await?;
        let mut scratch = self.shared.scratch.borrow_mut();
        let count = match stream.try_read(&mut scratch) {
            Ok(0) => anyhow::bail!("the server has gone"),
            Ok(count) => count,
            Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => return Ok(()),
            Err(error) => return Err(error.into()),
        };
        let mut before = std::mem::take(&mut self.unread);
        let bytes = if before.is_empty() {
            &scratch[..count]
        } else {
            before.extend_from_slice(&scratch[..count]);
            &before[..]
        };
        let mut at = 0;
        while let Some((opcode, payload)) = wire::parse(&bytes[at..]) {
            let end = at + payload.end;
            self.take(opcode, &bytes[at + payload.start..end], stream)?;
            at = end;
        }
        if at < bytes.len() {
            self.unread = bytes[at..].to_vec();
        }
        Ok(())
    }

    fn take(&mut self, opcode: u8, payload: &[u8], stream: &TcpStream) -> anyhow::Result<()> {
        if opcode == Opcode::Close as u8 {
            anyhow::bail!("closed");
        }
        if opcode == Opcode::Ping as u8 {
            // A pong is small and we have nothing else under way: it fits or is not missed.
            let _written = stream.try_write(&wire::masked(Opcode::Pong, payload));
        } else if let Some(number) = wire::number_behind(payload, b"\"n\":") {
            self.event(number, payload);
        } else {
            let has = |text: &str| {
                let text = text.as_bytes();
                !text.is_empty() && payload.windows(text.len()).any(|window| window == text)
            };
            self.acknowledged += usize::from(has(&self.shared.herd.acknowledged));
            self.shared.tally.borrow_mut().gaps += u64::from(has("\"type\":\"gap\""));
        }
        Ok(())
    }

    /// Events are numbered 1, 2, 3 … per channel, and where there are positions they say the same.
    fn event(&mut self, number: u64, payload: &[u8]) {
        let mut tally = self.shared.tally.borrow_mut();
        tally.delivered += 1;
        let in_order = number == self.last + 1 && offset(payload).is_none_or(|at| at == number);
        tally.disordered += u64::from(!in_order);
        self.last = number;
        if let Some(sent_us) = wire::number_behind(payload, b"\"t\":") {
            tally.took(now_us().saturating_sub(sent_us));
        }
    }
}

/// The offset in `"position":"EPOCH-OFFSET"`.
fn offset(payload: &[u8]) -> Option<u64> {
    const KEY: &[u8] = b"\"position\":\"";
    let at = payload.windows(KEY.len()).position(|window| window == KEY)? + KEY.len();
    wire::number_behind(payload.get(at..at + 48).unwrap_or_else(|| &payload[at..]), b"-")
}

/// Runs [`run`] on one thread.
pub(crate) fn start(control: &str) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.context("a runtime")?.block_on(run(control))
}
