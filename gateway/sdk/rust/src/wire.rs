//! One way to the server and back: a WebSocket, or server-sent events where those do not pass.

use std::time::Duration;

use futures_util::{SinkExt as _, StreamExt as _};
use reqwest::StatusCode;
use tokio::{
    net::TcpStream,
    sync::mpsc::{self, Receiver, Sender},
    time::timeout,
};
use tokio_tungstenite::{
    MaybeTlsStream, WebSocketStream, connect_async_with_config,
    tungstenite::{
        self, ClientRequestBuilder, Message,
        http::Uri,
        protocol::{CloseFrame, WebSocketConfig},
    },
};

use crate::{
    error::{Closed, FORBIDDEN, LOST, UNAUTHORIZED},
    frame::Frame,
};

/// The largest frame that is read: an event and a state are far smaller.
const FRAME_BYTES_MAX: usize = 32 * 1024 * 1024;
/// Frames that wait to be written; the pace lets few of them wait.
const WRITES_MAX: usize = 1024;
/// How long leaving may take.
const LEAVE: Duration = Duration::from_secs(2);

type Socket = WebSocketStream<MaybeTlsStream<TcpStream>>;

/// How a connection is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    WebSocket,
    EventStream,
}

/// Names one connection of a client.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Id(pub u64);

/// What a connection tells.
#[derive(Debug)]
pub(crate) enum News {
    Frame(Frame),
    /// A sign of life that carries no frame.
    Alive,
    Over(Closed),
}

/// Where to connect, and as whom.
pub(crate) struct Address {
    pub kind: Kind,
    /// `https://host/prefix`.
    pub url: String,
    pub query: Vec<(String, String)>,
    pub token: Option<String>,
    pub http: reqwest::Client,
}

/// The writing side of a connection. When it is dropped the connection is left.
pub(crate) struct Writer(Sender<String>);

impl Writer {
    /// Returns the writer and what the connection takes its writes from.
    pub(crate) fn new() -> (Self, Receiver<String>) {
        let (sender, receiver) = mpsc::channel(WRITES_MAX);
        (Self(sender), receiver)
    }

    /// Writes a frame; false where too much waits.
    pub(crate) fn write(&self, text: String) -> bool {
        self.0.try_send(text).is_ok()
    }
}

/// Opens a connection and runs it until it ends, or its writer is dropped.
pub(crate) async fn run(
    id: Id,
    address: Address,
    writes: Receiver<String>,
    news: Sender<(Id, News)>,
) {
    let closed = match address.kind {
        Kind::WebSocket => socket(id, address, writes, &news).await,
        Kind::EventStream => event_stream(id, address, writes, &news).await,
    };
    let _gone = news.send((id, News::Over(closed))).await;
}

async fn socket(
    id: Id,
    address: Address,
    mut writes: Receiver<String>,
    news: &Sender<(Id, News)>,
) -> Closed {
    let mut socket = match open(address).await {
        Ok(socket) => socket,
        Err(closed) => return closed,
    };
    loop {
        tokio::select! {
            write = writes.recv() => {
                let Some(text) = write else { return leave(socket).await };
                if let Err(error) = socket.send(Message::text(text)).await {
                    return why(&mut socket, &error).await;
                }
            }
            message = socket.next() => {
                let said = match message {
                    Some(Ok(Message::Text(text))) => {
                        Frame::parse(&text).map_or(News::Alive, News::Frame)
                    }
                    Some(Ok(Message::Close(close))) => {
                        let _answered = timeout(LEAVE, socket.flush()).await;
                        return closed(close);
                    }
                    Some(Ok(_)) => News::Alive,
                    Some(Err(error)) => return Closed::lost(error),
                    None => return Closed::new(LOST, ""),
                };
                if news.send((id, said)).await.is_err() {
                    return leave(socket).await;
                }
            }
        }
    }
}

