//! The one place that knows what a connection's bytes travel on.
//!
//! Today that is a plain TCP stream, on which whoever delivers a frame writes it directly. A
//! second kind (TLS ended in this process) becomes a variant here: the rest of the transport only
//! asks for readiness, reads, writes and shuts down.

use std::io::{self, IoSlice, Read};
use std::net::Shutdown;
use std::task::{Context, Poll};

use socket2::SockRef;
use tokio::io::Interest;
use tokio::net::TcpStream;

/// The socket below a connection. Never blocks; readiness is the runtime's.
#[derive(Debug)]
pub(crate) struct Stream {
    tcp: TcpStream,
}

impl Stream {
    pub(crate) fn new(tcp: TcpStream) -> Self {
        Self { tcp }
    }

    /// Registers the task for input.
    ///
    /// Polling, instead of awaiting `ready()`, replaces the waker that the finished HTTP task left
    /// in the socket; that waker would keep all of that task's memory.
    pub(super) fn poll_read_ready(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.tcp.poll_read_ready(cx)
    }

    pub(super) fn poll_write_ready(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.tcp.poll_write_ready(cx)
    }

    /// Reads what is there; 0 is the end of the stream.
    ///
    /// A read that does not fill the buffer has emptied the socket. Saying so to the runtime, as
    /// "would block", saves the read that would only find that out.
    pub(super) fn read(&self, buffer: &mut [u8]) -> io::Result<usize> {
        let mut short = None;
        let read = self.tcp.try_io(Interest::READABLE, || {
            let count = (&*SockRef::from(&self.tcp)).read(buffer)?;
            if count == 0 || count == buffer.len() {
                return Ok(count);
            }
            short = Some(count);
            Err(io::ErrorKind::WouldBlock.into())
        });
        short.map_or(read, Ok)
    }

    /// Writes as much as the kernel takes. "Would block" may also mean that the runtime has not
    /// seen the socket writable yet, so it says nothing about the peer's speed.
    pub(super) fn write(&self, bytes: &[u8]) -> io::Result<usize> {
        self.tcp.try_write(bytes)
    }

    pub(super) fn write_vectored(&self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        self.tcp.try_write_vectored(slices)
    }

    /// Ends our direction; the peer sees the end of the stream after what was written.
    pub(super) fn shutdown_write(&self) {
        self.shutdown(Shutdown::Write);
    }

    /// Ends both directions at once, whoever still holds the connection.
    pub(super) fn shutdown_both(&self) {
        self.shutdown(Shutdown::Both);
    }

    fn shutdown(&self, how: Shutdown) {
        if let Err(error) = SockRef::from(&self.tcp).shutdown(how) {
            tracing::trace!(%error, "the socket was gone before its shutdown");
        }
    }
}
