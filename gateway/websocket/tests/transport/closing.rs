//! How connections end: by either side, by mistakes, and by force.

use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::Instant;
use tungstenite::protocol::CloseFrame;
use tungstenite::protocol::frame::coding::CloseCode;
use tungstenite::{Error, Message};
use websocket::{ConnectionLimits, Frame, MessageLimits, SendOutcome, UploadLimits, close};

use crate::node::{Client, Node, PATIENCE, Seen, Setup, ignore};
use crate::wire;

async fn close_code(client: &mut Client) -> anyhow::Result<Option<CloseFrame>> {
    match client.next().await.transpose()? {
        Some(Message::Close(frame)) => Ok(frame),
        other => anyhow::bail!("{other:?} instead of a close"),
    }
}

#[tokio::test]
async fn a_client_that_closes_is_answered_with_its_own_code() -> anyhow::Result<()> {
    let mut node = Node::start(Setup::default()).await?;
    for (code, seen) in [(Some(1000), 1000), (Some(4321), 4321), (None, close::NO_CODE)] {
        let (mut client, mut peer) = node.connect().await?;
        let frame = code.map(|code| CloseFrame { code: code.into(), reason: "bye".into() });
        client.send(Message::text("last")).await?;
        client.close(frame).await?;
        assert_eq!(client.next().await.transpose()?, Some(Message::text("last")));
        assert_eq!(close_code(&mut client).await?.map(|frame| frame.code.into()), code);
        assert!(client.next().await.is_none(), "the server ends the stream");
        assert_eq!(peer.sees().await?, Seen::Closed(seen));
        assert!(peer.connection.is_closed());
        assert_eq!(peer.connection.send(&Frame::text("late")), SendOutcome::Closed);
    }
    assert_eq!(node.connections.count(), 0);
    Ok(())
}

#[tokio::test]
async fn a_close_comes_behind_all_that_was_sent() -> anyhow::Result<()> {
    let mut node = Node::start(Setup::default()).await?;
    let (mut client, mut peer) = node.connect().await?;
    let large = "z".repeat(6 << 20);
    assert!(peer.connection.send(&Frame::text(&large)).is_taken());
    peer.connection.close(close::RESTARTING, "come back");
    peer.connection.close(close::DONE, "too late");
    assert_eq!(peer.connection.send(&Frame::text("late")), SendOutcome::Closed);
    assert_eq!(client.next().await.transpose()?, Some(Message::text(large)));
    let frame = close_code(&mut client).await?;
    let expected = CloseFrame { code: CloseCode::Restart, reason: "come back".into() };
    assert_eq!(frame, Some(expected));
    assert!(client.next().await.is_none());
    assert_eq!(peer.sees().await?, Seen::Closed(close::RESTARTING));
    Ok(())
}

#[tokio::test]
async fn messages_that_come_after_our_close_are_not_handled() -> anyhow::Result<()> {
    let mut node = Node::start(Setup::default()).await?;
    let mut client = wire::upgrade(node.address, b"").await?;
    let mut peer = node.peer().await?;
    peer.connection.close(close::GOING_AWAY, "");
    wire::expect(&mut client, b"\x88\x02\x03\xE9").await?;
    client.write_all(&wire::frame(wire::TEXT, b"echo me")).await?;
    client.write_all(&wire::frame(wire::CLOSE, b"\x03\xE9")).await?;
    let mut rest = Vec::new();
    client.read_to_end(&mut rest).await?;
    assert_eq!(rest, b"");
    assert_eq!(peer.sees().await?, Seen::Closed(close::GOING_AWAY));
    Ok(())
}

#[tokio::test]
async fn a_client_that_does_not_answer_a_close_is_cut_off() -> anyhow::Result<()> {
    let limits = ConnectionLimits { close_ms: 100, ..ConnectionLimits::default() };
    let mut node = Node::start(Setup { limits, ..Setup::default() }).await?;
    for kilobytes in [0, 10_000] {
        let mut client = wire::upgrade(node.address, b"").await?;
        let mut peer = node.peer().await?;
        if kilobytes > 0 {
            assert!(peer.connection.send(&Frame::text(&"w".repeat(kilobytes << 10))).is_taken());
        }
        let begin = Instant::now();
        peer.connection.close(close::DONE, "");
        assert_eq!(peer.sees().await?, Seen::Closed(close::DONE));
        assert!(begin.elapsed() >= Duration::from_millis(95), "{:?}", begin.elapsed());
        let mut rest = Vec::new();
        client.read_to_end(&mut rest).await?;
    }
    Ok(())
}

