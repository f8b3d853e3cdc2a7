//! Every door × every standing × every mode: who is let in. Doors come from the route table and from the
//! dialects, so that a new one without a row here fails.

use std::collections::{BTreeSet, HashMap};
use std::fmt::Write as _;

use futures_util::{StreamExt as _, stream};
use gateway::{api, dialect};
use runtime::config::{Config, Role};
use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::client::{Frame, PATIENCE, Socket};
use crate::cluster::{Cluster, JWT_SECRET, token_signed};

/// What somebody shows; the letters of a row stand in this order.
const STANDINGS: [&str; 16] = [
    "none",
    "wrong",
    "expired",
    "narrow",
    "reader",
    "publisher",
    "admin",
    "reader, previous secret",
    "API key",
    "internal",
    "internal, previous",
    "queue",
    "assistant",
    "queue, previous",
    "container",
    "container, previous",
];

/// How a server is set up; the rows of a door stand in this order.
const MODES: [&str; 3] = ["development", "production", "production without the keys of seeds"];

/// Requests at the same time.
const AT_ONCE: usize = 8;

const PREVIOUS_SECRET: &str = "the-secret-before-0123456789abcdef-0123456789";

/// The keys of the seeds, by setting.
const SEED_KEYS: [(&str, &str); 7] = [
    ("INTERNAL_API_KEY", "internal-key-of-the-matrix"),
    ("INTERNAL_API_KEY_PREVIOUS", "internal-key-before-that"),
    ("QUEUE_API_KEY", "queue-key-of-the-matrix"),
    ("ASSISTANT_API_KEY", "assistant-key-of-the-matrix"),
    ("QUEUE_API_KEY_PREVIOUS", "queue-key-before-that"),
    ("AUTH_TOKEN", "container-token-of-the-matrix"),
    ("AUTH_TOKEN_PREVIOUS", "container-token-before-that"),
];
const API_KEY: &str = "operators-key-of-the-matrix";

