//! The accept loop: limits on HTTP connections, and the drain.

use std::time::Duration;

use gateway::accept::HttpLimits;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::node::{Node, PATIENCE, Setup};
use crate::wire;

const PLAIN: &[u8] = b"GET / HTTP/1.1\r\nHost: node\r\n\r\n";

async fn node(http: HttpLimits) -> anyhow::Result<Node> {
    Node::start(Setup { http, ..Setup::default() }).await
}

async fn ends(stream: &mut TcpStream) -> anyhow::Result<Vec<u8>> {
    let mut rest = Vec::new();
    tokio::time::timeout(PATIENCE, stream.read_to_end(&mut rest)).await??;
    Ok(rest)
}

#[tokio::test]
async fn a_header_that_does_not_end_ends_the_connection() -> anyhow::Result<()> {
    let node = node(HttpLimits { header_ms: 100, ..HttpLimits::default() }).await?;
    let mut slow = TcpStream::connect(node.address).await?;
    slow.write_all(b"GET / HTTP/1.1\r\nHost: no").await?;
    ends(&mut slow).await?;
    let mut silent = TcpStream::connect(node.address).await?;
    ends(&mut silent).await?;
    let mut large = TcpStream::connect(node.address).await?;
    large.write_all(format!("GET /{} HTTP/1.1\r\n", "x".repeat(20_000)).as_bytes()).await?;
    assert!(ends(&mut large).await?.starts_with(b"HTTP/1.1 4"));
    Ok(())
}

#[tokio::test]
async fn above_the_limit_http_connections_wait_while_sessions_take_no_room() -> anyhow::Result<()> {
    let node = node(HttpLimits { connections_max: 2, ..HttpLimits::default() }).await?;
    let mut sessions = Vec::new();
    for _ in 0..5 {
        sessions.push(wire::upgrade(node.address, b"").await?);
    }
    let first = TcpStream::connect(node.address).await?;
    let _second = TcpStream::connect(node.address).await?;
    let mut third = TcpStream::connect(node.address).await?;
    third.write_all(PLAIN).await?;
    let answer = tokio::time::timeout(Duration::from_millis(200), third.readable()).await;
    assert!(answer.is_err(), "the third has to wait");
    drop(first);
    let header = tokio::time::timeout(PATIENCE, wire::read_header(&mut third)).await??;
    assert!(header.starts_with("HTTP/1.1 426 "), "{header}");
    Ok(())
}

#[tokio::test]
async fn a_drain_ends_idle_http_connections_and_still_serves_who_comes() -> anyhow::Result<()> {
    let node = node(HttpLimits::default()).await?;
    let mut idle = TcpStream::connect(node.address).await?;
    idle.write_all(PLAIN).await?;
    wire::read_header(&mut idle).await?;
    node.lifecycle.drain();
    ends(&mut idle).await?;
    let mut session = wire::upgrade(node.address, &wire::frame(wire::TEXT, b"hello")).await?;
    wire::expect(&mut session, b"\x81\x05hello").await?;
    let mut late = TcpStream::connect(node.address).await?;
    late.write_all(PLAIN).await?;
    let answer = ends(&mut late).await?;
    assert!(answer.starts_with(b"HTTP/1.1 426 "), "one request, then the end");
    Ok(())
}