async fn open(address: Address) -> Result<Socket, Closed> {
    let url = format!("{}/v1/connect", address.url).replacen("http", "ws", 1);
    let uri: Uri = url.parse().map_err(Closed::lost)?;
    // A token in an address would be written down by proxies.
    let mut request = ClientRequestBuilder::new(uri).with_sub_protocol("fanfare.v1");
    if let Some(token) = address.token {
        request = request.with_header("Authorization", format!("Bearer {token}"));
    }
    let config = WebSocketConfig::default()
        .max_message_size(Some(FRAME_BYTES_MAX))
        .max_frame_size(Some(FRAME_BYTES_MAX));
    match connect_async_with_config(request, Some(config), true).await {
        Ok((socket, _)) => Ok(socket),
        // Any other status may be a proxy's that knows no WebSockets.
        Err(tungstenite::Error::Http(answer)) => {
            let status = answer.status().as_u16();
            let code =
                if status == StatusCode::UNAUTHORIZED.as_u16() { UNAUTHORIZED } else { LOST };
            Err(Closed::new(code, format!("HTTP {status}")))
        }
        Err(error) => Err(Closed::lost(error)),
    }
}

async fn leave(mut socket: Socket) -> Closed {
    let _answered = timeout(LEAVE, async {
        socket.close(None).await?;
        while socket.next().await.is_some_and(|message| message.is_ok()) {}
        Ok::<(), tungstenite::Error>(())
    })
    .await;
    Closed::new(LOST, "left")
}

/// A write that failed: the close code may still be there to read.
async fn why(socket: &mut Socket, error: &tungstenite::Error) -> Closed {
    let read = timeout(LEAVE, async {
        loop {
            match socket.next().await {
                Some(Ok(Message::Close(close))) => return Some(closed(close)),
                Some(Ok(_)) => {}
                _ => return None,
            }
        }
    });
    read.await.ok().flatten().unwrap_or_else(|| Closed::lost(error))
}

fn closed(close: Option<CloseFrame>) -> Closed {
    close.map_or_else(
        || Closed::new(LOST, ""),
        |close| Closed::new(close.code.into(), close.reason.as_str()),
    )
}

async fn event_stream(
    id: Id,
    address: Address,
    mut writes: Receiver<String>,
    news: &Sender<(Id, News)>,
) -> Closed {
    let url = format!("{}/v1/events", address.url);
    let url = match reqwest::Url::parse_with_params(&url, &address.query) {
        Ok(url) => url,
        Err(error) => return Closed::lost(error),
    };
    let mut request = address.http.get(url).header("Accept", "text/event-stream");
    if let Some(token) = &address.token {
        request = request.bearer_auth(token);
    }
    let answer = match request.send().await {
        Ok(answer) => answer,
        Err(error) => return Closed::lost(error),
    };
    match answer.status() {
        StatusCode::OK => {}
        StatusCode::UNAUTHORIZED => return Closed::new(UNAUTHORIZED, "HTTP 401"),
        StatusCode::FORBIDDEN => return Closed::new(FORBIDDEN, "HTTP 403"),
        status => return Closed::lost(format!("HTTP {}", status.as_u16())),
    }
    let mut body = answer.bytes_stream();
    let mut rest = Vec::new();
    loop {
        let part = tokio::select! {
            // Nobody listens: what is written goes nowhere, and the end of it is the end.
            write = writes.recv() => {
                if write.is_none() {
                    return Closed::new(LOST, "left");
                }
                continue;
            }
            part = body.next() => part,
        };
        match part {
            Some(Ok(part)) => rest.extend_from_slice(&part),
            Some(Err(error)) => return Closed::lost(error),
            None => return Closed::new(LOST, "the event stream ended"),
        }
        while let Some(end) = rest.iter().position(|byte| *byte == b'\n') {
            let line: Vec<u8> = rest.drain(..=end).collect();
            let data = String::from_utf8_lossy(&line);
            let frame = data.strip_prefix("data:").and_then(|data| Frame::parse(data.trim()));
            let said = frame.map_or(News::Alive, News::Frame);
            if news.send((id, said)).await.is_err() {
                return Closed::new(LOST, "left");
            }
        }
        if rest.len() > FRAME_BYTES_MAX {
            return Closed::lost("a frame was too large");
        }
    }
}
