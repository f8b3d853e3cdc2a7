//! A TCP proxy that breaks the network on purpose: it delays, stalls, cuts and refuses.

use std::io::{Read, Write as _};
use std::net::{Ipv4Addr, Shutdown, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use crate::patience::pause;
use crate::port::free_port;

/// How often a waiting thread looks whether something changed.
const TICK: Duration = Duration::from_millis(10);

/// Stands between a client and a loopback port. One faultless at first; dropped, it cuts everything.
#[derive(Debug)]
pub struct Proxy {
    port: u16,
    network: Arc<Network>,
}

#[derive(Debug, Default)]
struct Network {
    stalled: AtomicBool,
    refusing: AtomicBool,
    over: AtomicBool,
    delay_ms: AtomicU64,
    /// A connection ends when this is no longer what it was when the connection began.
    age: AtomicU64,
}

impl Proxy {
    /// Passes connections on to `127.0.0.1:target`.
    ///
    /// # Panics
    /// When it cannot listen.
    pub fn to(target: u16) -> Self {
        let port = free_port();
        let listener =
            TcpListener::bind((Ipv4Addr::LOCALHOST, port)).expect("listen on a free port");
        listener.set_nonblocking(true).expect("a listener that can be polled");
        let network = Arc::new(Network::default());
        let shared = Arc::clone(&network);
        std::thread::spawn(move || shared.listen(&listener, target));
        Self { port, network }
    }

    /// Where clients connect.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Nothing passes any more and nothing ends: both sides have a half-open connection.
    pub fn stall(&self) {
        self.network.stalled.store(true, Ordering::SeqCst);
    }

    /// Every piece passes so much later, in each direction.
    pub fn delay(&self, time: Duration) {
        let ms = u64::try_from(time.as_millis()).expect("a short time");
        self.network.delay_ms.store(ms, Ordering::SeqCst);
    }

    /// Cuts every connection; new ones pass.
    pub fn cut(&self) {
        self.network.age.fetch_add(1, Ordering::SeqCst);
    }

    /// Cuts every connection and new ones at once.
    pub fn refuse(&self) {
        self.network.refusing.store(true, Ordering::SeqCst);
        self.cut();
    }

    /// Everything is as it was; what was held back by [`Proxy::stall`] goes on.
    pub fn heal(&self) {
        self.network.stalled.store(false, Ordering::SeqCst);
        self.network.refusing.store(false, Ordering::SeqCst);
        self.network.delay_ms.store(0, Ordering::SeqCst);
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.network.over.store(true, Ordering::SeqCst);
        self.cut();
    }
}

impl Network {
    fn listen(self: &Arc<Self>, listener: &TcpListener, target: u16) {
        while !self.over.load(Ordering::SeqCst) {
            let Ok((client, _)) = listener.accept() else {
                pause(TICK);
                continue;
            };
            if self.refusing.load(Ordering::SeqCst) {
                continue;
            }
            if let Ok(server) = TcpStream::connect((Ipv4Addr::LOCALHOST, target)) {
                self.join(&client, &server);
            }
        }
    }

    fn join(self: &Arc<Self>, client: &TcpStream, server: &TcpStream) {
        let age = self.age.load(Ordering::SeqCst);
        for (from, to) in [(client, server), (server, client)] {
            let (Ok(from), Ok(to)) = (from.try_clone(), to.try_clone()) else { return };
            let network = Arc::clone(self);
            std::thread::spawn(move || {
                // Whatever ends a direction ends the connection.
                drop(network.pass(&from, &to, age));
                drop((from.shutdown(Shutdown::Both), to.shutdown(Shutdown::Both)));
            });
        }
    }

    fn pass(&self, mut from: &TcpStream, mut to: &TcpStream, age: u64) -> std::io::Result<()> {
        from.set_nonblocking(false)?;
        from.set_read_timeout(Some(TICK))?;
        to.set_nodelay(true)?;
        let mut buffer = vec![0; 64 * 1024];
        while self.age.load(Ordering::SeqCst) == age {
            if self.stalled.load(Ordering::SeqCst) {
                pause(TICK);
                continue;
            }
            let read = match from.read(&mut buffer) {
                Ok(0) => return Ok(()),
                Ok(read) => read,
                Err(error) if matches!(error.kind(), std::io::ErrorKind::WouldBlock) => continue,
                Err(error) => return Err(error),
            };
            pause(Duration::from_millis(self.delay_ms.load(Ordering::SeqCst)));
            while self.stalled.load(Ordering::SeqCst) && self.age.load(Ordering::SeqCst) == age {
                pause(TICK);
            }
            to.write_all(&buffer[..read])?;
        }
        Ok(())
    }
}