#[tokio::test]
async fn an_aborted_connection_ends_without_a_close_frame() -> anyhow::Result<()> {
    let mut node = Node::start(Setup::default()).await?;
    let (mut client, mut peer) = node.connect().await?;
    peer.connection.abort();
    assert_eq!(peer.sees().await?, Seen::Closed(close::ABNORMAL));
    match client.next().await {
        Some(Err(Error::Protocol(_) | Error::Io(_))) => Ok(()),
        other => anyhow::bail!("{other:?} instead of the end of the stream"),
    }
}

#[tokio::test]
async fn what_a_client_sent_before_it_vanished_is_handled() -> anyhow::Result<()> {
    let mut node = Node::start(Setup { react: ignore, ..Setup::default() }).await?;
    let mut client = wire::upgrade(node.address, &wire::frame(wire::TEXT, b"x")).await?;
    let mut peer = node.peer().await?;
    client.write_all(&wire::frame(wire::TEXT, b"last words")).await?;
    drop(client);
    assert_eq!(peer.sees().await?, Seen::Closed(close::ABNORMAL));
    Ok(())
}

#[tokio::test]
async fn whoever_breaks_a_rule_is_told_which_even_during_an_upload() -> anyhow::Result<()> {
    let message = MessageLimits { bytes_max: 1000, fragments_max: 3 };
    let limits = ConnectionLimits { message, close_ms: 2_000, ..ConnectionLimits::default() };
    let mut node = Node::start(Setup { limits, ..Setup::default() }).await?;
    let cases: [(&str, Vec<u8>, u16); 14] = [
        ("unmasked", b"\x81\x01x".to_vec(), close::PROTOCOL),
        ("reserved bit", wire::frame(0xC1, b"x"), close::PROTOCOL),
        ("reserved opcode", wire::frame(0x83, b"x"), close::PROTOCOL),
        ("fragmented ping", wire::frame(0x09, b"x"), close::PROTOCOL),
        ("long ping", wire::frame(0x89, &[0; 126]), close::PROTOCOL),
        ("continuation of nothing", wire::frame(0x80, b"x"), close::PROTOCOL),
        (
            "two messages at once",
            [wire::frame(0x01, b"x"), wire::frame(0x01, b"y")].concat(),
            close::PROTOCOL,
        ),
        ("half a close code", wire::frame(wire::CLOSE, b"\x03"), close::PROTOCOL),
        ("close code 1005", wire::frame(wire::CLOSE, b"\x03\xED"), close::PROTOCOL),
        ("close reason", wire::frame(wire::CLOSE, b"\x03\xE8\xFF"), close::INVALID_TEXT),
        ("not UTF-8", wire::frame(wire::TEXT, b"a\xFFb"), close::INVALID_TEXT),
        ("too big", wire::frame(wire::TEXT, &[b'x'; 1001]), close::TOO_BIG),
        ("highest bit", b"\x82\xFF\x80\0\0\0\0\0\0\0\x01\x02\x03\x04".to_vec(), close::TOO_BIG),
        ("fragments", [&wire::frame(0x01, b"")[..]; 1].concat(), close::TOO_BIG),
    ];
    for (name, mut bytes, code) in cases {
        if name == "fragments" {
            bytes.extend(wire::frame(0x00, b"").repeat(3));
        }
        let mut client = wire::upgrade(node.address, b"").await?;
        let mut peer = node.peer().await?;
        client.write_all(&bytes).await?;
        // Bytes that nobody will read must not turn the close into a reset.
        client.write_all(&[0xFF; 100_000]).await?;
        let mut frame = [0; 4];
        client.read_exact(&mut frame).await?;
        assert_eq!(frame[0], 0x88, "{name}");
        assert_eq!(u16::from_be_bytes([frame[2], frame[3]]), code, "{name}");
        let mut reason = Vec::new();
        client.read_to_end(&mut reason).await?;
        assert_eq!(reason.len() + 2, usize::from(frame[1]), "{name}");
        drop(client);
        assert_eq!(peer.sees().await?, Seen::Closed(code), "{name}");
    }
    Ok(())
}

