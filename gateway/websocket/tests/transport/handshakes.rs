//! The opening handshake: who is let in, and how the others are refused.

use crate::node::{Node, Setup};
use crate::wire::{self, KEY};

#[tokio::test]
async fn the_answer_is_the_one_of_the_rfc_and_repeats_the_protocol() -> anyhow::Result<()> {
    let node = Node::start(Setup::default()).await?;
    let request = wire::upgrade_request()
        .replace("\r\n\r\n", "\r\nSec-WebSocket-Protocol: bearer.abc, other\r\n\r\n");
    let header = wire::ask(node.address, &request).await?.to_ascii_lowercase();
    assert!(header.starts_with("http/1.1 101 switching protocols\r\n"), "{header}");
    assert!(header.contains("\r\nupgrade: websocket\r\n"), "{header}");
    assert!(header.contains("\r\nconnection: upgrade\r\n"), "{header}");
    let answer = "\r\nsec-websocket-accept: s3pplmbitxaq9kygzzhzrbk+xoo=\r\n";
    assert!(header.contains(answer), "{header}");
    assert!(header.contains("\r\nsec-websocket-protocol: bearer.abc\r\n"), "{header}");
    Ok(())
}

#[tokio::test]
async fn what_is_no_proper_upgrade_is_refused_with_the_status_that_says_why() -> anyhow::Result<()>
{
    let node = Node::start(Setup::default()).await?;
    let good = wire::upgrade_request();
    let cases = [
        ("no upgrade header", good.replace("Upgrade: WebSocket\r\n", ""), 426),
        ("other protocol", good.replace("WebSocket\r\n", "h2c\r\n"), 426),
        ("no connection token", good.replace(", Upgrade", ""), 426),
        ("plain GET", "GET / HTTP/1.1\r\nHost: node\r\n\r\n".to_owned(), 426),
        ("HTTP/1.0", good.replace("HTTP/1.1", "HTTP/1.0"), 426),
        ("version 8", good.replace("Version: 13", "Version: 8"), 426),
        ("no version", good.replace("Sec-WebSocket-Version: 13\r\n", ""), 426),
        ("no key", good.replace(&format!("Sec-WebSocket-Key: {KEY}\r\n"), ""), 400),
        ("short key", good.replace(KEY, "c2hvcnQ="), 400),
        ("no base64", good.replace(KEY, "!!!!!!!!!!!!!!!!!!!!!!=="), 400),
        ("18 bytes", good.replace(KEY, "AAAAAAAAAAAAAAAAAAAAAAAA"), 400),
    ];
    for (name, request, status) in cases {
        let header = wire::ask(node.address, &request).await?;
        assert_eq!(&header[9..12], status.to_string(), "{name}");
        if status == 426 {
            let header = header.to_ascii_lowercase();
            assert!(header.contains("\r\nsec-websocket-version: 13\r\n"), "{name}");
            assert!(header.contains("\r\nupgrade: websocket\r\n"), "{name}");
        }
    }
    let post = wire::ask(node.address, &good.replace("GET", "POST")).await?;
    assert!(post.starts_with("HTTP/1.1 405 "), "{post}");
    assert_eq!(node.connections.count(), 0);
    Ok(())
}
