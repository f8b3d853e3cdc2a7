//! Plays a script against a running cluster.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::{Instant, sleep};
use tokio_tungstenite::tungstenite::Message;

use super::script::{Body, Headers, Request, Script, Step};
use crate::client::{Frame, Socket};
use crate::cluster::{Cluster, Plan, expired_token, token, token_with};
use crate::pattern::Captures;

/// How long a connection must stay silent at the end; a doubled frame comes at once.
const SETTLE: Duration = Duration::from_millis(100);

/// Reads the transcript `tests/transcripts/NAME.txt`.
pub(crate) fn read(name: &str) -> Script {
    let path = format!("{}/tests/transcripts/{name}.txt", env!("CARGO_MANIFEST_DIR"));
    let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{path}: {error}"));
    Script::parse(&text).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// Starts `plan` with the settings of the transcript and plays it; the error names the line.
///
/// What the server says goes through `deviation` before it is compared, and must come within `patience`.
pub(crate) async fn play(
    name: &str,
    plan: Plan,
    deviation: Deviation,
    patience: Duration,
) -> Result<(), String> {
    let script = read(name);
    let plan = script.settings.iter().fold(plan, |plan, (name, value)| plan.set(name, value));
    let cluster = plan.start().await;
    let mut player = Player {
        cluster: &cluster,
        sockets: BTreeMap::new(),
        captures: tokens(),
        connects: 0,
        deviation,
        patience,
    };
    for (number, line, step) in &script.steps {
        let played = player.step(step).await;
        played
            .map_err(|error| format!("tests/transcripts/{name}.txt:{number}: {line}\n{error}"))?;
    }
    let ended = player.end().await;
    ended.map_err(|error| format!("tests/transcripts/{name}.txt, at the end: {error}"))
}

/// Tokens for transcripts: `$token_all` reads every channel, `$token_alice` and `$token_bob` have the
/// default claims, `$token_admin` may do what an API key may, `$token_expired` is over.
fn tokens() -> Captures {
    let mut captures = Captures::default();
    captures.set("token_all", token("watcher", &["*"]).into());
    captures.set("token_alice", token_with(json!({"sub": "alice"})).into());
    captures.set("token_bob", token_with(json!({"sub": "bob"})).into());
    captures.set("token_admin", token_with(json!({"sub": "root", "role": "admin"})).into());
    captures.set("token_expired", expired_token("alice").into());
    captures
}

/// What a server that departs from its page would have said in place of the n-th frame (from 0) of
/// a connection.
pub(crate) type Deviation = fn(usize, Frame) -> Vec<Frame>;

/// A server that keeps to its page.
pub(crate) fn faithful(_: usize, frame: Frame) -> Vec<Frame> {
    vec![frame]
}

struct Player<'c> {
    cluster: &'c Cluster,
    sockets: BTreeMap<String, Listener>,
    captures: Captures,
    connects: usize,
    deviation: Deviation,
    patience: Duration,
}

struct Listener {
    socket: Socket,
    deviation: Deviation,
    heard: usize,
    waiting: VecDeque<Frame>,
}

impl Listener {
    async fn poll(&mut self, time: Duration) -> Option<Frame> {
        let deadline = Instant::now() + time;
        while self.waiting.is_empty() {
            let frame = self.socket.poll(deadline - Instant::now()).await?;
            // Agents hear it now and then (`protocols.md` §2), which no conversation waits for.
            if matches!(&frame, Frame::Json(value) if value["type"] == "status-request") {
                continue;
            }
            self.waiting.extend((self.deviation)(self.heard, frame));
            self.heard += 1;
        }
        self.waiting.pop_front()
    }
}

