//! What a database that fails in the middle of things makes of a call: nothing was done, it was
//! refused, or nobody knows.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU8, Ordering},
    },
    time::{Duration, Instant},
};

use services::{Postgres, Scratch};
use sqlx::Connection as _;
use store::{Options, StoreError, connect};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
};

use crate::bench::{Bench, DEPLOYMENTS, id, offsets, on_both_engines, update};

on_both_engines! {
    what_the_database_refuses_leaves_nothing_of_its_batch,
}

async fn what_the_database_refuses_leaves_nothing_of_its_batch(bench: Bench) {
    if bench.url.starts_with("sqlite") {
        bench
            .sql(
                "CREATE TRIGGER poison BEFORE INSERT ON event WHEN NEW.subject = 'poison'
                 BEGIN SELECT RAISE(ABORT, 'poison'); END",
            )
            .await;
    } else {
        bench.sql("ALTER TABLE event ADD CHECK (subject <> 'poison')").await;
    }
    let mut owner = bench.owner(DEPLOYMENTS).await;
    let before = bench.row(DEPLOYMENTS).await;
    let refused = owner.try_record(vec![update(1, "d", "{}"), update(2, "poison", "{}")]).await;
    assert!(matches!(refused, Err(StoreError::Refused(_))), "{refused:?}");
    assert_eq!(bench.row(DEPLOYMENTS).await, before);
    assert_eq!(bench.all("deployments").await.head.offsets.total(), 0);
    owner.record(vec![update(1, "d", "{}")]).await;
    assert_eq!(offsets(&bench.all("deployment:d").await), [1]);
}

#[tokio::test]
async fn rule_15_a_connection_whose_transaction_sqlite_rolled_back_itself_is_thrown_away() {
    let bench = Bench::sqlite().await;
    // What a full disk does: SQLite rolls back on its own, before anybody asks for it.
    bench
        .sql(
            "CREATE TRIGGER full BEFORE INSERT ON event WHEN NEW.subject = 'full'
             BEGIN SELECT RAISE(ROLLBACK, 'database or disk is full'); END",
        )
        .await;
    let mut owner = bench.owner(DEPLOYMENTS).await;
    for ms in 1..=3 {
        let refused = owner.try_record(vec![update(ms, "full", "{}")]).await;
        assert!(refused.is_err());
        owner.record(vec![update(10 + ms, "d", "{}")]).await;
    }
    assert_eq!(offsets(&bench.all("deployment:d").await), [1, 2, 3]);
}

#[tokio::test]
async fn rule_10_a_batch_is_bounded_in_bytes_of_state() {
    let options = Options { batch_state_bytes: 40_000, ..Options::default() };
    for mut bench in [Bench::sqlite().await, Bench::postgres().await] {
        bench.store = connect(&bench.url, &options).await.unwrap();
        let text = format!("{{\"text\":\"{}\"}}", "x".repeat(10_000));
        let mut owner = bench.owner(DEPLOYMENTS).await;
        let names: Vec<String> = (0..8).map(|n| format!("d{n}")).collect();
        for (name, ms) in names.iter().zip(1..) {
            owner.record(vec![update(ms, name, &text)]).await;
        }
        let small = |names: &[String], from: u64| -> Vec<_> {
            names.iter().zip(from..).map(|(name, ms)| update(ms, name, "{}")).collect()
        };
        let refused = owner.try_record(small(&names, 100)).await;
        assert!(matches!(refused, Err(StoreError::TooMuch(_))), "{refused:?}");
        owner.record(small(&names[..3], 100)).await;
        // One entry is never too much.
        owner.record(vec![update(200, "d3", "{}")]).await;
    }
}

#[tokio::test]
async fn a_file_that_another_process_writes_to_is_a_conflict() {
    let bench = Bench::sqlite().await;
    let mut owner = bench.owner(DEPLOYMENTS).await;
    let mut other = sqlx::SqliteConnection::connect(&bench.url).await.unwrap();
    sqlx::raw_sql("BEGIN IMMEDIATE").execute(&mut other).await.unwrap();
    let conflict = owner.try_record(vec![update(1, "d", "{}")]).await;
    assert!(matches!(conflict, Err(StoreError::Conflict(_))), "{conflict:?}");
    sqlx::raw_sql("ROLLBACK").execute(&mut other).await.unwrap();
    owner.record(vec![update(1, "d", "{}")]).await;
}

