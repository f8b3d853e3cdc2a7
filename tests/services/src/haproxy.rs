//! A real HAProxy in front of several servers, which asks them whether they are ready.

use std::fmt::Write as _;
use std::process::Command;
use std::time::Duration;

use crate::patience::eventually;
use crate::port::free_port;
use crate::process::{Process, Signal};
use crate::program;
use crate::scratch::Scratch;

const PATIENCE: Duration = Duration::from_secs(20);

/// An HAProxy on a loopback port that hands connections in turn to those servers whose `/readyz` says 200.
#[derive(Debug)]
pub struct HaProxy {
    port: u16,
    // Before the directory, so that it is dropped (and ended) first.
    _process: Process,
    _scratch: Scratch,
}

impl HaProxy {
    /// In front of these, `HOST:PORT` each.
    ///
    /// # Panics
    /// When it does not come up, with its log.
    pub fn in_front_of(servers: &[String]) -> Self {
        let port = free_port();
        let scratch = Scratch::new("haproxy");
        let file = scratch.path().join("haproxy.cfg");
        std::fs::write(&file, configuration(port, servers)).expect("write haproxy.cfg");
        let mut command = Command::new(program::find("haproxy", "haproxy"));
        command.arg("-db").arg("-f").arg(&file);
        let log = scratch.path().join("haproxy.log");
        let process = Process::spawn("haproxy", &command, &log, Signal::Term);
        let answers = || std::net::TcpStream::connect(("127.0.0.1", port)).ok();
        let up = eventually(PATIENCE, answers).is_some() && process.ended().is_none();
        assert!(up, "HAProxy does not start:\n{}", process.log());
        Self { port, _process: process, _scratch: scratch }
    }

    /// `ws://127.0.0.1:PORT/PATH`.
    pub fn ws(&self, path: &str) -> String {
        format!("ws://127.0.0.1:{}{path}", self.port)
    }
}

fn configuration(port: u16, servers: &[String]) -> String {
    let mut text = format!(
        "global\n maxconn 9000\ndefaults\n mode http\n timeout connect 2s\n timeout client 600s\n \
         timeout server 600s\n timeout tunnel 600s\n option redispatch\n retries 3\n\
         frontend clients\n bind 127.0.0.1:{port}\n default_backend gateways\n\
         backend gateways\n balance roundrobin\n option httpchk GET /readyz\n"
    );
    for (number, server) in servers.iter().enumerate() {
        let check = "check inter 200ms fastinter 100ms fall 1 rise 1 observe layer4";
        writeln!(text, " server g{number} {server} {check}").expect("a string");
    }
    text
}
