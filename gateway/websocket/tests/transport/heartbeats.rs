//! Each way to watch over clients, with intervals of a few milliseconds.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use futures_util::{SinkExt, StreamExt};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::Instant;
use tungstenite::Message;
use websocket::{
    AliveWhen, ConnectionLimits, Frame, Heartbeat, OnTimeout, Ping, PingSchedule, close,
};

use crate::node::{Client, Node, PATIENCE, Seen, Setup, ignore};
use crate::wire;

/// Pings each 50 ms, gives up after 500.
const QUICK: Heartbeat = Heartbeat {
    ping_ms: 50,
    timeout_ms: 500,
    flood_ms: 0,
    ping: Ping::Control,
    schedule: PingSchedule::Spread,
    alive_when: AliveWhen::AnyFrame,
    on_timeout: OnTimeout::Close { code: close::HEARTBEAT_TIMEOUT, reason: "silent", last: None },
};

async fn node(heartbeat: Heartbeat) -> anyhow::Result<Node> {
    let limits = ConnectionLimits { close_ms: 100, ..Default::default() };
    Node::start(Setup { limits, heartbeat, react: ignore }).await
}

#[tokio::test]
async fn a_client_that_only_answers_pings_stays() -> anyhow::Result<()> {
    let mut node = node(QUICK).await?;
    let (mut client, peer) = node.connect().await?;
    let mut pings = 0;
    let begin = Instant::now();
    while begin.elapsed() < Duration::from_millis(1200) {
        // Reading answers pings.
        match client.next().await.transpose()? {
            Some(Message::Ping(_)) => pings += 1,
            other => anyhow::bail!("{other:?} instead of a ping"),
        }
    }
    assert!((6..=26).contains(&pings), "{pings} pings in 1200 ms");
    assert!(!peer.connection.is_closed());
    Ok(())
}

#[tokio::test]
async fn a_client_that_answers_nothing_is_closed_with_the_heartbeats_code() -> anyhow::Result<()> {
    let mut node = node(QUICK).await?;
    let mut client = wire::upgrade(node.address, b"").await?;
    let begin = Instant::now();
    let mut peer = node.peer().await?;
    assert_eq!(peer.sees().await?, Seen::Closed(close::HEARTBEAT_TIMEOUT));
    assert!(begin.elapsed() >= Duration::from_millis(450), "{:?}", begin.elapsed());
    let mut received = Vec::new();
    client.read_to_end(&mut received).await?;
    assert!(received.starts_with(b"\x89\x00"), "{received:?}");
    assert!(received.ends_with(b"\x88\x08\x0F\xA8silent"), "{received:?}");
    Ok(())
}

#[tokio::test]
async fn control_pongs_do_not_count_where_only_messages_do() -> anyhow::Result<()> {
    let heartbeat =
        Heartbeat { alive_when: AliveWhen::AnyMessage, on_timeout: OnTimeout::Abort, ..QUICK };
    let mut node = node(heartbeat).await?;
    let (mut client, mut peer) = node.connect().await?;
    let begin = Instant::now();
    while begin.elapsed() < Duration::from_millis(1000) {
        client.send(Message::text("here")).await?;
        let _ping = tokio::time::timeout(Duration::from_millis(20), client.next()).await;
    }
    assert!(!peer.connection.is_closed(), "messages count");
    // From here on only pings are answered.
    while let Some(Ok(_ping)) = client.next().await {}
    assert_eq!(peer.sees().await?, Seen::Closed(close::ABNORMAL));
    Ok(())
}

#[tokio::test]
async fn messages_do_not_count_where_only_control_pongs_do() -> anyhow::Result<()> {
    let mut node = node(Heartbeat { alive_when: AliveWhen::ControlPong, ..QUICK }).await?;
    let mut client = wire::upgrade(node.address, b"").await?;
    let mut peer = node.peer().await?;
    let mut seen = Box::pin(peer.sees());
    loop {
        tokio::select! {
            seen = &mut seen => {
                assert_eq!(seen?, Seen::Closed(close::HEARTBEAT_TIMEOUT));
                return Ok(());
            }
            () = tokio::time::sleep(Duration::from_millis(20)) => {
                let _closed = client.write_all(&wire::frame(wire::TEXT, b"talk")).await;
            }
        }
    }
}

#[tokio::test]
async fn the_application_may_report_activity_and_change_the_heartbeat() -> anyhow::Result<()> {
    let mut node = node(Heartbeat::NONE).await?;
    let (client, mut peer) = node.connect().await?;
    let reading = tokio::spawn(client.for_each(|_message| async {}));
    peer.connection.set_heartbeat(Arc::new(Heartbeat { alive_when: AliveWhen::Reported, ..QUICK }));
    let begin = Instant::now();
    while begin.elapsed() < Duration::from_millis(1000) {
        peer.connection.alive();
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert!(!peer.connection.is_closed());
    assert!(peer.connection.silent_ms() < 500);
    assert_eq!(peer.sees().await?, Seen::Closed(close::HEARTBEAT_TIMEOUT));
    Ok(reading.await?)
}

#[tokio::test]
async fn a_heartbeat_on_the_clock_sends_all_clients_the_same_message() -> anyhow::Result<()> {
    let ping = Ping::Message(|unix_ms| Frame::text(&format!("beat {unix_ms}")));
    let heartbeat = Heartbeat { ping, schedule: PingSchedule::Aligned, timeout_ms: 0, ..QUICK };
    let mut node = node(heartbeat).await?;
    let (mut first, _first_peer) = node.connect().await?;
    let (mut second, _second_peer) = node.connect().await?;
    let (mut one, mut other) = (next_beat(&mut first).await?, next_beat(&mut second).await?);
    // One of them may have come before the other did.
    while one != other {
        if one < other {
            one = next_beat(&mut first).await?;
        } else {
            other = next_beat(&mut second).await?;
        }
    }
    Ok(())
}

async fn next_beat(client: &mut Client) -> anyhow::Result<u64> {
    let message = tokio::time::timeout(PATIENCE, client.next()).await?;
    let Some(Message::Text(text)) = message.transpose()? else { anyhow::bail!("no beat") };
    let at = text.strip_prefix("beat ").context("no beat")?;
    Ok(at.parse()?)
}

#[tokio::test]
async fn a_client_that_is_not_read_is_not_timed_out() -> anyhow::Result<()> {
    let mut node = node(QUICK).await?;
    let (client, peer) = node.connect().await?;
    let reading = tokio::spawn(client.for_each(|_message| async {}));
    peer.connection.pause_for(Duration::from_millis(1000));
    tokio::time::sleep(Duration::from_millis(1200)).await;
    assert!(!peer.connection.is_closed());
    reading.abort();
    Ok(())
}

#[tokio::test]
async fn a_client_that_reads_slowly_lives_and_one_that_reads_nothing_does_not() -> anyhow::Result<()>
{
    let mut node = node(QUICK).await?;
    let mut client = wire::upgrade(node.address, b"").await?;
    let mut peer = node.peer().await?;
    assert!(peer.connection.send(&Frame::text(&"s".repeat(40 << 20))).is_taken());
    let mut piece = vec![0; 1 << 20];
    for _ in 0..25 {
        client.read_exact(&mut piece).await?;
        tokio::time::sleep(Duration::from_millis(40)).await;
    }
    assert!(!peer.connection.is_closed(), "it took a megabyte each 40 ms");
    let begin = Instant::now();
    assert_eq!(peer.sees().await?, Seen::Closed(close::HEARTBEAT_TIMEOUT));
    assert!(begin.elapsed() < PATIENCE);
    Ok(())
}
