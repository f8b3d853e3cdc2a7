//! Prints the measure of the house.

use std::io::{ErrorKind, Write as _};
use std::path::PathBuf;

use clap::{Parser, ValueEnum};
use house::{House, Measure};

#[path = "../../it/architecture.rs"]
mod architecture;

/// Measures a workspace as a house: sizes, circles of files, arrows that run up, words.
#[derive(Debug, Parser)]
struct Args {
    /// Root of the repository.
    #[arg(default_value = ".")]
    repo: PathBuf,
    /// Print these lists before the figures.
    #[arg(long, value_name = "LIST")]
    list: Vec<List>,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum List {
    Circles,
    Up,
    Crates,
    Spawns,
    Dialects,
    Names,
    Words,
    Docs,
    English,
    Logs,
    Longest,
    Edges,
}

fn main() -> anyhow::Result<()> {
    let args = Args::parse();
    let plan = architecture::plan()?;
    let measure = Measure::take(&House::read(&args.repo)?, &plan);
    let mut text = String::new();
    for list in args.list {
        let lines = match list {
            List::Circles => &measure.circles,
            List::Up => &measure.up,
            List::Crates => &measure.crates,
            List::Spawns => &measure.spawns,
            List::Dialects => &measure.dialects,
            List::Names => &measure.names,
            List::Words => &measure.words,
            List::Docs => &measure.docs,
            List::English => &measure.english,
            List::Logs => &measure.logs,
            List::Longest => &measure.longest,
            List::Edges => &measure.edges,
        };
        text.extend(lines.iter().map(|line| format!("{line}\n")));
    }
    match writeln!(std::io::stdout(), "{text}{measure}") {
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(()), // whoever read has read enough
        written => Ok(written?),
    }
}
