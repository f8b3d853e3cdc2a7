//! From XADD to a client on an idle machine, beside one commit of the same disk.

use std::fs::File;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::os::unix::fs::FileExt as _;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::Context as _;
use services::unique;

use crate::house::{House, Node, members};
use crate::options::Options;
use crate::report::Report;
use crate::resp::Redis;
use crate::wire::{self, Opcode};

/// Beyond one commit (issue 2).
const BEYOND_COMMIT_MS: f64 = 2.0;

/// One event, one commit and one sync of a file in turns, so that what disturbs one disturbs all.
pub(crate) fn run(options: &Options, report: &mut Report) -> anyhow::Result<()> {
    let house = House::start(&options.fanfare()?);
    let _worker = house.node("worker", &[])?;
    let gateway = house.node("gateway", &[])?;
    for _ in 0..options.runs() {
        let id = unique("l");
        let mut client = Client::connect(&gateway, &id)?;
        let mut redis = Redis::connect(&house.redis_address())?;
        let mut disk = Disk::open(&house)?;
        let [mut events, mut commits, mut syncs] = [const { Vec::new() }; 3];
        for number in 0..if options.quick { 100 } else { 500 } {
            events.push(timed(|| {
                redis.add_event(&house.stream(), &id, &format!(r#"{{"n":{number}}}"#));
                redis.run()?;
                client.event()
            })?);
            commits.push(timed(|| disk.commit())?);
            syncs.push(timed(|| disk.sync())?);
        }
        write(report, &mut events, &mut commits, &mut syncs);
    }
    Ok(())
}

fn write(report: &mut Report, events: &mut [f64], commits: &mut [f64], syncs: &mut [f64]) {
    let commit = percentile(commits, 0.5);
    let allowed = commit + BEYOND_COMMIT_MS;
    let limits = Some((allowed, allowed));
    report.judge("XADD to client, p50", "ms", percentile(events, 0.5), limits);
    report.add("XADD to client, p99", "ms", percentile(events, 0.99));
    report.add("one-row INSERT and COMMIT, p50", "ms", commit);
    report.add("one-row INSERT and COMMIT, p99", "ms", percentile(commits, 0.99));
    report.add("8 KiB written and fdatasync, p50", "ms", percentile(syncs, 0.5));
}

fn timed(act: impl FnOnce() -> anyhow::Result<()>) -> anyhow::Result<f64> {
    let begun = Instant::now();
    act()?;
    Ok(begun.elapsed().as_secs_f64() * 1000.0)
}

fn percentile(times: &mut [f64], share: f64) -> f64 {
    times.sort_by(f64::total_cmp);
    times[((times.len() - 1) as f64 * share) as usize]
}

/// One blocking client.
struct Client {
    stream: TcpStream,
    unread: Vec<u8>,
}

impl Client {
    fn connect(gateway: &Node, id: &str) -> anyhow::Result<Self> {
        let member = members(1, |_| vec![format!("deployment:{id}")]).remove(0);
        let mut stream = TcpStream::connect(gateway.address)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(Duration::from_secs(10)))?;
        let request = wire::upgrade(&gateway.address.to_string(), &member.path);
        stream.write_all(request.as_bytes())?;
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            let mut byte = [0];
            stream.read_exact(&mut byte)?;
            head.extend(byte);
        }
        let mut client = Self { stream, unread: Vec::new() };
        for text in &member.subscribe {
            client.stream.write_all(&wire::masked(Opcode::Text, text.as_bytes()))?;
        }
        client.until(r#""type":"subscribed""#)?;
        Ok(client)
    }

    fn event(&mut self) -> anyhow::Result<()> {
        self.until(r#""type":"event""#)
    }

    fn until(&mut self, wanted: &str) -> anyhow::Result<()> {
        loop {
            while let Some((_, payload)) = wire::parse(&self.unread) {
                let frame: Vec<u8> = self.unread.drain(..payload.end).collect();
                if String::from_utf8_lossy(&frame[payload.start..]).contains(wanted) {
                    return Ok(());
                }
            }
            let mut bytes = [0; 4096];
            let count = self.stream.read(&mut bytes).context("no event within 10 s")?;
            anyhow::ensure!(count > 0, "the gateway has closed the connection");
            self.unread.extend_from_slice(&bytes[..count]);
        }
    }
}

/// The disk below PostgreSQL, by PostgreSQL and past it.
struct Disk {
    psql: Child,
    answers: BufReader<ChildStdout>,
    file: File,
}

impl Disk {
    fn open(house: &House) -> anyhow::Result<Self> {
        let mut psql = Command::new("psql")
            .args(["-X", "-q", "-A", "-t", "-d", &house.database])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .context("run psql")?;
        let answers = BufReader::new(psql.stdout.take().context("stdout is piped")?);
        let file = File::create(house.scratch.path().join("synced"))?;
        file.write_all_at(&[0; 8192], 0)?;
        let mut disk = Self { psql, answers, file };
        disk.ask("CREATE TABLE IF NOT EXISTS load_commit (number bigint)")?;
        Ok(disk)
    }

    fn commit(&mut self) -> anyhow::Result<()> {
        self.ask("INSERT INTO load_commit VALUES (1)")
    }

    /// Runs a statement; what psql adds is a few microseconds of a pipe.
    fn ask(&mut self, sql: &str) -> anyhow::Result<()> {
        let stdin = self.psql.stdin.as_mut().context("stdin is piped")?;
        stdin.write_all(format!("{sql};\n\\echo done\n").as_bytes())?;
        let mut line = String::new();
        self.answers.read_line(&mut line)?;
        anyhow::ensure!(line == "done\n", "psql says {line:?}");
        Ok(())
    }

    fn sync(&mut self) -> anyhow::Result<()> {
        self.file.write_all_at(&[1; 8192], 0)?;
        Ok(self.file.sync_data()?)
    }
}

impl Drop for Disk {
    /// psql ends with its input.
    fn drop(&mut self) {
        drop(self.psql.stdin.take());
        drop(self.psql.wait());
    }
}
