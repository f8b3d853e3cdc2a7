//! Clients that read slowly: bounded memory, nothing lost of what was taken, order kept.

use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt;
use tungstenite::Message;
use websocket::{Connection, ConnectionLimits, Frame, SendOutcome, WriteBatch};

use crate::node::{Client, Node, PATIENCE, Seen, Setup};

const QUEUE_BYTES: usize = 64 << 10;

async fn node() -> anyhow::Result<Node> {
    let limits = ConnectionLimits { send_queue_bytes: QUEUE_BYTES, ..ConnectionLimits::default() };
    Node::start(Setup { limits, ..Setup::default() }).await
}

/// A frame with a number and enough ballast to fill a queue soon.
fn numbered(number: usize) -> Frame {
    Frame::text(&format!("{number:08}{}", "x".repeat(2000)))
}

async fn next_number(client: &mut Client) -> anyhow::Result<usize> {
    let message = tokio::time::timeout(PATIENCE, client.next()).await?;
    let Some(Message::Text(text)) = message.transpose()? else { anyhow::bail!("no text") };
    Ok(text[..8].parse()?)
}

/// Sends frames from `from` on until the queue is full; the first number that was not taken.
fn send_until_full(connection: &Connection, from: usize) -> usize {
    let refused = (from..).find(|number| match connection.send(&numbered(*number)) {
        SendOutcome::Written | SendOutcome::Queued => false,
        SendOutcome::Full => true,
        SendOutcome::Closed => panic!("closed"),
    });
    refused.unwrap_or(usize::MAX)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_slow_client_fills_its_queue_and_is_told_of_once_that_has_drained() -> anyhow::Result<()>
{
    const LAST: usize = 5_000;
    let mut node = node().await?;
    let (mut client, mut peer) = node.connect().await?;
    let connection = Arc::clone(&peer.connection);
    // What a session does: push until it is full, go on when there is room.
    let catch_up = tokio::spawn(async move {
        let mut next = send_until_full(&peer.connection, 0);
        assert!(peer.connection.queued_bytes() > QUEUE_BYTES - 2100);
        assert!(peer.connection.queued_bytes() <= QUEUE_BYTES);
        while next < LAST {
            assert_eq!(peer.sees().await.ok(), Some(Seen::Drained));
            next = send_until_full(&peer.connection, next);
        }
    });
    for number in 0..LAST {
        assert_eq!(next_number(&mut client).await?, number);
        if number % 500 == 0 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
    assert!(!connection.is_closed());
    Ok(catch_up.await?)
}

#[tokio::test]
async fn a_frame_larger_than_the_queue_is_taken_when_nothing_waits() -> anyhow::Result<()> {
    let mut node = node().await?;
    let (mut client, mut peer) = node.connect().await?;
    let large = "y".repeat(8 << 20);
    assert_eq!(peer.connection.send(&Frame::text(&large)), SendOutcome::Queued);
    assert_eq!(peer.connection.send(&Frame::text("no room")), SendOutcome::Full);
    assert_eq!(client.next().await.transpose()?, Some(Message::text(large)));
    assert_eq!(peer.sees().await?, Seen::Drained);
    assert_eq!(peer.connection.send(&Frame::text("room")), SendOutcome::Written);
    assert_eq!(client.next().await.transpose()?, Some(Message::text("room")));
    assert_eq!(peer.connection.queued_bytes(), 0);
    Ok(())
}

#[tokio::test]
async fn a_batch_larger_than_the_queue_does_not_overflow_a_client_that_reads() -> anyhow::Result<()>
{
    let mut node = node().await?;
    let (mut client, peer) = node.connect().await?;
    let reading = tokio::spawn(async move {
        for number in 0..60 {
            anyhow::ensure!(next_number(&mut client).await? == number);
        }
        Ok(())
    });
    let mut batch = WriteBatch::new();
    for number in 0..60 {
        assert_eq!(batch.send(&peer.connection, &numbered(number)), SendOutcome::Queued);
    }
    batch.write().await;
    reading.await?
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn many_senders_at_once_lose_no_wakeup_and_disorder_nothing() -> anyhow::Result<()> {
    const SENDERS: usize = 4;
    const FRAMES: usize = 3_000;
    let mut node = node().await?;
    let (mut client, peer) = node.connect().await?;
    for sender in 0..SENDERS {
        let connection = Arc::clone(&peer.connection);
        tokio::spawn(async move {
            let mut batch = WriteBatch::new();
            for number in 0..FRAMES {
                let frame = numbered(sender * FRAMES + number);
                while !send_somehow(&connection, &mut batch, &frame, number % 3 == 0).await {
                    tokio::task::yield_now().await;
                }
            }
            batch.write().await;
        });
    }
    let mut next = [0; SENDERS];
    for _ in 0..SENDERS * FRAMES {
        let number = next_number(&mut client).await?;
        let (sender, number) = (number / FRAMES, number % FRAMES);
        assert_eq!(number, next[sender]);
        next[sender] += 1;
    }
    assert_eq!(peer.connection.queued_bytes(), 0);
    Ok(())
}

async fn send_somehow(
    connection: &Arc<Connection>,
    batch: &mut WriteBatch,
    frame: &Frame,
    staged: bool,
) -> bool {
    let sent = if staged { batch.send(connection, frame) } else { connection.send(frame) };
    if batch.connections() > 0 && sent == SendOutcome::Queued {
        batch.write().await;
    }
    sent.is_taken()
}

#[tokio::test]
async fn a_stalled_client_costs_the_others_nothing() -> anyhow::Result<()> {
    let mut node = node().await?;
    let (_stalled, stalled_peer) = node.connect().await?;
    let (mut reader, reader_peer) = node.connect().await?;
    let mut batch = WriteBatch::new();
    let mut lost = 0;
    for number in 0..2_000 {
        let frame = numbered(number);
        lost += usize::from(!batch.send(&stalled_peer.connection, &frame).is_taken());
        assert!(batch.send(&reader_peer.connection, &frame).is_taken());
        batch.write().await;
        assert_eq!(next_number(&mut reader).await?, number);
    }
    assert!(lost > 0, "the kernel took 4 MB for a client that reads nothing");
    assert!(stalled_peer.connection.queued_bytes() <= QUEUE_BYTES);
    Ok(())
}

#[tokio::test]
async fn beyond_what_all_queues_may_hold_a_client_that_is_behind_waits_for_its_turn()
-> anyhow::Result<()> {
    let limits = ConnectionLimits {
        send_queue_bytes: 64 << 20,
        send_queues_bytes: 24 << 20,
        ..ConnectionLimits::default()
    };
    let mut node = Node::start(Setup { limits, ..Setup::default() }).await?;
    let (first, second) = (node.connect().await?, node.connect().await?);
    let frame = Frame::binary(&vec![b'f'; 8 << 20]);
    let fill = |connection: &Connection| {
        let mut taken = 0;
        while connection.send(&frame).is_taken() {
            taken += 1;
        }
        taken
    };
    let taken = fill(&first.1.connection);
    assert!((3..=5).contains(&taken), "{taken} frames of 8 MiB until 24 MiB wait");
    assert_eq!(fill(&second.1.connection), 1, "a frame for each in any case");
    let (mut client, peer) = second;
    for _ in 0..2 {
        let received = client.next().await.transpose()?;
        assert_eq!(received.map(|message| message.len()), Some(8 << 20));
        wait_until(|| peer.connection.queued_bytes() == 0).await?;
        assert!(peer.connection.send(&frame).is_taken());
    }
    drop((first, client, peer));
    wait_until(|| node.connections.queued_bytes() == 0).await
}

async fn wait_until(met: impl Fn() -> bool) -> anyhow::Result<()> {
    let waiting = async {
        while !met() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    Ok(tokio::time::timeout(PATIENCE, waiting).await?)
}