#[tokio::test]
async fn a_file_that_cannot_be_there_is_unavailable() {
    let scratch = Scratch::new("nowhere");
    let url = format!("sqlite://{}/no/such/folder/f.db", scratch.path().display());
    let store = connect(&url, &Options::default()).await.unwrap();
    assert!(matches!(store.migrate().await, Err(StoreError::Unavailable(_))));
    assert!(matches!(store.check().await, Err(StoreError::Unavailable(_))));
}

#[tokio::test]
async fn a_url_of_another_kind_is_refused() {
    for url in ["mysql://x", "fanfare.db", "", "postgres://[", "sqlite://f?mode=nonsense"] {
        let refused = connect(url, &Options::default()).await.err();
        assert!(matches!(refused, Some(StoreError::Refused(_))), "{url}: {refused:?}");
    }
}

const DEADLINE: Duration = Duration::from_millis(1000);

fn brisk() -> Options {
    Options { deadline: DEADLINE, ..Options::default() }
}

#[tokio::test]
async fn a_server_that_does_not_answer_is_unavailable_within_the_deadline() {
    let postgres = Postgres::options().fsync(false).start();
    let mut bench = Bench::at(postgres.url("store"), None).await;
    bench.store = connect(&bench.url, &brisk()).await.unwrap();
    let mut owner = bench.owner(DEPLOYMENTS).await;
    owner.record(vec![update(1, "d", "{}")]).await;
    postgres.freeze();
    let began = Instant::now();
    let late = owner.try_record(vec![update(2, "d", "{}")]).await;
    assert!(matches!(late, Err(StoreError::TooMuch(_))), "{late:?}");
    assert!(matches!(bench.store.check().await, Err(StoreError::Unavailable(_))));
    assert!(began.elapsed() < DEADLINE * 3, "{:?}", began.elapsed());
    postgres.thaw();
    while let Err(error) = bench.store.check().await {
        assert!(matches!(error, StoreError::Unavailable(_)), "{error}");
    }
    owner.record(vec![update(2, "d", "{}")]).await;
    assert_eq!(offsets(&bench.all("deployment:d").await), [1, 2]);
}

#[tokio::test]
async fn a_server_that_was_killed_is_unavailable_until_it_is_back() {
    let postgres = Postgres::options().fsync(false).start();
    let mut bench = Bench::at(postgres.url("store"), None).await;
    bench.store = connect(&bench.url, &brisk()).await.unwrap();
    let mut owner = bench.owner(DEPLOYMENTS).await;
    owner.record(vec![update(1, "d", "{}")]).await;
    postgres.kill();
    let gone = owner.try_record(vec![update(2, "d", "{}")]).await;
    assert!(matches!(gone, Err(StoreError::Unavailable(_))), "{gone:?}");
    postgres.restart();
    while let Err(error) = owner.try_record(vec![update(2, "d", "{}")]).await {
        assert!(matches!(error, StoreError::Unavailable(_)), "{error}");
    }
    assert_eq!(offsets(&bench.all("deployment:d").await), [1, 2]);
}

/// What a wire does when the client says a word.
#[derive(Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
enum Fault {
    None,
    /// Cut it before the word arrives.
    CutBefore,
    /// Cut it when the word has arrived, before the answer.
    CutAfter,
    /// Carry nothing more, and say nothing.
    Silence,
}

/// A wire to PostgreSQL that fails at a word.
struct Wire {
    url: String,
    fault: Arc<AtomicU8>,
    carrier: tokio::task::JoinHandle<()>,
}

impl Drop for Wire {
    fn drop(&mut self) {
        self.carrier.abort();
    }
}

impl Wire {
    async fn to(url: &str, word: &'static [u8]) -> Self {
        let host = url.split(['@', '/']).nth(3).unwrap().to_owned();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let here = listener.local_addr().unwrap().to_string();
        let fault = Arc::new(AtomicU8::new(Fault::None as u8));
        let (of_carrier, to) = (fault.clone(), host.clone());
        let carry = async move {
            let mut links = tokio::task::JoinSet::new();
            while let Ok((client, _)) = listener.accept().await {
                let server = TcpStream::connect(&to).await.unwrap();
                links.spawn(carry(client, server, word, of_carrier.clone()));
            }
        };
        #[expect(clippy::disallowed_methods, reason = "ended when the wire is dropped")]
        let carrier = tokio::spawn(carry);
        Self { url: url.replace(&host, &here), fault, carrier }
    }

