//! `EMBEDDED_REDIS_LISTEN`: XADD from real Redis clients into the broker in memory.

use std::process::Stdio;

use redis::{AsyncCommands as _, aio::MultiplexedConnection};
use serde_json::json;
use services::free_port;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

use crate::client::{PATIENCE, Socket};
use crate::cluster::{Cluster, token_with};

/// What a process says when it is ready; it serves a moment before.
fn banner(cluster: &Cluster) -> String {
    let said = services::eventually(PATIENCE, || {
        let said = cluster.gateways[0].log();
        said.contains("Development mode").then_some(said)
    });
    said.expect("a banner")
}

/// Where a process in development says that it takes XADD.
fn address(cluster: &Cluster) -> String {
    let said = banner(cluster);
    let at = said.split("redis://").nth(1).and_then(|rest| rest.split_whitespace().next());
    at.unwrap_or_else(|| panic!("an address for Redis clients:\n{said}")).to_owned()
}

async fn client(url: &str) -> MultiplexedConnection {
    let client = redis::Client::open(url).expect("a URL");
    client.get_multiplexed_async_connection().await.expect("a connection")
}

/// Sends bytes as they are and reads all that comes back until the server closes.
async fn conversation(address: &str, bytes: &[u8]) -> String {
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(bytes).await.unwrap();
    let mut said = Vec::new();
    // A server that closes before it has read everything resets the connection.
    let _reset = tokio::time::timeout(PATIENCE, stream.read_to_end(&mut said)).await.unwrap();
    String::from_utf8_lossy(&said).into_owned()
}

/// Runs a line as a person would, in a shell.
async fn shell(line: &str) -> String {
    let mut command = tokio::process::Command::new("sh");
    let output = command.args(["-c", line]).stdin(Stdio::null()).output().await.unwrap();
    let said = [output.stdout, output.stderr].concat();
    String::from_utf8_lossy(&said).trim_end().to_owned()
}

