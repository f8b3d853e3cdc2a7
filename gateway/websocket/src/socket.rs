//! The socket below a connection: the one file that knows what its bytes travel on.
//!
//! Today that is a plain TCP stream, on which whoever delivers a frame writes it directly. A
//! second kind (TLS ended in this process) becomes a variant here: the rest of the transport only
//! asks for readiness, reads, writes and shuts down.

use std::io::{self, IoSlice, Read};
use std::net::Shutdown;
use std::task::{Context, Poll};

use bytes::BytesMut;
use socket2::SockRef;
use tokio::io::Interest;
use tokio::net::TcpStream;

use crate::rules::SenderTerms;

/// A socket whose handshake is over. Never blocks; readiness comes from the runtime.
#[derive(Debug)]
pub(crate) struct RawSocket {
    tcp: TcpStream,
}

impl RawSocket {
    /// Registers the task to be woken for input.
    ///
    /// Polling, instead of awaiting `ready()`, replaces the waker that the finished HTTP task left
    /// in the socket; that waker would keep all of that task's memory.
    pub(crate) fn poll_read_ready(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.tcp.poll_read_ready(cx)
    }

    pub(crate) fn poll_write_ready(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.tcp.poll_write_ready(cx)
    }

    /// Reads what is there; returns 0 at the end of the stream.
    ///
    /// A read that does not fill the buffer has emptied the socket. Saying so to the runtime, as
    /// "would block", saves the read that would only find that out.
    pub(crate) fn read(&self, buffer: &mut [u8]) -> io::Result<usize> {
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
    /// seen the socket writable yet, so it proves nothing about the client's speed.
    pub(crate) fn write(&self, bytes: &[u8]) -> io::Result<usize> {
        self.tcp.try_write(bytes)
    }

    pub(crate) fn write_vectored(&self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        self.tcp.try_write_vectored(slices)
    }

    /// Ends our direction; the client sees the end of the stream after what was written.
    pub(crate) fn shutdown_write(&self) {
        self.shutdown(Shutdown::Write);
    }

    /// Ends both directions at once, whoever still holds the connection.
    pub(crate) fn shutdown_both(&self) {
        self.shutdown(Shutdown::Both);
    }

    fn shutdown(&self, how: Shutdown) {
        if let Err(error) = SockRef::from(&self.tcp).shutdown(how) {
            tracing::trace!(%error, "socket: gone before its shutdown, which is then not needed");
        }
    }
}

/// An upgraded socket, and what the client sent behind its request.
#[derive(Debug)]
pub struct UpgradedSocket {
    socket: RawSocket,
    unread: BytesMut,
    terms: Option<SenderTerms>,
}

impl UpgradedSocket {
    /// `unread` is what was read behind the request and belongs to the first frames.
    pub(crate) fn new(tcp: TcpStream, unread: BytesMut) -> Self {
        Self { socket: RawSocket { tcp }, unread, terms: None }
    }

    /// Sets what its client may send; without terms only the limits of all connections hold.
    #[must_use]
    pub fn with_terms(mut self, terms: SenderTerms) -> Self {
        self.terms = Some(terms);
        self
    }

    pub(crate) fn into_parts(self) -> (RawSocket, BytesMut, Option<SenderTerms>) {
        (self.socket, self.unread, self.terms)
    }
}
