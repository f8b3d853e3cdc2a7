//! A real nginx in front of several servers.

use std::process::Command;
use std::time::Duration;

use crate::patience::eventually;
use crate::port::free_port;
use crate::process::{Process, Signal};
use crate::program;
use crate::scratch::Scratch;

const PATIENCE: Duration = Duration::from_secs(20);

/// An nginx on a loopback port that hands each connection to one of its servers in turn.
#[derive(Debug)]
pub struct Nginx {
    port: u16,
    process: Process,
    _scratch: Scratch,
}

impl Nginx {
    /// In front of these, `HOST:PORT` each.
    ///
    /// # Panics
    /// When it does not come up, with its log.
    pub fn in_front_of(servers: &[String]) -> Self {
        let port = free_port();
        let scratch = Scratch::new("nginx");
        let folder = scratch.path().display().to_string();
        let file = scratch.path().join("nginx.conf");
        std::fs::write(&file, configuration(port, &folder, servers)).expect("write nginx.conf");
        let mut command = Command::new(program::find("nginx", "nginx-light"));
        command.arg("-p").arg(scratch.path()).arg("-e").arg("stderr").arg("-c").arg(&file);
        let log = scratch.path().join("nginx.log");
        let process = Process::spawn("nginx", &command, &log, Signal::Term);
        let answers = || std::net::TcpStream::connect(("127.0.0.1", port)).ok();
        let up = eventually(PATIENCE, answers).is_some() && process.ended().is_none();
        assert!(up, "nginx does not start:\n{}", process.log());
        Self { port, process, _scratch: scratch }
    }

    /// `ws://127.0.0.1:PORT/PATH`.
    pub fn ws(&self, path: &str) -> String {
        format!("ws://127.0.0.1:{}{path}", self.port)
    }

    /// What it has logged.
    pub fn log(&self) -> String {
        self.process.log()
    }
}

fn configuration(port: u16, folder: &str, servers: &[String]) -> String {
    let servers: String = servers.iter().map(|server| format!("server {server};")).collect();
    format!(
        "daemon off; pid {folder}/nginx.pid; worker_processes 2; worker_rlimit_nofile 20000;
         events {{ worker_connections 16000; }}
         http {{
             access_log off; client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy;
             fastcgi_temp_path {folder}/fastcgi; uwsgi_temp_path {folder}/uwsgi;
             scgi_temp_path {folder}/scgi;
             map $http_upgrade $connection_upgrade {{ default upgrade; '' ''; }}
             upstream gateways {{ {servers} }}
             server {{
                 listen 127.0.0.1:{port};
                 location / {{
                     proxy_pass http://gateways; proxy_http_version 1.1; proxy_buffering off;
                     proxy_set_header Upgrade $http_upgrade;
                     proxy_set_header Connection $connection_upgrade;
                     proxy_set_header Host $http_host; proxy_read_timeout 600s;
                 }}
             }}
         }}\n"
    )
}
