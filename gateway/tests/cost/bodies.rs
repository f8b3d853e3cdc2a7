//! The bodies of HTTP requests, as a node in this process reads them.

use std::{rc::Rc, sync::Arc};

use auth::Authenticator;
use axum::{
    Router,
    body::{Body, to_bytes},
};
use broker::BrokerOptions;
use domain::node::NodeId;
use gateway::{
    api,
    start::{self, Foundation},
};
use http::{Method, Request};
use runtime::{health::Health, lifecycle::Lifecycle};
use services::Scratch;
use store::Options;
use tokio::runtime::Runtime;
use tower::ServiceExt as _;

use crate::subjects::{Subject, config};

/// The doors that take a body: the method, the path, and what stands around the input, so that nothing is
/// recorded: what is too dear is so before that.
const DOORS: [(&str, &str, &str); 9] = [
    ("POST", "/v1/publish", "[<input>,{\"stream\":\"none\"}]"),
    ("POST", "/v1/publish", "[{\"stream\":\"tasks\",\"type\":\"x\",\"id\":1,\"data\":<input>}]"),
    ("POST", "/v1/tokens", "<input>"),
    ("POST", "/v1/dead/1/redrive", "<input>"),
    ("POST", "/v1/dead/drop", "<input>"),
    ("POST", "/api/cockpit/tasks", "{\"title\":1,\"payload\":<input>}"),
    ("POST", "/api/cockpit/alerts", "{\"severity\":<input>,\"title\":1}"),
    ("POST", "/api/v1/ws/broadcast", "{\"type\":1,\"data\":<input>}"),
    ("POST", "/internal/deployments/d/update", "{\"state\":<input>}"),
];

/// A node that serves them.
struct Node {
    runtime: Runtime,
    router: Router,
    token: String,
    life: Lifecycle,
    _scratch: Scratch,
}

impl Node {
    fn start() -> Self {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let scratch = Scratch::new("cost");
        let url = format!("sqlite://{}", scratch.path().join("fanfare.db").display());
        let life = Lifecycle::new();
        let config = config();
        let auth = Authenticator::new(&config.access).unwrap();
        let claims = auth::Claims {
            sub: Some("ann".into()),
            exp: 4_000_000_000,
            role: Some("admin".into()),
            ..auth::Claims::default()
        };
        let token = auth.sign(&claims).unwrap();
        let router = runtime.block_on(async {
            let store = store::connect(&url, &Options::default()).await.unwrap();
            store.migrate().await.unwrap();
            let broker = broker::connect(None, BrokerOptions::default(), &life).await.unwrap();
            let prometheus = prometheus::Registry::new();
            let foundation = Foundation {
                node: NodeId("cost".into()),
                auth,
                config,
                broker,
                store: Arc::clone(&store),
                health: Health::new(&prometheus).unwrap(),
                prometheus,
                life: life.clone(),
            };
            api::router(start::start(foundation).await.unwrap())
        });
        Self { runtime, router, token, life, _scratch: scratch }
    }

    fn ask(&self, method: &str, path: &str, body: String) -> usize {
        let request = Request::builder()
            .method(Method::from_bytes(method.as_bytes()).unwrap())
            .uri(path)
            .header("authorization", format!("Bearer {}", self.token))
            .body(Body::from(body))
            .unwrap();
        self.runtime.block_on(async {
            let answer = self.router.clone().oneshot(request).await.unwrap();
            to_bytes(answer.into_body(), usize::MAX).await.unwrap().len()
        })
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        self.runtime.block_on(self.life.finish(std::time::Duration::from_secs(5)));
    }
}

/// Returns the doors of a node that is started for them.
pub(crate) fn all() -> Vec<Subject> {
    let node = Rc::new(Node::start());
    let doors = DOORS.iter().map(|(method, path, around)| {
        let node = Rc::clone(&node);
        Subject::new(format!("{method} {path}"), move |input| {
            node.ask(method, path, around.replace("<input>", input))
        })
    });
    doors.collect()
}
