//! Redis behind TLS, trusted through `SSL_CERT_FILE`.

use std::process::Command;

use broker::{BrokerError, Topic};
use bytes::Bytes;
use domain::{
    channel::Channel,
    entry::EntryId,
    source::{Source, Stream},
};
use services::{Certificate, Redis, Scratch, free_port};

use crate::{
    bench::{Bench, refusal},
    events::{channel, fields, publications},
};

/// How the outer test tells the inner one where the server is.
const URL: &str = "FANFARE_TEST_TLS_URL";

fn run(command: &mut Command) -> String {
    let output = command.output().unwrap();
    let said = [output.stdout, output.stderr].concat();
    let said = String::from_utf8_lossy(&said).into_owned();
    assert!(output.status.success(), "{command:?}: {said}");
    said
}

/// The environment of a process must not change while it runs, so the test runs in another one.
#[test]
fn a_server_behind_tls_is_trusted_by_its_certificate_and_no_other() {
    let scratch = Scratch::new("tls");
    let files = Certificate::make(scratch.path());
    let port = free_port();
    let (certificate, key) = (files.certificate.to_str().unwrap(), files.key.to_str().unwrap());
    let _redis = Redis::options()
        .set("tls-port", &port.to_string())
        .set("tls-cert-file", certificate)
        .set("tls-key-file", key)
        .set("tls-auth-clients", "no")
        .start();
    let mut inner = Command::new(std::env::current_exe().unwrap());
    inner.args(["--exact", "tls::everything_goes_through_tls", "--ignored"]);
    inner.env(URL, format!("rediss://127.0.0.1:{port}")).env("SSL_CERT_FILE", certificate);
    let said = run(&mut inner);
    assert!(said.contains("1 passed"), "{said}");
    let mut stranger = Command::new(std::env::current_exe().unwrap());
    stranger.args(["--exact", "tls::a_stranger_is_not_trusted", "--ignored"]);
    let said = run(stranger.env(URL, format!("rediss://127.0.0.1:{port}")));
    assert!(said.contains("1 passed"), "{said}");
}

fn url() -> String {
    std::env::var(URL).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "run by the test above, in an environment of its own"]
async fn everything_goes_through_tls() {
    let source = Source::first(Stream::Tasks);
    let bench = Bench::on(&url()).await;
    let (subscriber, recorder) = bench.subscriber("n1").await;
    let topic = Topic::Channel(channel("tasks"));
    subscriber.subscribe(topic.clone()).await.unwrap();
    let tasks: Channel = channel("tasks");
    bench.broker.publish(1, &publications(&tasks, 1..=3)).await.unwrap();
    recorder.until("heard", |heard| heard.offsets(&topic) == [1, 2, 3]).await;
    assert_eq!(bench.broker.history(&tasks, source, 0, 9).await.unwrap().len(), 3);
    bench.broker.append(&[(source, fields("x"))]).await.remove(0).unwrap();
    let wait = std::time::Duration::from_secs(5);
    let read = bench.broker.reader(source).read(EntryId::ZERO, 9, wait).await.unwrap();
    assert_eq!(read.len(), 1);
    bench.broker.send(&topic, Bytes::from(vec![b'\n'; 3 << 20])).await.unwrap();
    recorder.until("a large one", |heard| heard.messages.len() == 2).await;
    bench.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "run by the test above, in an environment of its own"]
async fn a_stranger_is_not_trusted() {
    let refused = refusal(&url()).await;
    let BrokerError::Unavailable(reason) = refused else { panic!("{refused:?}") };
    assert!(reason.contains("certificate"), "{reason}");
}