#[tokio::test]
async fn half_uploads_together_have_a_limit_and_give_their_room_back() -> anyhow::Result<()> {
    let defaults = ConnectionLimits::default();
    let uploads = UploadLimits { all_bytes_max: 3 << 20, ..defaults.uploads };
    let limits = ConnectionLimits { uploads, ..defaults };
    let mut node = Node::start(Setup { limits, ..Setup::default() }).await?;
    let half = [wire::frame(0x01, &[b'u'; 1 << 20]), wire::frame(wire::PING, b"")].concat();
    let mut clients = Vec::new();
    for _ in 0..2 {
        let mut client = wire::upgrade(node.address, &half).await?;
        wire::expect(&mut client, b"\x8A\x00").await?;
        node.peer().await?;
        clients.push(client);
    }
    let mut greedy = wire::upgrade(node.address, b"").await?;
    let mut peer = node.peer().await?;
    let large = wire::frame(wire::TEXT, &[b'g'; 4 << 20]);
    greedy.write_all(&large[..large.len() - 1]).await?;
    let mut frame = [0; 4];
    greedy.read_exact(&mut frame).await?;
    assert_eq!(u16::from_be_bytes([frame[2], frame[3]]), close::OVER_CAPACITY);
    drop(greedy);
    assert_eq!(peer.sees().await?, Seen::Closed(close::OVER_CAPACITY));
    // Who was there first is not harmed, and there is room again.
    for client in &mut clients {
        client.write_all(&wire::frame(0x80, b"!")).await?;
        wire::expect(client, b"\x81\x7F\0\0\0\0\0\x10\0\x01uuu").await?;
    }
    let (mut client, _peer) = node.connect().await?;
    client.send(Message::text("v".repeat(2 << 20))).await?;
    assert!(matches!(client.next().await.transpose()?, Some(Message::Text(_))));
    Ok(())
}

#[tokio::test]
async fn a_message_on_its_way_has_a_deadline_that_stands_still_while_nothing_is_read()
-> anyhow::Result<()> {
    let defaults = ConnectionLimits::default();
    let uploads = UploadLimits { message_ms: 300, ..defaults.uploads };
    let limits = ConnectionLimits { uploads, ..defaults };
    let mut node = Node::start(Setup { limits, ..Setup::default() }).await?;
    let begun = [wire::frame(0x01, b"half"), wire::frame(wire::PING, b"")].concat();
    let mut client = wire::upgrade(node.address, &begun).await?;
    wire::expect(&mut client, b"\x8A\x00").await?;
    let mut peer = node.peer().await?;
    peer.connection.pause_for(Duration::from_millis(700));
    client.write_all(&wire::frame(0x80, b" whole")).await?;
    // Longer than the deadline, but nothing was read meanwhile.
    wire::expect(&mut client, b"\x81\x0Ahalf whole").await?;
    // Pongs in between prove nothing about the message.
    client.write_all(&wire::frame(0x01, b"half")).await?;
    for _ in 0..2 {
        tokio::time::sleep(Duration::from_millis(100)).await;
        client.write_all(&wire::frame(0x8A, b"")).await?;
    }
    let mut frame = [0; 4];
    client.read_exact(&mut frame).await?;
    assert_eq!(u16::from_be_bytes([frame[2], frame[3]]), close::POLICY);
    drop(client);
    assert_eq!(peer.sees().await?, Seen::Closed(close::POLICY));
    Ok(())
}

#[tokio::test]
async fn when_the_process_stops_clients_are_told_to_go_elsewhere() -> anyhow::Result<()> {
    let mut node = Node::start(Setup::default()).await?;
    let (mut client, mut peer) = node.connect().await?;
    node.stopping.cancel();
    node.tasks.close();
    let frame = close_code(&mut client).await?;
    assert_eq!(frame.map(|frame| frame.code), Some(CloseCode::Away));
    assert!(client.next().await.is_none());
    assert_eq!(peer.sees().await?, Seen::Closed(close::GOING_AWAY));
    tokio::time::timeout(PATIENCE, node.tasks.wait()).await?;
    Ok(())
}
