//! Clients in processes of their own, each from a source address of its own.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use services::{Process, Scratch, Signal};

use crate::clients::{Herd, Member};
use crate::tally::Tally;

/// One process may open 20,000 files, and one address has 28,000 ports.
const MEMBERS_MAX: usize = 5_000;

/// Where clients go, and how they know that they have arrived.
#[derive(Clone, Debug)]
pub(crate) struct Server {
    /// Its address.
    pub(crate) address: SocketAddr,
    /// What a frame holds that confirms a subscription; empty when nothing does.
    pub(crate) acknowledged: String,
}

/// All clients of one measurement.
pub(crate) struct Crowd {
    herds: Vec<BufReader<TcpStream>>,
    size: u64,
    // Last, so that the clients have been told to go before their processes are ended.
    _processes: Vec<Process>,
    _scratch: Scratch,
}

impl Crowd {
    /// Starts the clients and waits until all of them are subscribed.
    pub(crate) fn gather(server: &Server, members: &[Member]) -> anyhow::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        let scratch = Scratch::new("crowd");
        let size = members.len();
        let mut crowd = Self {
            herds: Vec::new(),
            size: size as u64,
            _processes: Vec::new(),
            _scratch: scratch,
        };
        let share = size.div_ceil(2).clamp(1, MEMBERS_MAX);
        for (number, members) in (2_u8..).zip(members.chunks(share)) {
            let herd = Herd {
                server: server.address,
                source: Ipv4Addr::new(127, 0, 0, number).into(),
                acknowledged: server.acknowledged.clone(),
                members: members.to_vec(),
            };
            crowd.start(&listener, &herd)?;
        }
        let patience = Duration::from_secs(20 + size as u64 / 50);
        crowd.until(patience, |tally| tally.ready == size as u64).context("connecting")?;
        Ok(crowd)
    }

    fn start(&mut self, listener: &TcpListener, herd: &Herd) -> anyhow::Result<()> {
        let mut command = Command::new(std::env::current_exe()?);
        command.arg("clients").arg(listener.local_addr()?.to_string());
        let log = self._scratch.path().join("log");
        self._processes.push(Process::spawn("clients", &command, &log, Signal::Kill));
        let mut control = listener.accept()?.0;
        control.set_read_timeout(Some(Duration::from_secs(60)))?;
        let mut line = serde_json::to_vec(herd)?;
        line.push(b'\n');
        control.write_all(&line)?;
        self.herds.push(BufReader::new(control));
        Ok(())
    }

    /// What all clients together have seen so far.
    pub(crate) fn tally(&mut self) -> anyhow::Result<Tally> {
        let mut sum = Tally::default();
        for herd in &mut self.herds {
            herd.get_mut().write_all(b"tally\n")?;
            let mut line = String::new();
            herd.read_line(&mut line)?;
            sum.add(&serde_json::from_str(&line).context("a client process has ended")?);
        }
        Ok(sum)
    }

    /// Waits until the clients have seen enough.
    pub(crate) fn until(
        &mut self,
        patience: Duration,
        enough: impl Fn(&Tally) -> bool,
    ) -> anyhow::Result<Tally> {
        let deadline = Instant::now() + patience;
        loop {
            let tally = self.tally()?;
            if enough(&tally) {
                return Ok(tally);
            }
            anyhow::ensure!(tally.ended == 0, "{} of {} clients ended", tally.ended, self.size);
            anyhow::ensure!(Instant::now() < deadline, "not within {patience:?}: {tally:?}");
            services::pause(Duration::from_millis(5));
        }
    }
}
