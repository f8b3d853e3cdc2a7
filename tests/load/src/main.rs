//! The load tool: starts everything that it measures, on loopback, and ends it again.
//!
//! `cargo run --release -p load -- all` takes some ten minutes and prints a table; see `--help`.
//! Absolute times on a busy machine mean little, so what matters is a ratio to something that was
//! measured in the same run: the floor, a commit, the same process at rest.

mod clients;
mod crowd;
mod fanout;
mod floor;
mod house;
mod idle;
mod kernel;
mod latency;
mod publisher;
mod rate;
mod report;
mod resp;
mod slow;
mod soak;
mod tally;
mod wire;

use std::path::PathBuf;
use std::process::Command;

use anyhow::Context as _;
use clap::{Args, Parser, Subcommand};

use self::crowd::Server;
use self::report::Report;

/// Measures Fanfare, or with `fanout --peer` another server.
#[derive(Debug, Parser)]
#[command(name = "load")]
struct Arguments {
    #[command(subcommand)]
    what: What,
    #[command(flatten)]
    options: Options,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Subcommand)]
#[command(rename_all = "lowercase")]
enum What {
    /// From XADD to a client, beside one commit of the same disk.
    Latency,
    /// The worker's rate and CPU, on PostgreSQL and on SQLite.
    Rate,
    /// CPU per delivery, beside the floor.
    Fanout,
    /// Memory per idle connection, CPU per connect.
    Idle,
    /// Stalled clients beside good ones.
    Slow,
    /// Everything above.
    All,
    /// Crowds that come and go for `--minutes`: whether memory and open files grow.
    Soak,
}

#[derive(Debug, Args)]
struct Options {
    /// Fewer events, clients and runs.
    #[arg(long, global = true)]
    quick: bool,
    /// How often everything is measured; the median counts [default: 3, quick: 1].
    #[arg(long, global = true)]
    repeat: Option<usize>,
    /// How long a soak takes.
    #[arg(long, global = true, default_value_t = 30)]
    minutes: u64,
    /// JSON instead of a table.
    #[arg(long, global = true)]
    json: bool,
    /// The executable, when it is not to be built first.
    #[arg(long, global = true)]
    fanfare: Option<PathBuf>,
    /// Another server, `ws://HOST:PORT/PATH`, that carries what is published on a Redis.
    #[arg(long, global = true)]
    peer: Option<String>,
    /// The frame that subscribes there; `{channel}` stands for the channel.
    #[arg(long, global = true, default_value = "{channel}")]
    subscribe: String,
    /// What a frame holds that confirms the subscription; empty when none does.
    #[arg(long, global = true, default_value = "")]
    acknowledged: String,
    /// That server's process, whose CPU time is read.
    #[arg(long, global = true, default_value_t = 0)]
    peer_pid: u32,
    /// That server's Redis.
    #[arg(long, global = true, default_value = "127.0.0.1:6379")]
    peer_redis: String,
}

/// Another server.
struct Peer {
    server: Server,
    path: String,
    subscribe: String,
    redis: String,
    pid: u32,
}

impl Options {
    fn runs(&self) -> usize {
        self.repeat.unwrap_or(if self.quick { 1 } else { 3 })
    }

    /// The executable: built as this program was, and so found beside it.
    fn fanfare(&self) -> anyhow::Result<PathBuf> {
        if let Some(path) = &self.fanfare {
            return Ok(path.canonicalize()?);
        }
        let beside = std::env::current_exe()?.with_file_name("fanfare");
        let mut build = Command::new("cargo");
        build.args(["build", "--quiet", "-p", "fanfare"]).current_dir(env!("CARGO_MANIFEST_DIR"));
        if !cfg!(debug_assertions) {
            build.arg("--release");
        }
        anyhow::ensure!(build.status().context("run cargo")?.success(), "fanfare is not built");
        Ok(beside)
    }

    fn peer(&self) -> anyhow::Result<Peer> {
        let url = self.peer.as_deref().and_then(|url| url.strip_prefix("ws://"));
        let (address, path) = url.and_then(|url| url.split_once('/')).context("ws://HOST:PORT/")?;
        Ok(Peer {
            server: Server { address: address.parse()?, acknowledged: self.acknowledged.clone() },
            path: format!("/{path}"),
            subscribe: self.subscribe.clone(),
            redis: self.peer_redis.clone(),
            pid: self.peer_pid,
        })
    }
}

fn main() -> anyhow::Result<()> {
    // What this program starts itself as, to be measured and to measure.
    let arguments: Vec<String> = std::env::args().collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        [_, "clients", control] => return clients::start(control),
        [_, "floor", port, redis] => return floor::run(port.parse()?, redis),
        _ => {}
    }
    let Arguments { what, options } = Arguments::parse();
    let mut report = Report::default();
    let measured = measure(what, &options, &mut report);
    report.show(options.json)?;
    measured
}

fn measure(what: What, options: &Options, report: &mut Report) -> anyhow::Result<()> {
    if options.peer.is_some() {
        return fanout::run_peer(options, report);
    }
    if what == What::Soak {
        return soak::run(options, report);
    }
    let wants = |part| what == part || what == What::All;
    type Part = fn(&Options, &mut Report) -> anyhow::Result<()>;
    let parts: [(What, Part); 5] = [
        (What::Latency, latency::run),
        (What::Rate, rate::run),
        (What::Fanout, fanout::run),
        (What::Idle, idle::run),
        (What::Slow, slow::run),
    ];
    parts.into_iter().filter(|(part, _)| wants(*part)).try_for_each(|(_, run)| run(options, report))
}
