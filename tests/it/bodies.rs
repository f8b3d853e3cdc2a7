//! Bodies of requests: nobody's before it is known whose it is, and never more than there is room for.

use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::client::PATIENCE;
use crate::cluster::Cluster;

/// A request to publish whose body has so many bytes.
async fn begin(cluster: &Cluster, address: &str, more: &str, bytes: usize) -> TcpStream {
    let node = cluster.gateways[0].http("");
    let mut stream = TcpStream::connect(node.trim_start_matches("http://")).await.unwrap();
    let head = format!(
        "POST /v1/publish HTTP/1.1\r\nHost: localhost\r\nX-Forwarded-For: {address}\r\n\
         Content-Length: {bytes}\r\n{more}\r\n"
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    stream
}

/// One whose body does not come; it counts when this returns, for it was asked for.
async fn hold(cluster: &Cluster, address: &str, bytes: usize) -> TcpStream {
    let mut stream = begin(cluster, address, "Expect: 100-continue\r\n", bytes).await;
    assert_eq!(status(&mut stream).await, "100");
    let mut rest = Vec::new();
    while !rest.ends_with(b"\r\n\r\n") {
        rest.push(timeout(PATIENCE, stream.read_u8()).await.unwrap().unwrap());
    }
    stream
}

/// The status of one whose body comes whole.
async fn send(cluster: &Cluster, address: &str, bytes: usize) -> String {
    let mut stream = begin(cluster, address, "", bytes).await;
    // Who is refused may be told before all is sent.
    drop(stream.write_all(&vec![b' '; bytes]).await);
    status(&mut stream).await
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
    let mut first = hold(&cluster, "192.0.2.1", 20_000).await;
    let mut second = hold(&cluster, "192.0.2.2", 15_000).await;
    assert_eq!(send(&cluster, "192.0.2.1", 1).await, "429");
    assert_eq!(send(&cluster, "192.0.2.3", 10_000).await, "503");
    // Who asks for little goes on, and what never comes is given up and frees its share.
    let event = json!({"stream": "tasks", "type": "task_update", "id": "t"});
    cluster.post("/v1/publish", &event).await.expect(200);
    assert_eq!(status(&mut first).await, "408");
    assert_eq!(status(&mut second).await, "408");
    assert_eq!(send(&cluster, "192.0.2.1", 20_000).await, "400", "it is no JSON, and was read");
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
