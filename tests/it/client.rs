//! A WebSocket client as a test wants it: it says what it saw, in order, and answers pings by itself.

use std::collections::VecDeque;
use std::time::Duration;

use futures_util::stream::{SplitSink, SplitStream};
use futures_util::{SinkExt as _, StreamExt as _};
use serde_json::Value;
use tokio::net::TcpStream;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout, timeout_at};
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;
use tokio_tungstenite::tungstenite::http::{HeaderName, HeaderValue};
use tokio_tungstenite::tungstenite::{Error, Message};
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async};

use crate::pattern::Captures;

/// How long a test waits for what must come. Generous: only a failure waits so long.
pub(crate) const PATIENCE: Duration = Duration::from_secs(15);

/// Frames that may wait here before the client stops reading its socket.
const FRAMES_MAX: usize = 100_000;

/// A socket's bytes, with TLS or without.
pub(crate) type Stream = WebSocketStream<MaybeTlsStream<TcpStream>>;

/// What came out of the socket.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Frame {
    /// A text frame that is JSON.
    Json(Value),
    /// A text frame that is not.
    Text(String),
    /// A control ping; its pong was sent.
    Ping,
    /// A close frame with its code (1005 when it had none) and reason.
    Close(u16, String),
    /// The TCP connection ended without a close frame.
    Cut,
}

/// An upgrade that was not answered by 101.
#[derive(Debug)]
pub(crate) struct Refusal {
    pub(crate) status: u16,
    pub(crate) retry_after: Option<u64>,
    pub(crate) body: String,
}

/// One open connection.
#[derive(Debug)]
pub(crate) struct Socket {
    url: String,
    writer: SplitSink<Stream, Message>,
    frames: mpsc::Receiver<Frame>,
    /// The last frames that were seen, for the message of a failure.
    seen: VecDeque<Frame>,
    captures: Captures,
    /// Whether the reader shall leave the socket alone.
    paused: watch::Sender<bool>,
    // Held for its end: dropping the set ends the reader.
    _reader: JoinSet<()>,
}

impl Socket {
    /// Connects without headers.
    pub(crate) async fn connect(url: &str) -> Self {
        Self::connect_with(url, &[]).await
    }

    /// Connects with these headers; a refusal fails the test.
    pub(crate) async fn connect_with(url: &str, headers: &[(String, String)]) -> Self {
        let answer = Self::try_connect(url, headers).await;
        answer.unwrap_or_else(|refusal| panic!("{url} was refused: {refusal:?}"))
    }

    /// Connects, or returns how the upgrade was refused.
    pub(crate) async fn try_connect(
        url: &str,
        headers: &[(String, String)],
    ) -> Result<Self, Refusal> {
        let mut request = url.into_client_request().expect("a WebSocket URL");
        for (name, value) in headers {
            let name: HeaderName = name.parse().expect("a header's name");
            request.headers_mut().insert(name, HeaderValue::from_str(value).expect("its value"));
        }
        let answer = timeout(PATIENCE, connect_async(request)).await;
        match answer.unwrap_or_else(|_| panic!("{url}: no answer to the upgrade")) {
            Ok((stream, _)) => Ok(Self::open(url, stream)),
            Err(Error::Http(response)) => Err(Refusal {
                status: response.status().as_u16(),
                retry_after: response
                    .headers()
                    .get("Retry-After")
                    .and_then(|seconds| seconds.to_str().ok()?.parse().ok()),
                body: String::from_utf8_lossy(response.body().as_deref().unwrap_or_default())
                    .into_owned(),
            }),
            Err(error) => panic!("{url}: {error}"),
        }
    }

    /// Connects, or not: for tests in which the server may be away.
    pub(crate) async fn attempt(url: &str) -> Option<Self> {
        let answer = timeout(PATIENCE, connect_async(url)).await.ok()?;
        answer.ok().map(|(stream, _)| Self::open(url, stream))
    }

    /// Takes over a stream that is open.
    pub(crate) fn open(url: &str, stream: Stream) -> Self {
        let (writer, reader) = stream.split();
        let (sender, frames) = mpsc::channel(FRAMES_MAX);
        let mut tasks = JoinSet::new();
        let (paused, pause) = watch::channel(false);
        tasks.spawn(read(reader, sender, pause));
        Self {
            url: url.to_owned(),
            writer,
            frames,
            seen: VecDeque::new(),
            captures: Captures::default(),
            paused,
            _reader: tasks,
        }
    }

    /// Sends a JSON text frame.
    pub(crate) async fn send(&mut self, frame: Value) {
        self.send_message(Message::text(frame.to_string())).await;
    }

    /// Sends a JSON text frame, or returns why the socket takes none any more.
    pub(crate) async fn try_send(&mut self, frame: Value) -> Result<(), Error> {
        self.writer.send(Message::text(frame.to_string())).await
    }

    /// Sends any frame.
    pub(crate) async fn send_message(&mut self, message: Message) {
        let sent = self.writer.send(message).await;
        sent.unwrap_or_else(|error| panic!("{}: cannot send: {error}", self.url));
    }

