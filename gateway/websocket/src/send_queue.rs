//! What a connection could not write yet: bounded in bytes, no memory at rest.

use std::collections::VecDeque;
use std::io::{self, IoSlice};

use bytes::{Buf, Bytes};

use crate::frame::Frame;
use crate::socket::RawSocket;

/// How many frames one system call carries at most: the vector lies on the stack.
const SLICES_MAX: usize = 32;

/// The frames that wait for the socket, oldest first.
///
/// The frames are shared, so the bound is on what this connection keeps alive and not on what it
/// copies.
#[derive(Debug, Default)]
pub(crate) struct SendQueue {
    frames: VecDeque<Bytes>,
    /// In 32 bits, for there are many queues; all that wait are far fewer.
    bytes: u32,
    /// The kernel took nothing more: the connection's task waits for room and then writes, also when
    /// no frame is left and only the socket still holds something.
    blocked: bool,
}

impl SendQueue {
    pub(crate) fn is_empty(&self) -> bool {
        self.frames.is_empty()
    }

    /// Returns how many bytes wait.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes as usize
    }

    /// Tells whether the connection's task has to wait until the kernel has room again.
    pub(crate) fn is_blocked(&self) -> bool {
        self.blocked
    }

    pub(crate) fn unblock(&mut self) {
        self.blocked = false;
    }

    /// Tells whether a frame fits below `bytes_max`. A frame that is larger than the whole queue is
    /// taken when nothing else waits, else it could never be sent.
    pub(crate) fn has_room(&self, frame: &Frame, bytes_max: usize) -> bool {
        self.frames.is_empty() || self.bytes() + frame.len() <= bytes_max
    }

    pub(crate) fn push(&mut self, frame: &Frame) {
        self.bytes = self.bytes.saturating_add(short(frame.len()));
        self.frames.push_back(frame.bytes().clone());
    }

    /// Writes one frame, past the queue if that is empty; what the kernel does not take waits.
    pub(crate) fn write_through(&mut self, frame: &Frame, socket: &RawSocket) -> io::Result<()> {
        if !self.frames.is_empty() {
            self.push(frame);
            return self.write(socket);
        }
        let written = match socket.write(frame.bytes()) {
            Ok(written) if written == frame.len() => return self.flush(socket),
            Ok(written) => written,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => 0,
            Err(error) => return Err(error),
        };
        self.frames.push_back(frame.bytes().slice(written..));
        self.bytes = short(frame.len() - written);
        self.blocked = true;
        Ok(())
    }

    /// Writes until the queue is empty or the kernel is full.
    pub(crate) fn write(&mut self, socket: &RawSocket) -> io::Result<()> {
        while !self.frames.is_empty() && !self.blocked {
            match self.write_once(socket) {
                Ok(written) => self.consume(written),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => self.blocked = true,
                Err(error) => return Err(error),
            }
        }
        if self.blocked { Ok(()) } else { self.flush(socket) }
    }

    /// Waits for the kernel where the socket still holds what it took.
    fn flush(&mut self, socket: &RawSocket) -> io::Result<()> {
        self.blocked = !socket.flush()?;
        Ok(())
    }

    /// Drops everything: the socket is gone.
    pub(crate) fn clear(&mut self) {
        *self = Self::default();
    }

    fn write_once(&self, socket: &RawSocket) -> io::Result<usize> {
        if let [only] = self.frames.as_slices().0
            && self.frames.len() == 1
        {
            return socket.write(only);
        }
        let mut slices = [IoSlice::new(&[]); SLICES_MAX];
        let mut count = 0;
        for (slice, frame) in slices.iter_mut().zip(&self.frames) {
            *slice = IoSlice::new(frame);
            count += 1;
        }
        socket.write_vectored(&slices[..count])
    }

    fn consume(&mut self, mut written: usize) {
        self.bytes = self.bytes.saturating_sub(short(written));
        while let Some(first) = self.frames.front_mut() {
            if written < first.len() {
                first.advance(written);
                return;
            }
            written -= first.len();
            self.frames.pop_front();
        }
        // A new deque, because an empty one keeps the memory of its longest day.
        *self = Self { blocked: self.blocked, ..Self::default() };
    }
}

fn short(bytes: usize) -> u32 {
    u32::try_from(bytes).unwrap_or(u32::MAX)
}