/// Whom a door lets in.
///
/// In each mode a letter for each standing: `+` in, `o` in as a stranger, `1` a credential is asked for
/// (401, 4001), `3` not allowed (403, 4003), `4` there is no such door (404), `.` another door's.
type Policy = [&'static str; 3];

//                              none…expired, tokens, key | internal, queue…, container
const OPEN: Policy = ["+++++++++ ++ +++ ++", "+++++++++ ++ +++ ++", "+++++++++ ++ +++ ++"];
const OPERATOR: Policy = ["+11333+3+ 11 111 11", "111333+3+ 11 111 11", "111333+3+ 11 111 11"];
const READ: Policy = ["1113+3+++ 11 111 11", "1113+3+++ 11 111 11", "1113+3+++ 11 111 11"];
const STREAM: Policy = ["+11++++++ 11 111 11", "111++++++ 11 111 11", "111++++++ 11 111 11"];
const PUBLISH: Policy = ["+1133++3+ 11 111 11", "11133++3+ 11 111 11", "11133++3+ 11 111 11"];
/// Seed 003's: in development any token sends.
const MESSAGE: Policy = ["111++++++ 11 111 11", "11133++3+ 11 111 11", "11133++3+ 11 111 11"];
const INTERNAL: Policy = ["+++++++++ ++ +++ ++", "111111111 ++ 111 11", "111111111 11 111 11"];
const COCKPIT: Policy = ["+++++++++ ++ +++ ++", "111111111 11 +++ 11", "111111111 11 111 11"];
const DEVELOPMENT: Policy = ["+++++++++ ++ +++ ++", "444444444 44 444 44", "444444444 44 444 44"];

const TASK: &str = r#"{"stream":"tasks","type":"task_update","id":"x"}"#;
const MESSAGE_BODY: &str = r#"{"type":"x","data":{},"user_id":"ann"}"#;
const WORK: &str = r#"{"title":"x"}"#;
const NONE: &str = "{}";

/// A door over HTTP, whom it lets in, and a body with which nothing else is wrong.
const HTTP: &[(&str, Policy, &str)] = &[
    ("GET /openapi.json", OPEN, NONE),
    ("GET /asyncapi.yaml", OPEN, NONE),
    ("GET /schemas/{stream}/{file}", OPEN, NONE),
    ("GET /console", OPEN, NONE),
    ("GET /console/", OPEN, NONE),
    ("GET /console/{*path}", OPEN, NONE),
    ("GET /console/session", OPEN, NONE),
    ("GET /sdk.js", OPEN, NONE),
    ("ANY /health", OPEN, NONE),
    ("GET /livez", OPEN, NONE),
    ("GET /readyz", OPEN, NONE),
    ("GET /metrics", OPEN, NONE),
    ("POST /v1/tokens", OPERATOR, NONE),
    ("POST /v1/publish", PUBLISH, TASK),
    ("GET /v1/events", STREAM, NONE),
    ("GET /v1/channels/{channel}", READ, NONE),
    ("GET /v1/channels/{channel}/events", READ, NONE),
    ("GET /v1/deployments", READ, NONE),
    ("GET /v1/tasks", READ, NONE),
    ("POST /v1/tasks", PUBLISH, WORK),
    ("GET /v1/tasks/{id}", READ, NONE),
    ("POST /v1/tasks/{id}/cancel", PUBLISH, NONE),
    ("POST /v1/tasks/{id}/retry", PUBLISH, NONE),
    ("GET /v1/queue", OPERATOR, NONE),
    ("GET /v1/groups/{id}", READ, NONE),
    ("POST /v1/groups/{id}/cancel", PUBLISH, NONE),
    ("GET /v1/agents", READ, NONE),
    ("GET /v1/agents/{id}/health", READ, NONE),
    ("GET /v1/repos", READ, NONE),
    ("GET /v1/alerts", READ, NONE),
    ("GET /v1/containers", READ, NONE),
    ("POST /v1/alerts/{id}/ack", PUBLISH, NONE),
    ("GET /v1/analytics/tasks", OPERATOR, NONE),
    ("GET /v1/overview", OPERATOR, NONE),
    ("GET /v1/nodes", OPERATOR, NONE),
    ("GET /v1/audit", OPERATOR, NONE),
    ("POST /v1/erase", OPERATOR, NONE),
    ("GET /v1/connections", OPERATOR, NONE),
    ("DELETE /v1/users/{id}/connections", OPERATOR, NONE),
    ("GET /v1/denied", OPERATOR, NONE),
    ("DELETE /v1/denied/{user}", OPERATOR, NONE),
    ("GET /v1/dead", OPERATOR, NONE),
    ("GET /v1/dead/{id}", OPERATOR, NONE),
    ("POST /v1/dead/redrive", OPERATOR, NONE),
    ("POST /v1/dead/drop", OPERATOR, NONE),
    ("DELETE /v1/dead/{id}", OPERATOR, NONE),
    ("POST /v1/dead/{id}/redrive", OPERATOR, NONE),
    ("GET /v1/explain/{event}", OPERATOR, NONE),
    ("GET /api/cockpit/tasks", COCKPIT, NONE),
    ("POST /api/cockpit/tasks", COCKPIT, NONE),
    ("ANY /api/cockpit/tasks", COCKPIT, NONE),
    ("GET /api/cockpit/repos", COCKPIT, NONE),
    ("ANY /api/cockpit/repos", COCKPIT, NONE),
    ("GET /api/cockpit/alerts", COCKPIT, NONE),
    ("POST /api/cockpit/alerts", COCKPIT, NONE),
    ("ANY /api/cockpit/alerts", COCKPIT, NONE),
    ("POST /api/cockpit/alerts/ack/{id}", COCKPIT, NONE),
    ("ANY /api/cockpit/alerts/ack/{id}", COCKPIT, NONE),
    ("GET /api/cockpit/agents", COCKPIT, NONE),
    ("ANY /api/cockpit/agents", COCKPIT, NONE),
    ("GET /agents", COCKPIT, NONE),
    ("ANY /api/cockpit", COCKPIT, NONE),
    ("ANY /api/cockpit/{*rest}", COCKPIT, NONE),
    ("GET /api/v1/ws/stats", OPEN, NONE),
    ("POST /api/v1/ws/broadcast", MESSAGE, MESSAGE_BODY),
    ("POST /api/v1/ws/user/{user}", MESSAGE, MESSAGE_BODY),
    ("POST /api/v1/ws/send", MESSAGE, MESSAGE_BODY),
    ("ANY /deployment-ws/health", OPEN, NONE),
    ("ANY /test/deploy", DEVELOPMENT, NONE),
    ("POST /internal/deployments/{id}/update", INTERNAL, r#"{"status":{}}"#),
    ("POST /deployment-ws/internal/deployments/{id}/update", INTERNAL, r#"{"status":{}}"#),
    ("ANY /internal/{*rest}", OPEN, NONE),
    ("ANY /deployment-ws/internal/{*rest}", OPEN, NONE),
];

const OURS: Policy = ["+11++++++ 11 111 11", "111++++++ 11 111 11", "111++++++ 11 111 11"];
const AGENTS_HEADER: Policy = [".++++++++ ++ +++ ++", ".11111111 11 +++ 11", ".11111111 11 111 11"];
/// A token that nobody vouches for names a user in development, where it is none of a container's.
const CLOUD: Policy = ["o+o++++++ ++ +++ ..", "ooo+++++o oo ooo ..", "ooo+++++o oo ooo oo"];
const DASHBOARD: Policy = ["+11++++++ 11 111 11", "+11++++++ 11 111 11", "+11++++++ 11 111 11"];
const DEPLOYMENT: Policy = ["+11++++++ 11 111 11", "1111+1+++ 11 111 11", "1111+1+++ 11 111 11"];
const CONTAINER: Policy = ["411111111 11 111 ++", "411111111 11 111 ++", "411111111 11 111 11"];

/// How a socket's client shows its credential.
#[derive(Clone, Copy)]
enum By {
    Header,
    Query,
    Subprotocol,
}

/// A door of sockets: the dialect, the path, how the credential comes, whom it lets in.
const SOCKETS: &[(&str, &str, By, Policy)] = &[
    ("native", "/v1/connect", By::Header, OURS),
    ("native", "/v1/connect", By::Subprotocol, OURS),
    ("native", "/v1/connect", By::Query, OURS),
    ("cockpit", "/api/ws", By::Header, COCKPIT),
    ("cockpit", "/api/ws", By::Query, COCKPIT),
    ("cockpit", "/ws", By::Header, AGENTS_HEADER),
    ("cloud_agents", "/ws", By::Query, CLOUD),
    ("zerostate", "/api/v1/ws/connect", By::Header, DASHBOARD),
    ("zerostate", "/api/v1/ws/connect", By::Query, DASHBOARD),
    ("deployments", "/?deploymentId=d", By::Header, DEPLOYMENT),
    ("containers", "/anywhere", By::Query, CONTAINER),
];

/// A server in one of the modes, and the credentials that go with it.
struct Mode {
    number: usize,
    cluster: Cluster,
    config: Config,
    credentials: Vec<Option<String>>,
}

impl Mode {
    async fn start(number: usize) -> Self {
        let mut settings = vec![
            ("API_KEYS".to_owned(), format!("ops:{API_KEY}")),
            ("JWT_SECRET".to_owned(), JWT_SECRET.to_owned()),
            ("JWT_SECRET_PREVIOUS".to_owned(), PREVIOUS_SECRET.to_owned()),
        ];
        if number > 0 {
            settings.push(("ENVIRONMENT".to_owned(), "production".to_owned()));
        }
        // In development a door of a seed is open as long as its key is not set.
        let keys = match number {
            0 => &SEED_KEYS[5..],
            1 => &SEED_KEYS[..],
            _ => &[],
        };
        settings.extend(keys.iter().map(|(name, key)| ((*name).to_owned(), (*key).to_owned())));
        let plan = Cluster::embedded().set("PUBLISH_PER_SECOND", "100000");
        let plan = settings.iter().fold(plan, |plan, (name, value)| plan.set(name, value));
        let environment: HashMap<_, _> = settings.into_iter().collect();
        let (config, _) = Config::from_environment(Role::Whole, &environment).unwrap();
        let cluster = plan.start().await;
        // What the doors of a task and of a group lead to.
        let url = cluster.gateways[0].http("/v1/tasks");
        let task = r#"{"id":"x","title":"x","group":"x"}"#;
        let made = cluster.http.send("POST", &url, &[bearer(API_KEY)], Some(task)).await;
        made.unwrap().expect(201);
        Self { number, cluster, config, credentials: credentials() }
    }

    /// What a door over HTTP says to somebody.
    async fn ask(&self, door: &str, body: &str, credential: Option<&str>) -> char {
        let (method, path) = request(door);
        let query = if path == "/v1/events" { "?channel=tasks" } else { "" };
        let url = self.cluster.gateways[0].http(&format!("{path}{query}"));
        let headers = credential.map(bearer).into_iter().collect::<Vec<_>>();
        let body = (method != "GET").then_some(body);
        letter(self.cluster.http.status(method, &url, &headers, body).await)
    }

    /// What a door of sockets says to somebody.
    async fn knock(&self, dialect: &str, path: &str, by: By, credential: Option<&str>) -> char {
        let mut headers = Vec::new();
        let mut path = path.to_owned();
        match (by, credential) {
            (_, None) => {}
            (By::Header, Some(credential)) => headers.push(bearer(credential)),
            (By::Subprotocol, Some(credential)) => {
                let offered = format!("fanfare.v1, bearer.{credential}");
                headers.push(("Sec-WebSocket-Protocol".to_owned(), offered));
            }
            (By::Query, Some(credential)) => {
                path.push(if path.contains('?') { '&' } else { '?' });
                path.push_str("token=");
                path.push_str(credential);
            }
        }
        let opened = Socket::try_connect(&self.cluster.gateways[0].ws(&path), &headers).await;
        let mut socket = match opened {
            Ok(socket) => socket,
            Err(refusal) => return letter(refusal.status),
        };
        // Where a refusal comes after the 101 the first frame tells.
        let first = match dialect {
            "native" | "cloud_agents" => socket.next().await,
            _ => return '+',
        };
        let Frame::Json(first) = first else { panic!("{path}: {first:?}") };
        match (dialect, first["type"].as_str()) {
            ("native", Some("welcome")) => '+',
            ("native", Some("error")) => match socket.closed().await.0 {
                4001 => '1',
                4003 => '3',
                code => panic!("{path}: {code}"),
            },
            ("cloud_agents", Some("auth")) if first["data"]["success"] == true => '+',
            ("cloud_agents", Some("auth")) => 'o',
            _ => panic!("{path}: {first}"),
        }
    }
}

/// The method and the path of a request for a door.
fn request(door: &str) -> (&str, String) {
    let (method, path) = door.split_once(' ').unwrap();
    let parts = path.split('/').map(|part| match part {
        "{channel}" | "{stream}" => "tasks",
        "{file}" => "task_update.json",
        part if part.starts_with('{') => "x",
        part => part,
    });
    let path = parts.collect::<Vec<_>>().join("/");
    let method = match method {
        "ANY" if path == "/test/deploy" => "POST",
        // None of those that have a door of their own.
        "ANY" => "PUT",
        method => method,
    };
    (method, path)
}

fn bearer(credential: &str) -> (String, String) {
    ("Authorization".to_owned(), format!("Bearer {credential}"))
}

fn letter(status: u16) -> char {
    match status {
        401 => '1',
        403 => '3',
        404 => '4',
        429 | 500.. => panic!("{status}"),
        _ => '+',
    }
}

/// What each standing shows.
fn credentials() -> Vec<Option<String>> {
    let token = |claims| Some(token_signed(JWT_SECRET, claims));
    let reader = || json!({"sub": "ann", "channels": ["*"], "publish": []});
    let mut all = vec![
        None,
        Some("wrong".to_owned()),
        token(json!({"sub": "ann", "exp": 1000})),
        token(json!({"sub": "ann", "channels": [], "publish": []})),
        token(reader()),
        token(json!({"sub": "ann", "channels": [], "publish": ["*"]})),
        token(json!({"sub": "ann", "role": "admin"})),
        Some(token_signed(PREVIOUS_SECRET, reader())),
        Some(API_KEY.to_owned()),
    ];
    all.extend(SEED_KEYS.map(|(_, key)| Some(key.to_owned())));
    assert_eq!(all.len(), STANDINGS.len());
    all
}

/// Holds the answers of a server to the rows; every one that differs is told.
async fn hold(number: usize) {
    let mode = &Mode::start(number).await;
    let served = api::doors(&mode.config).iter().map(ToString::to_string).collect::<BTreeSet<_>>();
    let rows = HTTP.iter().map(|(door, ..)| (*door).to_owned()).collect::<BTreeSet<_>>();
    assert_eq!(served, rows, "the route table and the rows of this file");
    let dialects = dialect::build(&mode.config);
    let dialects = dialects.all.iter().map(|dialect| dialect.name()).collect::<BTreeSet<_>>();
    assert_eq!(dialects, SOCKETS.iter().map(|(dialect, ..)| *dialect).collect());
    let http = HTTP.iter().flat_map(|(door, policy, body)| {
        cells(policy, mode).map(move |(standing, wanted)| async move {
            let credential = mode.credentials[standing].as_deref();
            // A path of this server that takes any word says 404 by itself, once it is open.
            let said = match mode.ask(door, body, credential).await {
                '4' if wanted == '+' => '+',
                said => said,
            };
            ((*door).to_owned(), standing, wanted, said)
        })
    });
    let sockets = SOCKETS.iter().flat_map(|(dialect, path, by, policy)| {
        cells(policy, mode).map(move |(standing, wanted)| async move {
            let credential = mode.credentials[standing].as_deref();
            let said = mode.knock(dialect, path, *by, credential).await;
            (format!("socket {path} of {dialect}"), standing, wanted, said)
        })
    });
    let mut wrong = String::new();
    let mut answers = stream::iter(http).buffer_unordered(AT_ONCE).boxed_local();
    let mut more = stream::iter(sockets).buffer_unordered(AT_ONCE).boxed_local();
    while let Some((door, standing, wanted, said)) = match answers.next().await {
        Some(answer) => Some(answer),
        None => more.next().await,
    } {
        if said != wanted {
            let standing = STANDINGS[standing];
            writeln!(wrong, "{door}, {standing}: {said} instead of {wanted}").unwrap();
        }
    }
    assert!(wrong.is_empty(), "{}:\n{wrong}", MODES[mode.number]);
}

/// The standings of a row, and what each shall hear.
fn cells<'a>(policy: &Policy, mode: &'a Mode) -> impl Iterator<Item = (usize, char)> + use<'a> {
    let row = policy[mode.number].chars().filter(|letter| *letter != ' ');
    let row: Vec<(usize, char)> = row.enumerate().collect();
    assert_eq!(row.len(), STANDINGS.len());
    row.into_iter().filter(|(_, letter)| *letter != '.')
}

#[tokio::test]
async fn every_door_lets_in_whom_it_should_in_development() {
    hold(0).await;
}

#[tokio::test]
async fn every_door_lets_in_whom_it_should_in_production() {
    hold(1).await;
}

#[tokio::test]
async fn doors_of_seeds_are_closed_in_production_until_their_keys_are_set() {
    hold(2).await;
}

#[tokio::test]
async fn no_door_waits_for_a_body_before_it_knows_whose_it_is() {
    let mode = Mode::start(1).await;
    let address = mode.cluster.gateways[0].http("").trim_start_matches("http://").to_owned();
    let closed = HTTP.iter().filter(|(_, policy, _)| policy[1].starts_with('1'));
    for (door, ..) in closed.filter(|(door, ..)| !door.starts_with("GET")) {
        let (method, path) = request(door);
        let mut stream = TcpStream::connect(&address).await.unwrap();
        let head =
            format!("{method} {path} HTTP/1.1\r\nHost: x\r\nContent-Length: 4194304\r\n\r\n");
        stream.write_all(head.as_bytes()).await.unwrap();
        let mut said = [0; 12];
        let read = timeout(PATIENCE, stream.read_exact(&mut said)).await;
        read.unwrap_or_else(|_| panic!("{door}: no answer without the body")).unwrap();
        assert_eq!(&said, b"HTTP/1.1 401", "{door}");
    }
}