fn event(id: &str, n: usize) -> [(&'static str, String); 3] {
    [
        ("type", "deployment_update".to_owned()),
        ("id", id.to_owned()),
        ("data", json!({ "n": n }).to_string()),
    ]
}

/// The numbers of a deployment's events, once so many are recorded.
async fn recorded(cluster: &Cluster, id: &str, count: usize) -> Vec<u64> {
    let deadline = tokio::time::Instant::now() + PATIENCE;
    loop {
        let numbers = cluster.archive_numbers(&format!("deployment:{id}")).await;
        if numbers.len() >= count {
            return numbers.into_iter().map(|(_, n)| n).collect();
        }
        assert!(tokio::time::Instant::now() < deadline, "{} of {count} came", numbers.len());
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
}

#[tokio::test]
async fn the_command_of_the_banner_reaches_a_watcher() {
    let cluster = Cluster::embedded().start().await;
    let said = banner(&cluster);
    let line = said.lines().find(|line| line.trim_start().starts_with("redis-cli ")).unwrap();
    let mut watcher = cluster.watcher(0).await;
    watcher.send(json!({"type": "subscribe", "channel": "deployment:demo"})).await;
    watcher.expect(json!({"type": "subscribed", "...": ""})).await;
    let id = shell(line).await;
    assert!(id.split_once('-').is_some_and(|(ms, _)| ms.parse::<u64>().is_ok()), "an id: {id}");
    let event = json!({"type": "event", "event": "deployment_update", "id": "demo", "data": {"progress": 50, "...": ""}, "...": ""});
    watcher.expect(event).await;
}

/// What docs/publish.md shows to Rust: its lines stand here as they stand there.
async fn documented(url: &str) -> redis::RedisResult<String> {
    let mut redis = redis::Client::open(url)?.get_multiplexed_async_connection().await?;
    let event =
        [("type", "deployment_update"), ("id", "deploy-123"), ("data", r#"{"progress":90}"#)];
    let entry: String = redis.xadd("fanfare:deployments", "*", &event).await?;
    Ok(entry)
}

#[tokio::test]
async fn the_program_of_the_documentation_publishes() {
    let cluster = Cluster::embedded().start().await;
    let mut watcher = cluster.watcher(0).await;
    watcher.send(json!({"type": "subscribe", "channel": "deployment:deploy-123"})).await;
    watcher.expect(json!({"type": "subscribed", "...": ""})).await;
    documented(&format!("redis://{}", address(&cluster))).await.unwrap();
    watcher.expect(json!({"type": "event", "data": {"progress": 90}, "...": ""})).await;
}

#[tokio::test]
async fn redis_cli_speaks_both_protocols_and_is_told_what_this_is() {
    let cluster = Cluster::embedded().start().await;
    let address = address(&cluster);
    let port = address.rsplit_once(':').unwrap().1;
    for protocol in ["-2", "-3"] {
        let ask = |words: &str| format!("redis-cli {protocol} -p {port} {words}");
        assert_eq!(shell(&ask("PING")).await, "PONG");
        let id = shell(&ask("XADD fanfare:tasks '*' type task_created id t data '{}'")).await;
        assert!(id.contains('-'), "{id}");
        let range = shell(&ask(&format!("XRANGE fanfare:tasks {id} + COUNT 1"))).await;
        assert!(range.contains("task_created"), "{range}");
        let wrong = shell(&ask("SET a b")).await;
        assert!(wrong.contains("ERR unknown command 'set': this is Fanfare"), "{wrong}");
        let wrong = shell(&ask("XADD other '*' a b")).await;
        assert!(wrong.contains("'other' is no stream of Fanfare: fanfare:deployments"), "{wrong}");
        let wrong = shell(&ask("XADD fanfare:tasks:7 '*' a b")).await;
        assert!(wrong.contains("INGEST_PARTITIONS is 1"), "{wrong}");
        let wrong = shell(&ask("XADD fanfare:tasks:0 '*' a b")).await;
        assert!(wrong.contains("no stream of Fanfare"), "{wrong}");
    }
    assert_eq!(shell(&format!("redis-cli -p {port} XLEN fanfare:tasks")).await, "2");
}

#[tokio::test]
async fn a_pipeline_and_a_transaction_arrive_whole_and_in_order() {
    let cluster = Cluster::embedded().start().await;
    for (protocol, id) in [("resp2", "two"), ("resp3", "three")] {
        let url = format!("redis://{}/?protocol={protocol}", address(&cluster));
        let mut redis = client(&url).await;
        let mut pipeline = redis::pipe();
        for n in 0..1000 {
            pipeline.xadd("fanfare:deployments", "*", &event(id, n));
        }
        let ids: Vec<String> = pipeline.query_async(&mut redis).await.unwrap();
        assert_eq!(ids.len(), 1000);
        let mut transaction = redis::pipe();
        transaction.atomic();
        for n in 1000..1010 {
            transaction.xadd("fanfare:deployments", "*", &event(id, n));
        }
        let ids: Vec<String> = transaction.query_async(&mut redis).await.unwrap();
        assert_eq!(ids.len(), 10);
        let numbers = recorded(&cluster, id, 1010).await;
        assert_eq!(numbers, (0..1010).collect::<Vec<_>>());
    }
}

#[tokio::test]
async fn ids_and_options_are_those_of_redis() {
    let cluster = Cluster::embedded().start().await;
    let mut redis = client(&format!("redis://{}", address(&cluster))).await;
    let key = "fanfare:messages";
    let fields = [("type", "mine"), ("id", "x"), ("data", "{}")];
    let mut command = redis::cmd("XADD");
    command.arg(key).arg("NOMKSTREAM").arg("*").arg(&fields);
    assert_eq!(command.query_async::<Option<String>>(&mut redis).await.unwrap(), None);
    let first: String = redis.xadd(key, "1000-1", &fields).await.unwrap();
    assert_eq!(first, "1000-1");
    let next: String = redis.xadd(key, "1000-*", &fields).await.unwrap();
    assert_eq!(next, "1000-2");
    let error = redis.xadd::<_, _, _, _, String>(key, "1000-2", &fields).await.unwrap_err();
    let expected = "The ID specified in XADD is equal or smaller than the target stream top item";
    assert!(error.to_string().contains(expected), "{error}");
    let mut command = redis::cmd("XADD");
    command.arg(key).arg("MAXLEN").arg(1).arg("*").arg(&fields);
    command.query_async::<String>(&mut redis).await.unwrap();
    assert_eq!(redis.xlen::<_, u64>(key).await.unwrap(), 1);
}

#[tokio::test]
async fn a_failed_command_spoils_its_transaction_alone() {
    let cluster = Cluster::embedded().start().await;
    let said = conversation(
        &address(&cluster),
        b"MULTI\r\nXADD fanfare:tasks * type task_created id a\r\nGET x\r\nEXEC\r\n\
          MULTI\r\nXADD fanfare:tasks 0-0 a b\r\nXADD fanfare:tasks * type task_created id b\r\nEXEC\r\n\
          EXEC\r\nMULTI\r\nMULTI\r\nDISCARD\r\nXLEN fanfare:tasks\r\nQUIT\r\n",
    )
    .await;
    let said: Vec<_> = said.split("\r\n").collect();
    assert_eq!(said[..2], ["+OK", "+QUEUED"]);
    assert!(said[2].starts_with("-ERR unknown command 'get'"), "{said:?}");
    assert!(said[3].starts_with("-EXECABORT"), "{said:?}");
    assert_eq!(said[4..8], ["+OK", "+QUEUED", "+QUEUED", "*2"]);
    assert!(said[8].starts_with("-ERR The ID specified in XADD must be greater"), "{said:?}");
    assert!(said[9].starts_with('$'), "the other one is appended: {said:?}");
    assert_eq!(
        said[11..],
        [
            "-ERR EXEC without MULTI",
            "+OK",
            "-ERR MULTI calls can not be nested",
            "+OK",
            ":1",
            "+OK",
            ""
        ]
    );
}

#[tokio::test]
async fn production_asks_who_it_is_and_what_it_may() {
    let address = format!("127.0.0.1:{}", free_port());
    let cluster = Cluster::embedded()
        .set("ENVIRONMENT", "production")
        .set("API_KEYS", "ci:a-key-of-sixteen-bytes")
        .set("EMBEDDED_REDIS_LISTEN", &address)
        .start()
        .await;
    let mut stranger = client(&format!("redis://{address}")).await;
    let error = redis::cmd("PING").query_async::<String>(&mut stranger).await.unwrap_err();
    assert!(error.to_string().contains("Authentication required"), "{error}");
    let said = conversation(&address, b"HELLO 3\r\nAUTH x\r\nQUIT\r\n").await;
    assert!(said.starts_with("-NOAUTH ") && said.contains("-WRONGPASS invalid token"), "{said}");

    let mut service = client(&format!("redis://:a-key-of-sixteen-bytes@{address}")).await;
    let _id: String = service.xadd("fanfare:deployments", "*", &event("p", 1)).await.unwrap();
    assert_eq!(recorded(&cluster, "p", 1).await, [1]);

    let token = token_with(json!({"sub": "ann", "publish": ["tasks"]}));
    let mut ann = client(&format!("redis://ann:{token}@{address}/?protocol=resp3")).await;
    let fields = [("type", "task_created"), ("id", "t")];
    ann.xadd::<_, _, _, _, String>("fanfare:tasks", "*", &fields).await.unwrap();
    for command in
        ["XADD fanfare:deployments * a b", "XLEN fanfare:agents", "XRANGE fanfare:tasks - +"]
    {
        let mut words = command.split(' ');
        let mut asked = redis::cmd(words.next().unwrap());
        words.for_each(|word| _ = asked.arg(word));
        let error = asked.query_async::<redis::Value>(&mut ann).await.unwrap_err();
        assert!(error.to_string().contains("NoPerm"), "{command}: {error}");
    }
}

#[tokio::test]
async fn words_of_http_close_the_connection() {
    let cluster = Cluster::embedded().start().await;
    let address = address(&cluster);
    let body = "XADD fanfare:tasks * type task_created id evil\r\n";
    for request in [
        format!("POST / HTTP/1.1\r\nHost: x\r\n\r\n{body}"),
        format!("GET / HTTP/1.1\r\nHost: x\r\n\r\n{body}"),
        format!("Host: x\r\n{body}"),
    ] {
        assert_eq!(conversation(&address, request.as_bytes()).await, "", "{request}");
    }
    assert_eq!(conversation(&address, b"XLEN fanfare:tasks\r\nQUIT\r\n").await, ":0\r\n+OK\r\n");
}

#[tokio::test]
async fn everything_has_a_bound() {
    let cluster = Cluster::embedded()
        .set("EMBEDDED_REDIS_REQUEST_BYTES", "2000")
        .set("EMBEDDED_REDIS_ARGUMENTS", "16")
        .set("EMBEDDED_REDIS_TRANSACTION_BYTES", "1024")
        .set("EMBEDDED_REDIS_CONNECTIONS", "2")
        .set("EMBEDDED_REDIS_IDLE_MS", "500")
        .start()
        .await;
    let address = address(&cluster);
    let said =
        conversation(&address, format!("*1\r\n$9999\r\n{}", "x".repeat(9000)).as_bytes()).await;
    assert!(said.contains("EMBEDDED_REDIS_REQUEST_BYTES"), "{said}");
    let said = conversation(&address, b"*17\r\n").await;
    assert!(said.contains("EMBEDDED_REDIS_ARGUMENTS"), "{said}");
    let nested = "*1\r\n".repeat(200_000);
    let said = conversation(&address, nested.as_bytes()).await;
    assert!(said.is_empty() || said.contains("expected '$', got '*'"), "{said}");
    let long = format!("MULTI\r\nECHO {}\r\nEXEC\r\nQUIT\r\n", "x".repeat(1500));
    let said = conversation(&address, long.as_bytes()).await;
    assert!(
        said.contains("EMBEDDED_REDIS_TRANSACTION_BYTES") && said.contains("-EXECABORT"),
        "{said}"
    );

    let mut first = TcpStream::connect(&address).await.unwrap();
    let _second = TcpStream::connect(&address).await.unwrap();
    assert_eq!(conversation(&address, b"").await, "-ERR max number of clients reached\r\n");
    // Silence ends the first, and makes room.
    assert_eq!(first.read(&mut [0; 10]).await.unwrap(), 0);
    assert_eq!(conversation(&address, b"PING\r\nQUIT\r\n").await, "+PONG\r\n+OK\r\n");
}

#[tokio::test]
async fn a_taken_port_is_said_and_the_rest_runs() {
    let holder = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let taken = holder.local_addr().unwrap().to_string();
    let cluster = Cluster::embedded().set("EMBEDDED_REDIS_LISTEN", &taken).start().await;
    let said = banner(&cluster);
    let line = said.lines().find(|line| line.trim_start().starts_with("Redis ")).unwrap();
    assert!(line.contains(&taken) && line.contains("EMBEDDED_REDIS_LISTEN"), "{line}");
    assert!(!said.contains("redis-cli"), "a command that does not work:\n{said}");
    cluster
        .publish(
            json!({"stream": "tasks", "type": "task_update", "id": "t", "data": {"progress": 1}}),
        )
        .await;
}

#[tokio::test]
async fn a_drain_lets_producers_go() {
    let cluster = Cluster::embedded().start().await;
    let mut producer = TcpStream::connect(address(&cluster)).await.unwrap();
    producer.write_all(b"PING\r\n").await.unwrap();
    let mut said = [0; 7];
    producer.read_exact(&mut said).await.unwrap();
    cluster.gateways[0].terminate();
    assert_eq!(producer.read(&mut said).await.unwrap(), 0);
    assert_eq!(cluster.gateways[0].exit_code(), Some(0));
}

#[tokio::test]
async fn the_banner_names_addresses_that_can_be_reached() {
    let cluster = Cluster::embedded()
        .set("HOST", "::")
        .set("ALLOW_INSECURE", "true")
        .set("EMBEDDED_REDIS_LISTEN", "[::]:0")
        .start()
        .await;
    let said = banner(&cluster);
    assert!(said.contains("http://[::1]:") && said.contains("redis-cli -h ::1 -p "), "{said}");
    assert!(!said.contains("[::]"), "{said}");
    let watch = said.lines().find(|line| line.contains("fanfare watch")).unwrap();
    assert!(watch.contains("--url 'http://[::1]:"), "{watch}");
    let url = said.split_whitespace().find(|word| word.starts_with("ws://")).unwrap();
    let token = crate::cluster::token("ann", &["*"]);
    Socket::connect(&format!("{url}?token={token}"))
        .await
        .expect(json!({"type": "welcome", "...": ""}))
        .await;
}