    fn fail_once(&self, fault: Fault) {
        self.fault.store(fault as u8, Ordering::SeqCst);
    }
}

async fn carry(mut client: TcpStream, mut server: TcpStream, word: &[u8], fault: Arc<AtomicU8>) {
    let (mut asked, mut answered) = (vec![0; 1 << 16], vec![0; 1 << 16]);
    loop {
        tokio::select! {
            read = client.read(&mut asked) => {
                let Ok(n @ 1..) = read else { return };
                let said = asked[..n].windows(word.len()).any(|window| window == word);
                let now = if said { fault.swap(0, Ordering::SeqCst) } else { 0 };
                if now == Fault::CutBefore as u8 {
                    return;
                }
                if now == Fault::Silence as u8 {
                    std::future::pending::<()>().await;
                }
                server.write_all(&asked[..n]).await.unwrap();
                if now == Fault::CutAfter as u8 {
                    // The server has answered, so it has done it.
                    assert!(server.read(&mut answered).await.unwrap() > 0);
                    return;
                }
            }
            read = server.read(&mut answered) => {
                let Ok(n @ 1..) = read else { return };
                if client.write_all(&answered[..n]).await.is_err() {
                    return;
                }
            }
        }
    }
}

/// A store behind a wire, beside a bench on the same database.
async fn behind_a_wire(word: &'static [u8]) -> (Bench, Bench, Wire) {
    let direct = Bench::postgres().await;
    let wire = Wire::to(&direct.url, word).await;
    let store = connect(&wire.url, &brisk()).await.unwrap();
    let mut wired = Bench::at(direct.url.clone(), None).await;
    wired.store = store;
    (direct, wired, wire)
}

#[tokio::test]
async fn a_commit_whose_answer_is_lost_is_of_unknown_outcome_and_the_row_tells() {
    let (direct, wired, wire) = behind_a_wire(b"COMMIT").await;
    let mut owner = wired.owner(DEPLOYMENTS).await;
    owner.record(vec![update(1, "d", "{}")]).await;
    for (fault, cursor) in [(Fault::CutAfter, 2), (Fault::CutBefore, 2), (Fault::Silence, 2)] {
        wire.fail_once(fault);
        let next = if fault == Fault::CutAfter { 2 } else { 3 };
        let unknown = owner.try_record(vec![update(next, "d", "{}")]).await;
        assert!(matches!(unknown, Err(StoreError::Unknown(_))), "{unknown:?}");
        let row = direct.row(DEPLOYMENTS).await;
        assert_eq!(row.cursor, id(cursor));
        owner.cursor = row.cursor;
    }
    owner.record(vec![update(3, "d", "{}")]).await;
    assert_eq!(offsets(&direct.all("deployment:d").await), [1, 2, 3]);
}

#[tokio::test]
async fn a_connection_lost_before_the_commit_did_nothing() {
    let (direct, wired, wire) = behind_a_wire(b"INSERT INTO publication").await;
    let mut owner = wired.owner(DEPLOYMENTS).await;
    wire.fail_once(Fault::CutAfter);
    let lost = owner.try_record(vec![update(1, "d", "{}")]).await;
    assert!(matches!(lost, Err(StoreError::TooMuch(_))), "{lost:?}");
    assert_eq!(direct.row(DEPLOYMENTS).await.cursor, id(0));
    owner.record(vec![update(1, "d", "{}")]).await;
    assert_eq!(offsets(&direct.all("deployment:d").await), [1]);
}

#[tokio::test]
async fn a_half_open_session_keeps_its_source_locked_no_longer_than_the_deadline() {
    let (direct, wired, wire) = behind_a_wire(b"INSERT INTO publication").await;
    let mut owner = wired.owner(DEPLOYMENTS).await;
    wire.fail_once(Fault::Silence);
    let began = Instant::now();
    let lost = owner.try_record(vec![update(1, "d", "{}")]).await;
    assert!(matches!(lost, Err(StoreError::TooMuch(_))), "{lost:?}");
    // The wire still holds the server's end open, with the source's row locked.
    owner.bench = &direct;
    while let Err(error) = owner.try_record(vec![update(1, "d", "{}")]).await {
        assert!(matches!(error, StoreError::Conflict(_) | StoreError::Unavailable(_)), "{error}");
        assert!(began.elapsed() < DEADLINE * 3, "{:?}", began.elapsed());
    }
    assert_eq!(offsets(&direct.all("deployment:d").await), [1]);
}