    /// The next frame; pings are left out. Fails when none comes in time.
    pub(crate) async fn next(&mut self) -> Frame {
        let frame = self.poll(PATIENCE).await;
        frame.unwrap_or_else(|| panic!("{}: nothing came after {}", self.url, self.story()))
    }

    /// The next frame must be this one (see [`crate::pattern`]); returns it.
    pub(crate) async fn expect(&mut self, pattern: Value) -> Value {
        let frame = self.next().await;
        let Frame::Json(value) = frame else {
            panic!("{}: wanted {pattern}, got {frame:?} after {}", self.url, self.story());
        };
        if let Err(error) = self.captures.accept(&pattern, &value) {
            panic!(
                "{}: {error}\nwanted {pattern}\ngot    {value}\nafter {}",
                self.url,
                self.story()
            );
        }
        value
    }

    /// Skips frames until this one comes, and returns it.
    pub(crate) async fn wait_for(&mut self, pattern: Value) -> Value {
        let deadline = Instant::now() + PATIENCE;
        while let Some(frame) = self.next_until(deadline).await {
            match frame {
                Frame::Json(value) if self.captures.accept(&pattern, &value).is_ok() => {
                    return value;
                }
                Frame::Close(..) | Frame::Cut => break,
                Frame::Json(_) | Frame::Text(_) | Frame::Ping => {}
            }
        }
        panic!("{}: never saw {pattern}, only {}", self.url, self.story())
    }

    /// Nothing but control pings comes for so long.
    pub(crate) async fn expect_silence(&mut self, time: Duration) {
        if let Some(frame) = self.poll(time).await {
            panic!("{}: unwanted {frame:?} after {}", self.url, self.story());
        }
    }

    /// Skips frames until the server closes, and returns its code and reason; 1006 for a cut
    /// without a close frame, as a browser says.
    pub(crate) async fn closed(&mut self) -> (u16, String) {
        loop {
            match self.next().await {
                Frame::Close(code, reason) => return (code, reason),
                Frame::Cut => return (1006, String::new()),
                Frame::Json(_) | Frame::Text(_) | Frame::Ping => {}
            }
        }
    }

    /// Waits for a control ping of the server.
    pub(crate) async fn expect_ping(&mut self) {
        let deadline = Instant::now() + PATIENCE;
        while let Ok(Some(frame)) = timeout_at(deadline, self.frames.recv()).await {
            if frame == Frame::Ping {
                return;
            }
            self.remember(frame);
        }
        panic!("{}: no ping came", self.url);
    }

    /// Leaves its socket alone for so long: nothing is read and no ping is answered.
    pub(crate) async fn stop_reading_for(&mut self, time: Duration) {
        self.paused.send_replace(true);
        sleep(time).await;
        self.paused.send_replace(false);
    }

    /// Closes in order and waits for the server's answer.
    pub(crate) async fn leave(mut self) {
        // The server may have closed first, at the same moment.
        drop(self.writer.close().await);
        while !matches!(self.next().await, Frame::Close(..) | Frame::Cut) {}
    }

    /// The next frame if one comes in time.
    pub(crate) async fn poll(&mut self, time: Duration) -> Option<Frame> {
        self.next_until(Instant::now() + time).await
    }

    async fn next_until(&mut self, deadline: Instant) -> Option<Frame> {
        loop {
            let frame = timeout_at(deadline, self.frames.recv()).await.ok()?.unwrap_or(Frame::Cut);
            if frame != Frame::Ping {
                self.remember(frame.clone());
                return Some(frame);
            }
        }
    }

    fn remember(&mut self, frame: Frame) {
        self.seen.push_back(frame);
        if self.seen.len() > 8 {
            self.seen.pop_front();
        }
    }

    fn story(&self) -> String {
        let lines: Vec<_> = self.seen.iter().map(|frame| format!("  {frame:?}")).collect();
        if lines.is_empty() { "nothing".to_owned() } else { lines.join("\n") }
    }
}

async fn read(
    mut reader: SplitStream<Stream>,
    frames: mpsc::Sender<Frame>,
    mut pause: watch::Receiver<bool>,
) {
    while pause.wait_for(|paused| !paused).await.is_ok() {
        let message = tokio::select! {
            biased;
            _ = pause.wait_for(|paused| *paused) => continue,
            message = reader.next() => message,
        };
        let Some(Ok(message)) = message else { return };
        if let Some(frame) = frame_of(message)
            && frames.send(frame).await.is_err()
        {
            return;
        }
    }
}

fn frame_of(message: Message) -> Option<Frame> {
    match message {
        Message::Text(text) => Some(
            serde_json::from_str(&text).map_or_else(|_| Frame::Text(text.to_string()), Frame::Json),
        ),
        Message::Binary(bytes) => Some(Frame::Text(String::from_utf8_lossy(&bytes).into_owned())),
        Message::Ping(_) => Some(Frame::Ping),
        Message::Pong(_) | Message::Frame(_) => None,
        Message::Close(None) => Some(Frame::Close(1005, String::new())),
        Message::Close(Some(close)) => {
            Some(Frame::Close(close.code.into(), close.reason.to_string()))
        }
    }
}
