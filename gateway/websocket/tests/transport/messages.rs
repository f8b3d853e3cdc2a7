//! Messages in both directions.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use futures_util::future::BoxFuture;
use futures_util::{FutureExt, SinkExt, StreamExt};
use tokio::io::AsyncWriteExt;
use tokio::time::Instant;
use tungstenite::Message;
use websocket::{Frame, SendOutcome, WriteBatch};

use crate::node::{Node, Session, Setup, echo};
use crate::wire;

#[tokio::test]
async fn messages_of_any_size_come_back_unchanged() -> anyhow::Result<()> {
    let mut node = Node::start(Setup::default()).await?;
    let (mut client, _peer) = node.connect().await?;
    for size in [0, 1, 125, 126, 127, 65_535, 65_536, 200_000, 4 << 20] {
        let text = Message::text("é".repeat(size / 2));
        client.send(text.clone()).await?;
        assert_eq!(client.next().await.transpose()?, Some(text), "text of {size}");
        let binary = Message::binary(vec![0xA5; size]);
        client.send(binary.clone()).await?;
        assert_eq!(client.next().await.transpose()?, Some(binary), "binary of {size}");
    }
    Ok(())
}

#[tokio::test]
async fn a_fragmented_message_is_put_together_and_pings_may_come_in_between() -> anyhow::Result<()>
{
    let node = Node::start(Setup::default()).await?;
    let mut client = wire::upgrade(node.address, b"").await?;
    client.write_all(&wire::frame(0x01, b"caf\xC3")).await?;
    client.write_all(&wire::frame(wire::PING, b"here?")).await?;
    wire::expect(&mut client, b"\x8A\x05here?").await?;
    client.write_all(&wire::frame(0x00, b"\xA9 ")).await?;
    client.write_all(&wire::frame(0x80, b"au lait")).await?;
    wire::expect(&mut client, "\u{81}".as_bytes().get(1..).unwrap_or_default()).await?;
    wire::expect(&mut client, b"\x0D").await?;
    wire::expect(&mut client, "café au lait".as_bytes()).await
}

#[tokio::test]
async fn frames_behind_the_upgrade_request_are_the_first_messages() -> anyhow::Result<()> {
    let node = Node::start(Setup::default()).await?;
    let mut early = wire::frame(wire::TEXT, b"one");
    early.extend(wire::frame(wire::TEXT, b"two"));
    let late = wire::frame(wire::TEXT, b"three");
    let (in_time, cut) = late.split_at(4);
    early.extend(in_time);
    let mut client = wire::upgrade(node.address, &early).await?;
    wire::expect(&mut client, b"\x81\x03one\x81\x03two").await?;
    client.write_all(cut).await?;
    wire::expect(&mut client, b"\x81\x05three").await
}

#[tokio::test]
async fn a_message_may_arrive_byte_by_byte() -> anyhow::Result<()> {
    let node = Node::start(Setup::default()).await?;
    let mut client = wire::upgrade(node.address, b"").await?;
    client.set_nodelay(true)?;
    for byte in wire::frame(wire::TEXT, &[b'x'; 200]) {
        client.write_all(&[byte]).await?;
        tokio::task::yield_now().await;
    }
    let expected = [&b"\x81\x7E\x00\xC8"[..], &[b'x'; 200]].concat();
    wire::expect(&mut client, &expected).await
}

/// Answers a message that is a number of milliseconds after so long.
fn echo_late(session: &Session, message: websocket::Message<'_>) -> Option<BoxFuture<'static, ()>> {
    let websocket::Message::Text(text) = message else { return None };
    let delay = Duration::from_millis(text.parse().ok()?);
    let frame = Frame::text(text);
    let connection = Arc::clone(&session.connection);
    let answer = async move {
        tokio::time::sleep(delay).await;
        assert!(connection.send(&frame).is_taken());
    };
    Some(answer.boxed())
}

#[tokio::test]
async fn messages_are_handled_one_after_the_other_however_long_each_takes() -> anyhow::Result<()> {
    let mut node = Node::start(Setup { react: echo_late, ..Setup::default() }).await?;
    let (mut client, peer) = node.connect().await?;
    let delays = ["40", "0", "20", "1", "0", "0", "10"];
    for delay in delays {
        client.feed(Message::text(delay)).await?;
    }
    client.flush().await?;
    // Writes go on while a message is being handled.
    assert_eq!(peer.connection.send(&Frame::text("meanwhile")), SendOutcome::Written);
    assert_eq!(client.next().await.transpose()?, Some(Message::text("meanwhile")));
    for delay in delays {
        assert_eq!(client.next().await.transpose()?, Some(Message::text(delay)));
    }
    Ok(())
}

static HANDLED: AtomicUsize = AtomicUsize::new(0);

fn pause_after_each(
    session: &Session,
    message: websocket::Message<'_>,
) -> Option<BoxFuture<'static, ()>> {
    HANDLED.fetch_add(1, Ordering::Relaxed);
    session.connection.pause_for(Duration::from_millis(30));
    echo(session, message)
}

#[tokio::test]
async fn a_paused_connection_reads_later_and_loses_nothing() -> anyhow::Result<()> {
    let mut node = Node::start(Setup { react: pause_after_each, ..Setup::default() }).await?;
    let (mut client, peer) = node.connect().await?;
    let begin = Instant::now();
    for number in 0..10 {
        client.feed(Message::text(number.to_string())).await?;
    }
    client.flush().await?;
    for number in 0..10 {
        assert_eq!(client.next().await.transpose()?, Some(Message::text(number.to_string())));
    }
    assert!(begin.elapsed() >= Duration::from_millis(9 * 30), "{:?}", begin.elapsed());
    assert_eq!(HANDLED.load(Ordering::Relaxed), 10);
    // From outside too, and the longer pause wins.
    peer.connection.pause_for(Duration::from_millis(200));
    peer.connection.pause_for(Duration::from_millis(1));
    let begin = Instant::now();
    client.send(Message::text("late")).await?;
    assert_eq!(client.next().await.transpose()?, Some(Message::text("late")));
    assert!(begin.elapsed() >= Duration::from_millis(190), "{:?}", begin.elapsed());
    Ok(())
}

#[tokio::test]
async fn a_batch_keeps_the_order_also_with_frames_sent_beside_it() -> anyhow::Result<()> {
    let mut node = Node::start(Setup::default()).await?;
    let (mut first, first_peer) = node.connect().await?;
    let (mut second, second_peer) = node.connect().await?;
    let mut batch = WriteBatch::new();
    for text in ["1", "2", "3"] {
        assert_eq!(batch.send(&first_peer.connection, &Frame::text(text)), SendOutcome::Queued);
        assert_eq!(batch.send(&second_peer.connection, &Frame::text(text)), SendOutcome::Queued);
    }
    assert_eq!(batch.connections(), 2);
    assert_eq!(first_peer.connection.send(&Frame::text("beside")), SendOutcome::Written);
    assert_eq!(batch.send(&first_peer.connection, &Frame::text("4")), SendOutcome::Queued);
    batch.write().await;
    for text in ["1", "2", "3", "beside", "4"] {
        assert_eq!(first.next().await.transpose()?, Some(Message::text(text)));
    }
    for text in ["1", "2", "3"] {
        assert_eq!(second.next().await.transpose()?, Some(Message::text(text)));
    }
    let mut dropped = WriteBatch::new();
    assert!(dropped.send(&first_peer.connection, &Frame::text("5")).is_taken());
    drop(dropped);
    assert_eq!(first.next().await.transpose()?, Some(Message::text("5")));
    Ok(())
}
