//! Bodies of requests: nobody's before it is known whose it is, and never more than there is room for.

use std::time::Duration;

use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::{sleep, timeout};

use crate::client::PATIENCE;
use crate::cluster::Cluster;

/// A request to publish whose body is announced and not sent whole.
async fn begin(cluster: &Cluster, address: &str, announced: usize, sent: usize) -> TcpStream {
    let node = cluster.gateways[0].http("");
    let mut stream = TcpStream::connect(node.trim_start_matches("http://")).await.unwrap();
    let head = format!(
        "POST /v1/publish HTTP/1.1\r\nHost: localhost\r\nX-Forwarded-For: {address}\r\n\
         Content-Length: {announced}\r\n\r\n"
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    stream.write_all(&vec![b' '; sent]).await.unwrap();
    stream
}

/// The status of the answer.
async fn status(stream: &mut TcpStream) -> String {
    let mut said = [0; 12];
    timeout(PATIENCE, stream.read_exact(&mut said)).await.unwrap().unwrap();
    String::from_utf8_lossy(&said[9..]).into_owned()
}

#[tokio::test]
async fn bodies_on_their_way_have_a_share_of_each_address_and_of_the_node_and_a_deadline() {
    let plan = Cluster::embedded().set("TRUSTED_PROXIES", "127.0.0.1");
    let plan = plan.set("HTTP_BODIES_BYTES", "40000").set("ADDRESS_HTTP_BODIES_BYTES", "20000");
    let cluster = plan.set("HTTP_BODY_TIMEOUT_MS", "5000").start().await;
    let mut first = begin(&cluster, "192.0.2.1", 20_000, 10).await;
    let mut second = begin(&cluster, "192.0.2.2", 15_000, 10).await;
    // What is read is no JSON; what is refused is refused as soon as both are counted.
    for (address, bytes, refused) in [("192.0.2.1", 1, "429"), ("192.0.2.3", 10_000, "503")] {
        loop {
            let mut more = begin(&cluster, address, bytes, bytes).await;
            match status(&mut more).await.as_str() {
                "400" => sleep(Duration::from_millis(20)).await,
                said => break assert_eq!(said, refused, "{address}"),
            }
        }
    }
    // Who asks for little goes on, and what never comes is given up and frees its share.
    let event = json!({"stream": "tasks", "type": "task_update", "id": "t"});
    cluster.post("/v1/publish", &event).await.expect(200);
    assert_eq!(status(&mut first).await, "408");
    assert_eq!(status(&mut second).await, "408");
    let mut again = begin(&cluster, "192.0.2.1", 20_000, 20_000).await;
    assert_eq!(status(&mut again).await, "400", "it is no JSON, and was read");
}

#[tokio::test]
async fn who_sends_a_large_body_without_a_credential_hears_401_and_costs_no_memory() {
    let cluster = Cluster::embedded().set("ENVIRONMENT", "production").start().await;
    let body = "x".repeat(4 << 20);
    let before = memory_bytes(cluster.gateways[0].pid());
    let url = cluster.gateways[0].http("/v1/publish");
    for _ in 0..10 {
        let asked = (0..10).map(|_| cluster.http.send("POST", &url, &[], Some(&body)));
        for answer in futures_util::future::join_all(asked).await {
            answer.unwrap().expect(401);
        }
    }
    let more = memory_bytes(cluster.gateways[0].pid()).saturating_sub(before);
    assert!(more < 32 << 20, "{more} bytes");
}

/// The most that a process has had in memory, in bytes.
fn memory_bytes(pid: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    line.and_then(|line| line.split_whitespace().next()).unwrap().parse::<u64>().unwrap() << 10
}
