//! A request's body that has to arrive in time, and that nobody has to read.

use std::{
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use axum::{BoxError, body::Bytes};
use futures_util::future::poll_fn;
use hyper::body::{Body, Frame, Incoming, SizeHint};
use runtime::lifecycle::Lifecycle;
use tokio::time::{Sleep, sleep, timeout};

/// How much of a body that nobody wants is thrown away before the connection is given up.
const DISCARDED_BYTES_MAX: usize = 16 << 20;

/// A body was not whole in time.
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error("the body did not arrive in time")]
pub struct BodyLate;

/// A body that fails when it is not whole so long after it was first waited for: a client
/// that sends a byte now and then would hold a handler without end.
///
/// What is left of it when it is dropped is read and thrown away while the answer is on its way: a client
/// that is still sending would see its connection reset and never hear why it was refused.
pub(super) struct DeadlineBody {
    /// None once it is dropped.
    body: Option<Incoming>,
    within: Duration,
    late: Option<Pin<Box<Sleep>>>,
    /// The client sends nothing before it is asked to (RFC 9110 §10.1.1).
    waits_for_word: bool,
    lifecycle: Lifecycle,
}

impl DeadlineBody {
    pub(super) const fn new(
        body: Incoming,
        within: Duration,
        waits_for_word: bool,
        lifecycle: Lifecycle,
    ) -> Self {
        Self { body: Some(body), within, late: None, waits_for_word, lifecycle }
    }
}

impl Body for DeadlineBody {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let this = self.get_mut();
        this.waits_for_word = false;
        let Some(body) = &mut this.body else { return Poll::Ready(None) };
        if let Poll::Ready(frame) = Pin::new(body).poll_frame(context) {
            return Poll::Ready(frame.map(|frame| frame.map_err(Into::into)));
        }
        let within = this.within;
        let late = this.late.get_or_insert_with(|| Box::pin(sleep(within)));
        late.as_mut().poll(context).map(|()| Some(Err(BodyLate.into())))
    }

    fn is_end_stream(&self) -> bool {
        self.body.as_ref().is_none_or(Body::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        self.body.as_ref().map(Body::size_hint).unwrap_or_default()
    }
}

impl Drop for DeadlineBody {
    fn drop(&mut self) {
        let body = self.body.take().filter(|body| !body.is_end_stream() && !self.waits_for_word);
        if let Some(body) = body {
            let within = self.within;
            self.lifecycle.spawn_until_stop(async move {
                drop(timeout(within, discard(body)).await);
            });
        }
    }
}

/// Reads a body and keeps nothing of it.
async fn discard(mut body: Incoming) {
    let mut discarded = 0;
    while discarded < DISCARDED_BYTES_MAX {
        let frame = poll_fn(|context| Pin::new(&mut body).poll_frame(context)).await;
        let Some(Ok(frame)) = frame else { return };
        discarded += frame.data_ref().map_or(0, Bytes::len);
    }
}
