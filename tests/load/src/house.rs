//! What is measured: real processes of the executable on a real Redis and PostgreSQL.

use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use services::{Postgres, Process, Redis, Scratch, Signal, free_port, unique};
use sha2::{Digest as _, Sha256};

use crate::clients::Member;
use crate::crowd::Server;
use crate::tally::now_us;

const SECRET: &str = "only-for-measuring-0123456789abcdef-0123456789";

const PATIENCE: Duration = Duration::from_secs(60);

/// Services, and the settings by which processes find them. A new house is empty.
pub(crate) struct House {
    fanfare: PathBuf,
    /// Redis without a file, as it is installed by Debian but for `save`.
    pub(crate) redis: Redis,
    /// PostgreSQL with fsync.
    pub(crate) postgres: Postgres,
    /// The database's URL.
    pub(crate) database: String,
    prefix: String,
    /// Where processes run, and what is synced when the disk is measured.
    pub(crate) scratch: Scratch,
}

/// A process of ours.
pub(crate) struct Node {
    /// The process.
    pub(crate) process: Process,
    /// Where it is reached.
    pub(crate) address: SocketAddr,
}

impl House {
    /// Starts the services.
    pub(crate) fn start(fanfare: &Path) -> Self {
        let postgres = Postgres::start();
        Self {
            fanfare: fanfare.to_owned(),
            redis: Redis::start(),
            database: postgres.url("load"),
            postgres,
            prefix: unique("load"),
            scratch: Scratch::new("house"),
        }
    }

    /// Starts a process in a role; an empty one is all of them in one process.
    pub(crate) fn node(&self, role: &str, settings: &[(&str, &str)]) -> anyhow::Result<Node> {
        let port = free_port();
        let mut command = Command::new(&self.fanfare);
        command.env_clear().current_dir(self.scratch.path());
        command.args(Some(role).filter(|role| !role.is_empty()));
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        if role == "worker" {
            command.env("ADMIN_LISTEN", address.to_string());
        } else {
            command.env("LISTEN", address.to_string());
        }
        command
            .env("REDIS_URL", self.redis.url())
            .env("DATABASE_URL", &self.database)
            .env("KEY_PREFIX", &self.prefix)
            .env("JWT_SECRET", SECRET)
            .envs(settings.iter().copied());
        let log = self.scratch.path().join(format!("{role}{port}.log"));
        let process = Process::spawn(role, &command, &log, Signal::Kill);
        let node = Node { process, address };
        node.ready()?;
        Ok(node)
    }

    /// `HOST:PORT` of Redis.
    pub(crate) fn redis_address(&self) -> String {
        format!("127.0.0.1:{}", self.redis.port())
    }

    /// The stream that deployments' events are added to.
    pub(crate) fn stream(&self) -> String {
        format!("{}:deployments", self.prefix)
    }
}

impl Node {
    /// Where clients go.
    pub(crate) fn server(&self) -> Server {
        Server { address: self.address, acknowledged: r#""type":"subscribed""#.to_owned() }
    }

    /// The body of a GET, if the answer is 200.
    pub(crate) fn get(&self, path: &str) -> anyhow::Result<String> {
        let mut stream = TcpStream::connect(self.address)?;
        stream.set_read_timeout(Some(Duration::from_secs(5)))?;
        let request =
            format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
        stream.write_all(request.as_bytes())?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        anyhow::ensure!(answer.starts_with("HTTP/1.1 200"), "{path}: {answer}");
        Ok(answer)
    }

    /// The sum of a metric over all its labels that contain `label`.
    pub(crate) fn metric(&self, name: &str, label: &str) -> anyhow::Result<f64> {
        let text = self.get("/metrics")?;
        let lines = text.lines().filter(|line| line.starts_with(name) && line.contains(label));
        Ok(lines.filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok()).sum())
    }

    fn ready(&self) -> anyhow::Result<()> {
        let ready = services::eventually(PATIENCE, || {
            self.process.ended().map(|_| false).or(self.get("/readyz").ok().map(|_| true))
        });
        anyhow::ensure!(ready == Some(true), "not ready:\n{}", self.process.log());
        Ok(())
    }
}

/// Clients of our own protocol, each a user of its own: `channels` says what each listens to.
pub(crate) fn members(count: usize, channels: impl Fn(usize) -> Vec<String>) -> Vec<Member> {
    let subscribe = |channel: &String| format!(r#"{{"type":"subscribe","channel":"{channel}"}}"#);
    (0..count)
        .map(|number| Member {
            path: format!("/v1/connect?token={}", token(&format!("user-{number}"))),
            subscribe: channels(number).iter().map(subscribe).collect(),
            stalled: false,
        })
        .collect()
}

/// A token as an application's own backend would sign it: HS256 (RFC 7515), good for two hours.
fn token(user: &str) -> String {
    let expires_at = now_us() / 1_000_000 + 7200;
    let claims = format!(r#"{{"sub":"{user}","channels":["*"],"exp":{expires_at}}}"#);
    let part = |json: &str| BASE64_URL_SAFE_NO_PAD.encode(json);
    let signed = format!("{}.{}", part(r#"{"alg":"HS256","typ":"JWT"}"#), part(&claims));
    let signature = hmac(SECRET.as_bytes(), signed.as_bytes());
    format!("{signed}.{}", BASE64_URL_SAFE_NO_PAD.encode(signature))
}

/// HMAC-SHA-256 (RFC 2104) with a key of at most 64 bytes.
fn hmac(key: &[u8], text: &[u8]) -> impl AsRef<[u8]> {
    let pad = |filling: u8| -> Vec<u8> {
        (0..64).map(|at| key.get(at).copied().unwrap_or(0) ^ filling).collect()
    };
    let inner = Sha256::new().chain_update(pad(0x36)).chain_update(text).finalize();
    Sha256::new().chain_update(pad(0x5C)).chain_update(inner).finalize()
}
