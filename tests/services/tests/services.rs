//! The services themselves: they run, come back, and leave nothing behind.

use std::io::{BufRead as _, BufReader, ErrorKind, Read as _, Write as _};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use services::{Postgres, Proxy, Redis, Scratch, eventually};

#[test]
fn a_redis_with_a_file_keeps_its_data_through_a_kill() {
    let redis = Redis::options().appendonly().start();
    redis.cli(&["SET", "song", "fanfare"]);
    redis.kill();
    assert!(redis.try_cli(&["PING"]).is_err());
    redis.restart();
    assert_eq!(redis.cli(&["GET", "song"]), "fanfare");
}

#[test]
fn a_redis_without_a_file_comes_back_empty() {
    let redis = Redis::start();
    redis.cli(&["SET", "song", "fanfare"]);
    redis.restart();
    assert_eq!(redis.cli(&["EXISTS", "song"]), "0");
}

#[test]
fn a_replica_follows_its_primary() {
    let primary = Redis::start();
    let replica = Redis::options().replica_of(&primary).start();
    primary.cli(&["SET", "song", "fanfare"]);
    let copied = || (replica.cli(&["GET", "song"]) == "fanfare").then_some(());
    assert!(eventually(Duration::from_secs(10), copied).is_some());
}

#[test]
fn a_full_redis_refuses_writes() {
    let redis = Redis::options().maxmemory("1").start();
    let error = redis.try_cli(&["SET", "song", "fanfare"]).expect_err("it is full");
    assert!(error.starts_with("OOM"), "{error}");
}

#[test]
fn postgres_keeps_what_was_committed_through_a_kill() {
    let postgres = Postgres::start();
    let url = postgres.url("songs");
    postgres.sql(&url, "CREATE TABLE song (name text); INSERT INTO song VALUES ('fanfare')");
    postgres.kill();
    assert!(postgres.try_sql(&url, "SELECT 1").is_err());
    postgres.restart();
    assert_eq!(postgres.sql(&url, "SELECT name FROM song"), "fanfare");
}

#[test]
fn every_database_is_fresh() {
    let postgres = Postgres::shared();
    let (one, other) = (postgres.url("fresh"), postgres.url("fresh"));
    postgres.sql(&one, "CREATE TABLE song (name text)");
    assert!(postgres.try_sql(&other, "SELECT * FROM song").is_err());
}

#[test]
fn a_frozen_postgres_goes_on_after_it_was_thawed() {
    let postgres = Postgres::options().fsync(false).start();
    postgres.freeze();
    postgres.thaw();
    assert_eq!(postgres.sql("postgres", "SELECT 1"), "1");
}

#[test]
fn a_proxy_passes_stalls_cuts_and_refuses() {
    let redis = Redis::start();
    let proxy = Proxy::to(redis.port());
    let mut stream = TcpStream::connect(("127.0.0.1", proxy.port())).expect("connect");
    stream.set_read_timeout(Some(Duration::from_millis(300))).expect("set a timeout");
    let mut ping = || {
        stream.write_all(b"PING\r\n")?;
        let mut answer = [0; 7];
        stream.read_exact(&mut answer).map(|()| answer)
    };
    assert_eq!(&ping().expect("it passes"), b"+PONG\r\n");
    proxy.stall();
    assert_eq!(ping().expect_err("it stalls").kind(), ErrorKind::WouldBlock);
    proxy.heal();
    assert_eq!(&ping().expect("what was held back goes on"), b"+PONG\r\n");
    proxy.refuse();
    assert!(eventually(Duration::from_secs(5), || ping().is_err().then_some(())).is_some());
}

#[test]
fn nothing_is_left_when_the_test_process_is_killed() {
    let mut tests = Command::new(std::env::current_exe().expect("this test's own executable"))
        .args(["--ignored", "--exact", "the_test_process_that_is_killed", "--nocapture"])
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("start the tests once more");
    let output = BufReader::new(tests.stdout.take().expect("stdout is piped"));
    let left: Vec<PathBuf> = output
        .lines()
        .map_while(Result::ok)
        .filter_map(|line| line.split_once("LEFT ").map(|(_, path)| PathBuf::from(path)))
        .take(3)
        .collect();
    assert_eq!(left.len(), 3);
    assert!(left.iter().all(|path| path.exists()), "{left:?}");
    tests.kill().expect("kill -9 of the test process");
    tests.wait().expect("it is gone");
    let gone = || left.iter().all(|path| !path.exists()).then_some(());
    assert!(eventually(Duration::from_secs(15), gone).is_some(), "left: {left:?}");
}

#[test]
#[ignore = "run by nothing_is_left_when_the_test_process_is_killed, which kills it"]
#[expect(clippy::print_stdout, reason = "the other test reads it")]
fn the_test_process_that_is_killed() {
    let redis = Redis::start();
    redis.freeze();
    let postgres = Postgres::shared();
    let scratch = Scratch::new("left");
    println!("\nLEFT {}", proc_of(redis.pid()).display());
    println!("LEFT {}", proc_of(postgres.pid()).display());
    println!("LEFT {}", scratch.path().display());
    services::pause(Duration::from_secs(60));
}

fn proc_of(pid: u32) -> PathBuf {
    Path::new("/proc").join(pid.to_string())
}
