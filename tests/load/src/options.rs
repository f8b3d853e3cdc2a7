//! The options of every measurement.

use std::path::PathBuf;
use std::process::Command;

use anyhow::Context as _;
use clap::Args;

use crate::crowd::Server;

/// What is measured, and how often.
#[derive(Debug, Args)]
pub(crate) struct Options {
    /// Fewer events, clients and runs.
    #[arg(long, global = true)]
    pub(crate) quick: bool,
    /// How often everything is measured; the median counts [default: 3, quick: 1].
    #[arg(long, global = true)]
    pub(crate) repeat: Option<usize>,
    /// How long a soak takes.
    #[arg(long, global = true, default_value_t = 30)]
    pub(crate) minutes: u64,
    /// JSON instead of a table.
    #[arg(long, global = true)]
    pub(crate) json: bool,
    /// The executable, when it is not to be built first.
    #[arg(long, global = true)]
    pub(crate) fanfare: Option<PathBuf>,
    /// Another server, `ws://HOST:PORT/PATH`, that carries what is published on a Redis.
    #[arg(long, global = true)]
    pub(crate) peer: Option<String>,
    /// The frame that subscribes there; `{channel}` stands for the channel.
    #[arg(long, global = true, default_value = "{channel}")]
    pub(crate) subscribe: String,
    /// What a frame holds that confirms the subscription; empty when none does.
    #[arg(long, global = true, default_value = "")]
    pub(crate) acknowledged: String,
    /// That server's process, whose CPU time is read.
    #[arg(long, global = true, default_value_t = 0)]
    pub(crate) peer_pid: u32,
    /// That server's Redis.
    #[arg(long, global = true, default_value = "127.0.0.1:6379")]
    pub(crate) peer_redis: String,
}

/// Another server.
pub(crate) struct Peer {
    pub(crate) server: Server,
    pub(crate) path: String,
    pub(crate) subscribe: String,
    pub(crate) redis: String,
    pub(crate) pid: u32,
}

impl Options {
    pub(crate) fn runs(&self) -> usize {
        self.repeat.unwrap_or(if self.quick { 1 } else { 3 })
    }

    /// The executable: built as this program was, and so found beside it.
    pub(crate) fn fanfare(&self) -> anyhow::Result<PathBuf> {
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

    pub(crate) fn peer(&self) -> anyhow::Result<Peer> {
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
