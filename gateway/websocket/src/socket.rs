//! The socket below a connection: the one file that knows what its bytes travel on.
//!
//! That is a plain TCP stream, on which whoever delivers a frame writes it directly, or the same with
//! TLS above it; the rest of the transport only asks for readiness, reads, writes and shuts down.

use std::io::{self, IoSlice, Read};
use std::net::Shutdown;
use std::task::{Context, Poll};

use bytes::BytesMut;
use socket2::SockRef;
use tokio::io::Interest;
use tokio::net::TcpStream;
use tokio_rustls::server::TlsStream;

use crate::rules::SenderTerms;
use crate::tls_socket::TlsSocket;

/// A socket whose handshake is over. Never blocks; readiness comes from the runtime.
#[derive(Debug)]
pub(crate) enum RawSocket {
    Tcp(TcpStream),
    /// In a box, so that a plain socket pays nothing for it.
    Tls(Box<TlsSocket>),
}

impl RawSocket {
    /// Registers the task to be woken for input.
    ///
    /// Polling, instead of awaiting `ready()`, replaces the waker that the finished HTTP task left
    /// in the socket; that waker would keep all of that task's memory.
    pub(crate) fn poll_read_ready(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self {
            Self::Tls(tls) if tls.has_input() => Poll::Ready(Ok(())),
            _ => self.tcp().poll_read_ready(cx),
        }
    }

    pub(crate) fn poll_write_ready(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.tcp().poll_write_ready(cx)
    }

    /// Reads what is there; returns 0 at the end of the stream.
    ///
    /// A read that does not fill the buffer has emptied the socket. Saying so to the runtime, as
    /// "would block", saves the read that would only find that out.
    pub(crate) fn read(&self, buffer: &mut [u8]) -> io::Result<usize> {
        let tcp = match self {
            Self::Tcp(tcp) => tcp,
            Self::Tls(tls) => return tls.read(buffer),
        };
        let mut short = None;
        let read = tcp.try_io(Interest::READABLE, || {
            let count = (&*SockRef::from(tcp)).read(buffer)?;
            if count == 0 || count == buffer.len() {
                return Ok(count);
            }
            short = Some(count);
            Err(io::ErrorKind::WouldBlock.into())
        });
        short.map_or(read, Ok)
    }

    /// Writes as much as is taken. "Would block" may also mean that the runtime has not
    /// seen the socket writable yet, so it proves nothing about the client's speed.
    pub(crate) fn write(&self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Tcp(tcp) => tcp.try_write(bytes),
            Self::Tls(tls) => tls.write(bytes),
        }
    }

    pub(crate) fn write_vectored(&self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        match self {
            Self::Tcp(tcp) => tcp.try_write_vectored(slices),
            Self::Tls(tls) => tls.write_vectored(slices),
        }
    }

    /// Returns true when the kernel has all that was taken: TLS may hold the end of it, encrypted.
    pub(crate) fn flush(&self) -> io::Result<bool> {
        match self {
            Self::Tcp(_) => Ok(true),
            Self::Tls(tls) => tls.flush(),
        }
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
        if let Self::Tls(tls) = self {
            tls.say_end();
        }
        if let Err(error) = SockRef::from(self.tcp()).shutdown(how) {
            tracing::trace!(%error, "socket: gone before its shutdown, which is then not needed");
        }
    }

    fn tcp(&self) -> &TcpStream {
        match self {
            Self::Tcp(tcp) => tcp,
            Self::Tls(tls) => tls.tcp(),
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
    pub(crate) fn plain(tcp: TcpStream, unread: BytesMut) -> Self {
        Self { socket: RawSocket::Tcp(tcp), unread, terms: None }
    }

    /// The same of a stream of TLS, whose handshake is over too.
    pub(crate) fn encrypted(stream: TlsStream<TcpStream>, unread: BytesMut) -> io::Result<Self> {
        let socket = RawSocket::Tls(Box::new(TlsSocket::new(stream)?));
        Ok(Self { socket, unread, terms: None })
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plain_socket_pays_nothing_for_tls() {
        assert_eq!(size_of::<RawSocket>(), size_of::<TcpStream>());
    }
}