impl Player<'_> {
    async fn step(&mut self, step: &Step) -> Result<(), String> {
        match step {
            Step::Connect { name, node, path, headers } => {
                self.connect(name, *node, path, headers).await
            }
            Step::Refused { status, path, headers, body } => {
                self.refused(*status, path, headers, body).await
            }
            Step::Send { name, text, binary } => self.send(name, text, *binary).await,
            Step::Expect { name, pattern } => self.expect(name, pattern).await,
            Step::Closed { name, code, reason } => {
                self.closed(name, *code, reason.as_deref()).await
            }
            Step::Leave { name } => {
                self.sockets.remove(name).ok_or("not connected")?.socket.leave().await;
                Ok(())
            }
            Step::Silence { name, time } => self.silence(name, *time).await,
            Step::Request(request) if request.patient => self.request_until(request).await,
            Step::Request(request) => self.request(request).await,
            Step::Append { stream, fields } => {
                let fields: Vec<_> = fields.iter().map(|field| self.captures.fill(field)).collect();
                let fields: Vec<_> = fields.iter().map(String::as_str).collect();
                self.cluster.append(stream, &fields).await;
                Ok(())
            }
            Step::Pause(time) => {
                sleep(*time).await;
                Ok(())
            }
        }
    }

    /// Everyone who is still there must have nothing more to say.
    async fn end(&mut self) -> Result<(), String> {
        sleep(SETTLE).await;
        for (name, listener) in &mut self.sockets {
            if let Some(frame) = listener.poll(Duration::ZERO).await {
                return Err(format!("{name}: one frame too many: {frame:?}"));
            }
        }
        Ok(())
    }

    async fn connect(
        &mut self,
        name: &str,
        node: Option<usize>,
        path: &str,
        headers: &Headers,
    ) -> Result<(), String> {
        let nodes = &self.cluster.gateways;
        let turn = node.map_or(self.connects, |node| node - 1) % nodes.len();
        self.connects += 1;
        let url = nodes[turn].ws(&self.captures.fill(path));
        let socket = Socket::try_connect(&url, &self.filled(headers)).await;
        let socket = socket.map_err(|refusal| format!("{refusal:?}"))?;
        let deviation = self.deviation;
        let listener = Listener { socket, deviation, heard: 0, waiting: VecDeque::new() };
        self.sockets.insert(name.to_owned(), listener);
        Ok(())
    }

    async fn refused(
        &self,
        status: u16,
        path: &str,
        headers: &Headers,
        body: &Body,
    ) -> Result<(), String> {
        let url = self.cluster.gateways[0].ws(&self.captures.fill(path));
        let Err(refusal) = Socket::try_connect(&url, &self.filled(headers)).await else {
            return Err("it was accepted".to_owned());
        };
        if refusal.status != status {
            return Err(format!("{refusal:?}"));
        }
        self.captures.clone().body(body, &refusal.body)
    }

    async fn send(&mut self, name: &str, text: &str, binary: bool) -> Result<(), String> {
        let text = self.captures.fill(text);
        let message = if binary { Message::binary(text) } else { Message::text(text) };
        self.listener(name)?.socket.send_message(message).await;
        Ok(())
    }

    async fn expect(&mut self, name: &str, pattern: &Value) -> Result<(), String> {
        let patience = self.patience;
        match self.listener(name)?.poll(patience).await {
            Some(Frame::Json(value)) => self
                .captures
                .accept(pattern, &value)
                .map_err(|error| format!("{error}\ngot {value}")),
            other => Err(format!("got {other:?}")),
        }
    }

    async fn closed(&mut self, name: &str, code: u16, reason: Option<&str>) -> Result<(), String> {
        let patience = self.patience;
        let frame = self.listener(name)?.poll(patience).await;
        self.sockets.remove(name);
        match frame {
            Some(Frame::Cut) if code == 1006 => Ok(()),
            Some(Frame::Close(actual, said))
                if actual == code && reason.is_none_or(|reason| reason == said) =>
            {
                Ok(())
            }
            other => Err(format!("got {other:?}")),
        }
    }

    async fn silence(&mut self, name: &str, time: Duration) -> Result<(), String> {
        match self.listener(name)?.poll(time).await {
            None => Ok(()),
            Some(frame) => Err(format!("got {frame:?}")),
        }
    }

    async fn request_until(&mut self, request: &Request) -> Result<(), String> {
        let deadline = Instant::now() + self.patience;
        loop {
            let answered = self.request(request).await;
            if answered.is_ok() || Instant::now() > deadline {
                return answered;
            }
            sleep(Duration::from_millis(30)).await;
        }
    }

    async fn request(&mut self, request: &Request) -> Result<(), String> {
        let url = self.cluster.gateways[0].http(&self.captures.fill(&request.path));
        let body = request.body.as_ref().map(|body| self.captures.fill(body));
        let headers = self.filled(&request.headers);
        let answer = self.cluster.http.send(&request.method, &url, &headers, body.as_deref()).await;
        let answer = answer.map_err(|error| error.to_string())?;
        if answer.status != request.status {
            return Err(format!("got {answer:?}"));
        }
        for (name, value) in &request.answer_headers {
            let wanted = Value::from(self.captures.fill(value));
            let actual = answer.header(name).map_or(Value::Null, Value::from);
            self.captures.accept(&wanted, &actual).map_err(|error| format!("{name}: {error}"))?;
        }
        self.captures.body(&request.answer, &answer.body)
    }

    fn listener(&mut self, name: &str) -> Result<&mut Listener, String> {
        self.sockets.get_mut(name).ok_or_else(|| format!("{name} is not connected"))
    }

    fn filled(&self, headers: &Headers) -> Headers {
        let fill = |(name, value): &(String, String)| (name.clone(), self.captures.fill(value));
        headers.iter().map(fill).collect()
    }
}

impl Captures {
    fn body(&mut self, wanted: &Body, actual: &str) -> Result<(), String> {
        match wanted {
            Body::Any => Ok(()),
            Body::Text(text) if text == actual => Ok(()),
            Body::Text(text) => Err(format!("wanted {text:?}, got {actual:?}")),
            Body::Json(pattern) => {
                let value = serde_json::from_str(actual).map_err(|e| format!("{e} in {actual}"))?;
                self.accept(pattern, &value).map_err(|error| format!("{error}\ngot {value}"))
            }
        }
    }
}
