//! What once cost the most, all of it at once and as fast as it is let in, beside a client that wants its
//! events: what that client notices, and what the gateway takes.

use std::fmt::Write as _;
use std::io::{ErrorKind, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use anyhow::Context as _;
use services::unique;

use crate::crowd::Crowd;
use crate::house::{House, members};
use crate::kernel::peak_rss_bytes;
use crate::options::Options;
use crate::publisher::{Pace, Way, publish};
use crate::report::Report;
use crate::resp::Redis;
use crate::wire::{self, Opcode};

/// What the good client may notice, and what the gateway may take.
const LATENCY_MS: (f64, f64) = (100.0, 250.0);
const RSS_MB: (f64, f64) = (512.0, 768.0);

const AGENTS_KEY: &str = "agents-key-of-the-load-0123456789";
const PATIENCE: Duration = Duration::from_secs(60);

/// How long an attacker waits for room before it looks whether it is over.
const GLANCE: Duration = Duration::from_millis(100);

/// Who harms: how many, where they dial, and what they send again and again.
struct Attack {
    name: &'static str,
    count: usize,
    path: String,
    /// None for what is no socket: then the bytes are a request, and each has a connection of its own.
    frame: Option<Vec<u8>>,
    request: Vec<u8>,
}

/// Measures a good client alone, and beside everybody who harms.
pub(crate) fn run(options: &Options, report: &mut Report) -> anyhow::Result<()> {
    let house = House::start(&options.fanfare()?);
    let _worker = house.node("worker", &[])?;
    let settings = [("ENVIRONMENT", "production"), ("QUEUE_API_KEY", AGENTS_KEY)];
    let gateway = house.node("gateway", &settings)?;
    let seconds = if options.quick { 10 } else { 60 };
    for _ in 0..options.runs() {
        let quiet = listen(&house, &gateway.server(), seconds)?;
        report.add("XADD to client, p99, alone", "ms", quiet);
        let attacks = attacks();
        let stop = AtomicBool::new(false);
        let sent: Vec<AtomicU64> = attacks.iter().map(|_| AtomicU64::new(0)).collect();
        let beside = thread::scope(|scope| {
            for (attack, sent) in attacks.iter().zip(&sent) {
                for _ in 0..attack.count {
                    scope.spawn(|| attack.run(gateway.address, &stop, sent));
                }
            }
            let beside = listen(&house, &gateway.server(), seconds);
            stop.store(true, Ordering::Relaxed);
            beside
        })?;
        report.judge("XADD to client, p99, under abuse", "ms", beside, Some(LATENCY_MS));
        let peak = peak_rss_bytes(gateway.process.pid())? as f64 / 1e6;
        report.judge("memory of the gateway under abuse", "MB", peak, Some(RSS_MB));
        for (attack, sent) in attacks.iter().zip(&sent) {
            let rate = sent.load(Ordering::Relaxed) as f64 / f64::from(seconds);
            report.add(attack.name, "/s let in", rate);
        }
    }
    Ok(())
}

/// The time from XADD to a client, of which 99 % stay below, in ms.
fn listen(house: &House, server: &crate::crowd::Server, seconds: u32) -> anyhow::Result<f64> {
    let run = unique("a");
    let mut good = Crowd::gather(server, &members(10, |_| vec![format!("deployment:{run}-0")]))?;
    let per_second = 20;
    let events = per_second * seconds as usize;
    let pace = Pace { events, per_second: Some(per_second), burst: 1, padding: 500 };
    let mut redis = Redis::connect(&house.redis_address())?;
    publish(&mut redis, &Way::Stream(house.stream()), &run, 1, pace)?;
    let tally = good.until(PATIENCE, |tally| tally.delivered >= 10 * events as u64)?;
    anyhow::ensure!(tally.disordered + tally.gaps == 0, "{tally:?}");
    Ok(tally.percentile_us(0.99) / 1000.0)
}

fn attacks() -> Vec<Attack> {
    let token = || members(1, |_| Vec::new()).remove(0).path;
    let socket = |name, count, path: String, text: &str| Attack {
        name,
        count,
        path,
        frame: Some(wire::masked(Opcode::Text, text.as_bytes())),
        request: Vec::new(),
    };
    let mut parts = String::new();
    for number in (1..=6_000).rev() {
        let _written = write!(parts, "t{number}.1,");
    }
    let since = format!("00000001-{parts}t1.1");
    let repos = vec!["{}"; 1_300_000].join(",");
    let name = "\u{200b}".repeat(20_000);
    let body = "x".repeat(4 << 20);
    // A fragment that is not the last one, and nothing behind it.
    let mut half = wire::masked(Opcode::Text, &[b'x'; 16_000]);
    half[0] &= 0x7F;
    vec![
        socket(
            "positions of 6,000 parts",
            2,
            token(),
            &format!(r#"{{"type":"subscribe","channel":"user:u","since":"{since}"}}"#),
        ),
        socket(
            "repositories that are none, 1.3 million at once",
            2,
            format!("/api/ws?token={AGENTS_KEY}"),
            &format!(r#"{{"type":"git-status","agentId":"a","repos":[{repos}]}}"#),
        ),
        socket(
            "names of 20,000 characters",
            60,
            token(),
            &format!(r#"{{"type":"subscribe","channel":"{name}"}}"#),
        ),
        Attack {
            name: "bodies of 4 MiB without a credential",
            count: 30,
            path: String::new(),
            frame: None,
            request: format!(
                "POST /v1/publish HTTP/1.1\r\nHost: node\r\nContent-Length: {}\r\n\r\n{body}",
                body.len()
            )
            .into_bytes(),
        },
        Attack {
            name: "messages that never end",
            count: 121,
            path: "/api/v1/ws/connect".to_owned(),
            frame: Some(half),
            request: Vec::new(),
        },
    ]
}

impl Attack {
    /// Goes on until it is over; what is refused or closed is tried again.
    fn run(&self, address: SocketAddr, stop: &AtomicBool, sent: &AtomicU64) {
        while !stop.load(Ordering::Relaxed) {
            if self.once(address, stop, sent).is_err() {
                services::pause(GLANCE);
            }
        }
    }

    fn once(&self, address: SocketAddr, stop: &AtomicBool, sent: &AtomicU64) -> anyhow::Result<()> {
        let mut stream = TcpStream::connect(address)?;
        stream.set_write_timeout(Some(GLANCE))?;
        stream.set_read_timeout(Some(GLANCE))?;
        let Some(frame) = &self.frame else {
            send(&mut stream, &self.request, stop)?;
            sent.fetch_add(1, Ordering::Relaxed);
            return drain(&mut stream);
        };
        send(&mut stream, wire::upgrade(&address.to_string(), &self.path).as_bytes(), stop)?;
        while !stop.load(Ordering::Relaxed) {
            send(&mut stream, frame, stop)?;
            sent.fetch_add(1, Ordering::Relaxed);
            drain(&mut stream)?;
        }
        Ok(())
    }
}

/// Writes all of it, however slowly it is taken.
fn send(stream: &mut TcpStream, bytes: &[u8], stop: &AtomicBool) -> anyhow::Result<()> {
    let mut written = 0;
    while written < bytes.len() && !stop.load(Ordering::Relaxed) {
        match stream.write(&bytes[written..]) {
            Ok(0) => anyhow::bail!("closed"),
            Ok(count) => written += count,
            Err(error) if is_patience(&error) => {}
            Err(error) => return Err(error).context("writing"),
        }
    }
    Ok(())
}

/// Reads what is there.
fn drain(stream: &mut TcpStream) -> anyhow::Result<()> {
    let mut bytes = [0; 64 << 10];
    match stream.read(&mut bytes) {
        Ok(0) => anyhow::bail!("closed"),
        Ok(_) => Ok(()),
        Err(error) if is_patience(&error) => Ok(()),
        Err(error) => Err(error).context("reading"),
    }
}

fn is_patience(error: &std::io::Error) -> bool {
    matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut)
}
