//! What a delivery costs: CPU time per million deliveries, beside the floor of one raw write each.
//!
//! `cargo run --release -p websocket --example fan_out -- 1000 500` (connections, messages)
//!
//! The clients run in a process of their own, so that only the server's side is counted.

#[path = "support/accept.rs"]
mod accept;

use std::io::Write;
use std::net::SocketAddr;
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use futures_util::future::BoxFuture;
use http::{Request, Response};
use hyper::body::Incoming;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use websocket::{
    Connection, ConnectionLimits, Connections, Frame, Handler, Heartbeat, Message, WriteBatch,
    handshake,
};

#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

const REQUEST: &[u8] = b"GET / HTTP/1.1\r\nHost: node\r\nConnection: Upgrade\r\n\
    Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
    Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
const PAYLOAD_BYTES: usize = 200;

/// A handler that only listens.
struct Listener;

impl Handler for Listener {
    fn message(self: Arc<Self>, _message: Message<'_>) -> Option<BoxFuture<'static, ()>> {
        None
    }

    fn drained(&self) {}

    fn closed(&self, _code: u16) {}
}

fn upgrade(connections: &Arc<Connections>, request: Request<Incoming>) -> Response<String> {
    let (parts, body) = request.into_parts();
    let handshake = match handshake::check(&parts) {
        Ok(handshake) => handshake,
        Err(error) => return error.response(),
    };
    let all = Arc::clone(connections);
    handshake.upgrade(&mut Request::from_parts(parts, body), None, connections, move |socket| {
        all.open(socket, Arc::new(Heartbeat::NONE), |_connection| Arc::new(Listener));
    })
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if let [role, address, count] = &arguments[..]
        && role == "clients"
    {
        return clients(address.parse()?, count.parse()?).await;
    }
    let number = |at: usize, default: usize| {
        arguments.get(at).map_or(Ok(default), |number| number.parse::<usize>())
    };
    serve(number(0, 1000)?, number(1, 500)?).await
}

/// Connects and throws away what comes.
async fn clients(address: SocketAddr, count: usize) -> anyhow::Result<()> {
    let mut readers = tokio::task::JoinSet::new();
    for _ in 0..count {
        let mut client = TcpStream::connect(address).await?;
        client.write_all(REQUEST).await?;
        readers.spawn(async move {
            let mut sink = [0; 4096];
            while client.read(&mut sink).await.is_ok_and(|count| count > 0) {}
        });
    }
    while readers.join_next().await.is_some() {}
    Ok(())
}

#[expect(clippy::print_stdout, reason = "its purpose")]
async fn serve(count: usize, messages: usize) -> anyhow::Result<()> {
    let frame = Frame::text(&"x".repeat(PAYLOAD_BYTES));
    let floor = floor(count, messages, frame.len()).await?;
    println!("one raw write each:      {floor:.2} s per million");

    let tasks = TaskTracker::new();
    let connections =
        Connections::new(ConnectionLimits::default(), &tasks, &CancellationToken::new());
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    let all = Arc::clone(&connections);
    let respond = move |request| upgrade(&all, request);
    drop(tasks.spawn(accept::serve(listener, tasks.clone(), respond)));
    let mut child = spawn_clients(address, count)?;
    while connections.count() < count {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let all = connections.all();
    for at_once in [1, 10] {
        let seconds = fan_out(&all, &frame, messages, at_once).await?;
        println!("in batches of {at_once:2}:        {seconds:.2} s per million");
    }
    child.kill()?;
    child.wait()?;
    Ok(())
}

/// Sends messages to all, `at_once` before anything is written; CPU seconds per million deliveries.
async fn fan_out(
    all: &[Arc<Connection>],
    frame: &Frame,
    messages: usize,
    at_once: usize,
) -> anyhow::Result<f64> {
    let before = cpu_seconds()?;
    let mut batch = WriteBatch::new();
    for _ in 0..messages / at_once {
        for _ in 0..at_once {
            for connection in all {
                anyhow::ensure!(batch.send(connection, frame).is_taken(), "a client is slow");
            }
        }
        batch.write().await;
    }
    per_million(before, all.len() * messages)
}

/// The least that a server can spend: a blocking write of the same bytes to each socket.
async fn floor(count: usize, messages: usize, bytes: usize) -> anyhow::Result<f64> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let mut child = spawn_clients(listener.local_addr()?, count)?;
    let mut sockets = Vec::new();
    for _ in 0..count {
        let mut socket = listener.accept().await?.0;
        socket.read_exact(&mut vec![0; REQUEST.len()]).await?;
        socket.set_nodelay(true)?;
        let socket = socket.into_std()?;
        socket.set_nonblocking(false)?;
        sockets.push(socket);
    }
    let bytes = vec![b'x'; bytes];
    let seconds = tokio::task::spawn_blocking(move || {
        let before = cpu_seconds()?;
        for _ in 0..messages {
            for socket in &mut sockets {
                socket.write_all(&bytes)?;
            }
        }
        per_million(before, count * messages)
    });
    let seconds = seconds.await??;
    child.kill()?;
    child.wait()?;
    Ok(seconds)
}

fn spawn_clients(address: SocketAddr, count: usize) -> anyhow::Result<std::process::Child> {
    let arguments = ["clients".to_owned(), address.to_string(), count.to_string()];
    Ok(Command::new(std::env::current_exe()?).args(arguments).spawn()?)
}

#[expect(clippy::cast_precision_loss, reason = "a few millions")]
fn per_million(before: f64, deliveries: usize) -> anyhow::Result<f64> {
    Ok((cpu_seconds()? - before) * 1e6 / deliveries as f64)
}

/// User and system time of this process.
fn cpu_seconds() -> anyhow::Result<f64> {
    /// Clock ticks per second, a constant of the kernel's interface.
    const TICKS: f64 = 100.0;
    let stat = std::fs::read_to_string("/proc/self/stat")?;
    let (_name, fields) = stat.rsplit_once(')').context("no name in /proc/self/stat")?;
    let fields: Vec<&str> = fields.split_whitespace().collect();
    let ticks = fields[11].parse::<f64>()? + fields[12].parse::<f64>()?;
    Ok(ticks / TICKS)
}
