//! What an idle connection costs in memory: opens loopback connections and prints bytes for each.
//!
//! `cargo run --release -p websocket --example idle_memory -- 5000` (needs two descriptors for each)
//!
//! The clients are plain blocking sockets, which have no memory in this process. Three figures:
//! connected, after one message each, and after a burst that did not fit into the socket.

#[path = "support/accept.rs"]
mod accept;

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;

use anyhow::Context;
use futures_util::future::BoxFuture;
use http::{Request, Response};
use hyper::body::Incoming;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use websocket::{
    Connection, ConnectionLimits, Connections, Frame, Handler, Heartbeat, Message, Ping, handshake,
};

#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

const REQUEST: &[u8] = b"GET / HTTP/1.1\r\nHost: node\r\nConnection: Upgrade\r\n\
    Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
    Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
/// "hello" as a client frame; a mask of zeros changes nothing.
const HELLO: &[u8] = b"\x81\x85\0\0\0\0hello";
const BURST_BYTES: usize = 200_000;

/// The smallest handler: it answers what it gets.
struct Echo {
    connection: Arc<Connection>,
}

impl Handler for Echo {
    fn message(self: Arc<Self>, message: Message<'_>) -> Option<BoxFuture<'static, ()>> {
        if let Message::Text(text) = message {
            let _slow_or_gone = self.connection.send(&Frame::text(text));
        }
        None
    }

    fn drained(&self) {}

    fn closed(&self, _code: u16) {}
}

#[derive(Clone)]
struct Endpoint {
    connections: Arc<Connections>,
    heartbeat: Arc<Heartbeat>,
}

fn upgrade(endpoint: &Endpoint, request: Request<Incoming>) -> Response<String> {
    let (parts, body) = request.into_parts();
    let handshake = match handshake::check(&parts) {
        Ok(handshake) => handshake,
        Err(error) => return error.response(),
    };
    let mut request = Request::from_parts(parts, body);
    let Endpoint { connections, heartbeat } = endpoint.clone();
    handshake.upgrade(&mut request, None, &endpoint.connections, move |socket| {
        connections.open(socket, heartbeat, |connection| {
            Arc::new(Echo { connection: Arc::clone(connection) })
        });
    })
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let count = std::env::args().nth(1).map_or(Ok(5000), |count| count.parse::<usize>())?;
    let tasks = TaskTracker::new();
    let connections =
        Connections::new(ConnectionLimits::default(), &tasks, &CancellationToken::new());
    let heartbeat = Heartbeat { ping: Ping::Control, timeout_ms: 60_000, ..Heartbeat::NONE };
    let endpoint =
        Endpoint { connections: Arc::clone(&connections), heartbeat: Arc::new(heartbeat) };
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    let respond = move |request| upgrade(&endpoint, request);
    drop(tasks.spawn(accept::serve(listener, tasks.clone(), respond)));
    tokio::task::spawn_blocking(move || measure(address, &connections, count)).await?
}

/// Plays the clients and prints the figures.
#[expect(clippy::print_stdout, reason = "its purpose")]
fn measure(
    address: SocketAddr,
    connections: &Arc<Connections>,
    count: usize,
) -> anyhow::Result<()> {
    // What is reserved once, whatever the number of connections.
    drop(connect(address, 200)?);
    wait(|| connections.count() == 0);
    let before = resident_bytes()?;
    let mut clients = connect(address, count)?;
    wait(|| connections.count() == count);
    let each = |stage: &str| -> anyhow::Result<()> {
        // Lets the allocator give back what it keeps for a while, and HTTP tasks end.
        std::thread::park_timeout(std::time::Duration::from_secs(3));
        let more = resident_bytes()?.saturating_sub(before);
        println!("{stage}: {} bytes per connection", more / count);
        Ok(())
    };
    each("connected")?;
    for client in &mut clients {
        client.write_all(HELLO)?;
        client.read_exact(&mut [0; 7])?;
    }
    each("after a message each")?;
    let burst = Frame::binary(&vec![0; BURST_BYTES]);
    let all = connections.all();
    let queued = all.iter().filter(|connection| connection.send(&burst).is_taken()).count();
    anyhow::ensure!(queued == count, "{queued} of {count} bursts were taken");
    drop((all, burst));
    let mut sink = vec![0; BURST_BYTES + 10];
    for client in &mut clients {
        client.read_exact(&mut sink)?;
    }
    each("after a burst of 200 kB each")
}

fn connect(address: SocketAddr, count: usize) -> anyhow::Result<Vec<TcpStream>> {
    (0..count)
        .map(|_| {
            let mut client = TcpStream::connect(address)?;
            client.write_all(REQUEST)?;
            let mut header = Vec::new();
            while !header.ends_with(b"\r\n\r\n") {
                let mut byte = [0];
                client.read_exact(&mut byte)?;
                header.push(byte[0]);
            }
            Ok(client)
        })
        .collect()
}

fn wait(is_done: impl Fn() -> bool) {
    while !is_done() {
        std::thread::park_timeout(std::time::Duration::from_millis(10));
    }
}

fn resident_bytes() -> anyhow::Result<usize> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("RssAnon:"));
    let kilobytes = line.and_then(|line| line.split_whitespace().next());
    Ok(kilobytes.context("no RssAnon in /proc/self/status")?.parse::<usize>()? << 10)
}
