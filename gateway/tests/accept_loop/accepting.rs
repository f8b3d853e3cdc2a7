//! The accept loop: limits on HTTP connections, and the drain.

use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::routing::post;
use gateway::http::accept::{self, HttpLimits};
use runtime::lifecycle::Lifecycle;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use crate::node::{Node, PATIENCE};
use crate::wire;

const PLAIN: &[u8] = b"GET / HTTP/1.1\r\nHost: node\r\n\r\n";

async fn node(http: HttpLimits) -> anyhow::Result<Node> {
    Node::start(http).await
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
async fn an_address_has_its_number_of_http_connections_and_sessions_take_none() -> anyhow::Result<()>
{
    let limits = HttpLimits { connections_per_address_max: 2, ..HttpLimits::default() };
    let crowded = node(limits.clone()).await?;
    let mut sessions = Vec::new();
    for _ in 0..5 {
        sessions.push(wire::upgrade(crowded.address, b"").await?);
    }
    let first = TcpStream::connect(crowded.address).await?;
    let _second = TcpStream::connect(crowded.address).await?;
    let mut third = TcpStream::connect(crowded.address).await?;
    let answer = String::from_utf8(ends(&mut third).await?)?;
    assert!(answer.starts_with("HTTP/1.1 429 ") && answer.contains("Retry-After: 1"), "{answer}");
    drop(first);
    // The place is free once the node has seen the end.
    let deadline = tokio::time::Instant::now() + PATIENCE;
    loop {
        let mut again = TcpStream::connect(crowded.address).await?;
        // One that is refused is closed, and a request to it fails.
        let asked = again.write_all(PLAIN).await.is_ok();
        let header = wire::read_header(&mut again).await.unwrap_or_default();
        if asked && header.starts_with("HTTP/1.1 426 ") {
            break;
        }
        anyhow::ensure!(tokio::time::Instant::now() < deadline, "no place becomes free");
    }

    let spared = vec!["127.0.0.0/8".parse()?];
    let spared = node(HttpLimits { spared, ..limits }).await?;
    let mut all = Vec::new();
    for _ in 0..10 {
        all.push(TcpStream::connect(spared.address).await?);
    }
    for stream in &mut all {
        stream.write_all(PLAIN).await?;
        assert!(wire::read_header(stream).await?.starts_with("HTTP/1.1 426 "));
    }
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

#[tokio::test]
async fn a_header_of_many_lines_is_refused_before_it_is_handled() -> anyhow::Result<()> {
    let node = node(HttpLimits::default()).await?;
    let request = |lines: usize| {
        let lines: String = (0..lines).map(|n| format!("x-{n}: y\r\n")).collect();
        format!("GET / HTTP/1.1\r\nHost: node\r\n{lines}\r\n")
    };
    let good = wire::ask(node.address, &request(99)).await?;
    assert!(good.starts_with("HTTP/1.1 426 "), "{good}");
    let bad = wire::ask(node.address, &request(100)).await?;
    assert!(bad.starts_with("HTTP/1.1 431 "), "{bad}");
    Ok(())
}

#[tokio::test]
async fn a_body_that_trickles_is_given_up() -> anyhow::Result<()> {
    let lifecycle = Lifecycle::new();
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    let router =
        Router::new().route("/", post(|body: Bytes| async move { body.len().to_string() }));
    let limits = HttpLimits { body_ms: 300, ..HttpLimits::default() };
    lifecycle.spawn(accept::serve(vec![listener], None, router, limits, lifecycle.clone()));
    let post =
        b"POST / HTTP/1.1\r\nHost: node\r\nConnection: close\r\nContent-Length: 100000\r\n\r\n";

    let mut quick = TcpStream::connect(address).await?;
    quick.write_all(post).await?;
    quick.write_all(&[b'x'; 100_000]).await?;
    assert!(ends(&mut quick).await?.ends_with(b"\r\n\r\n100000"));

    let mut slow = TcpStream::connect(address).await?;
    slow.write_all(post).await?;
    let (mut reader, mut writer) = slow.split();
    let mut answer = Vec::new();
    let trickle = async {
        while writer.write_all(b"x").await.is_ok() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::select! {
        // A server that closes on unread bytes resets, and the answer may be lost with it.
        read = tokio::time::timeout(PATIENCE, reader.read_to_end(&mut answer)) => { read?.ok(); }
        () = trickle => {}
    }
    let text = String::from_utf8_lossy(&answer);
    assert!(text.is_empty() || text.starts_with("HTTP/1.1 400 "), "{text}");
    Ok(())
}
