//! A TCP stream with TLS above it, as the transport uses one: it never blocks, and whoever delivers a
//! frame encrypts and writes it.

use std::io::{self, IoSlice, Read, Write};
use std::sync::Mutex;

use tokio::net::TcpStream;
use tokio_rustls::rustls::ServerConnection;
use tokio_rustls::server::TlsStream;

use crate::lock::lock;

/// What may be encrypted and wait for the kernel: one record. What is encrypted is nobody else's, so
/// what waits for a slow client waits before that, where frames are shared and counted.
const ENCRYPTED_BYTES_MAX: usize = 16 << 10;

/// A stream of TLS whose handshake is over.
#[derive(Debug)]
pub(crate) struct TlsSocket {
    tcp: TcpStream,
    session: Mutex<TlsSession>,
}

/// Both directions share keys and state, so one lock holds them. It is never held while waiting.
#[derive(Debug)]
struct TlsSession {
    tls: ServerConnection,
    /// Decrypted and not read.
    decrypted: usize,
    /// Nothing more will come.
    has_ended: bool,
}

impl TlsSocket {
    /// Takes over a stream, with what it has decrypted already.
    pub(crate) fn new(stream: TlsStream<TcpStream>) -> io::Result<Self> {
        let (tcp, mut tls) = stream.into_inner();
        tls.set_buffer_limit(Some(ENCRYPTED_BYTES_MAX));
        let mut session = TlsSession { tls, decrypted: 0, has_ended: false };
        session.decrypt()?;
        Ok(Self { tcp, session: Mutex::new(session) })
    }

    pub(crate) fn tcp(&self) -> &TcpStream {
        &self.tcp
    }

    /// Tells whether a read would return something, whatever the kernel has.
    pub(crate) fn has_input(&self) -> bool {
        let session = lock(&self.session);
        session.decrypted > 0 || session.has_ended
    }

    /// Reads until the buffer is full or the kernel has nothing more; returns 0 at the end of the
    /// stream.
    pub(crate) fn read(&self, buffer: &mut [u8]) -> io::Result<usize> {
        let mut session = lock(&self.session);
        let mut filled = 0;
        while filled < buffer.len() {
            if session.decrypted > 0 {
                let count = session.tls.reader().read(&mut buffer[filled..])?;
                session.decrypted = session.decrypted.saturating_sub(count);
                filled += count;
            } else if session.has_ended {
                break;
            } else if let Err(error) = session.receive(&self.tcp) {
                // What was decrypted before it counts; the next read meets it again.
                return if filled > 0 { Ok(filled) } else { Err(error) };
            }
        }
        Ok(filled)
    }

    pub(crate) fn write(&self, bytes: &[u8]) -> io::Result<usize> {
        let mut taken = 0;
        while taken < bytes.len() {
            match self.write_vectored(&[IoSlice::new(&bytes[taken..])]) {
                Ok(more) => taken += more,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock && taken > 0 => break,
                Err(error) => return Err(error),
            }
        }
        Ok(taken)
    }

    /// Encrypts and writes one record. What the kernel does not take of it is written first the next
    /// time, or by [`TlsSocket::flush`].
    pub(crate) fn write_vectored(&self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        let mut session = lock(&self.session);
        if !session.flush(&self.tcp)? {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        let taken = session.tls.writer().write_vectored(slices)?;
        session.flush(&self.tcp)?;
        Ok(taken)
    }

    /// Writes what is encrypted; true when the kernel has all of it.
    pub(crate) fn flush(&self) -> io::Result<bool> {
        lock(&self.session).flush(&self.tcp)
    }

    /// Says that nothing more will come from us, as far as the kernel takes it: without it the peer
    /// cannot tell our end from one that somebody else made.
    pub(crate) fn say_end(&self) {
        let mut session = lock(&self.session);
        session.tls.send_close_notify();
        if let Err(error) = session.flush(&self.tcp) {
            tracing::trace!(%error, "socket: gone before the end of TLS was said");
        }
    }
}

impl TlsSession {
    fn receive(&mut self, tcp: &TcpStream) -> io::Result<()> {
        let count = self.tls.read_tls(&mut Kernel(tcp))?;
        self.has_ended |= count == 0;
        let decrypted = self.decrypt();
        if decrypted.is_err() {
            // The alert that says why.
            self.flush(tcp)?;
        }
        decrypted
    }

    fn decrypt(&mut self) -> io::Result<()> {
        let state = self.tls.process_new_packets();
        let state = state.map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))?;
        self.decrypted = state.plaintext_bytes_to_read();
        self.has_ended |= state.peer_has_closed();
        Ok(())
    }

    fn flush(&mut self, tcp: &TcpStream) -> io::Result<bool> {
        while self.tls.wants_write() {
            match self.tls.write_tls(&mut Kernel(tcp)) {
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(false),
                Err(error) => return Err(error),
            }
        }
        Ok(true)
    }
}

/// The kernel's side of a socket, as the library of TLS asks for it.
struct Kernel<'a>(&'a TcpStream);

impl Read for Kernel<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.0.try_read(buffer)
    }
}

impl Write for Kernel<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.try_write(bytes)
    }

    fn write_vectored(&mut self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        self.0.try_write_vectored(slices)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
