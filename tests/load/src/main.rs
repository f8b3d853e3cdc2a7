//! The load tool: starts everything that it measures, on loopback, and ends it again.
//!
//! `cargo run --release -p load -- all` takes some ten minutes and prints a table; see `--help`.
//! Absolute times on a busy machine mean little, so what matters is a ratio to something that was
//! measured in the same run: the floor, a commit, the same process at rest.

mod abuse;
mod clients;
mod crowd;
mod fanout;
mod floor;
mod house;
mod idle;
mod kernel;
mod latency;
mod options;
mod publisher;
mod rate;
mod report;
mod resp;
mod slow;
mod soak;
mod tally;
mod wire;

use clap::{Parser, Subcommand};

use self::options::Options;
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
    /// The inputs that once cost the most, at once, beside a good client.
    Abuse,
    /// Everything above.
    All,
    /// Crowds that come and go for `--minutes`: whether memory and open files grow.
    Soak,
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
    let parts: [(What, Part); 6] = [
        (What::Latency, latency::run),
        (What::Rate, rate::run),
        (What::Fanout, fanout::run),
        (What::Idle, idle::run),
        (What::Slow, slow::run),
        (What::Abuse, abuse::run),
    ];
    parts.into_iter().filter(|(part, _)| wants(*part)).try_for_each(|(_, run)| run(options, report))
}
