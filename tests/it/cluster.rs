//! A running Fanfare: real processes of our executable on free ports, with everything of their own.
//!
//! ```ignore
//! let cluster = Cluster::embedded().start().await;
//! let cluster = Cluster::of(2, 2).set("PING_MS", "200").start().await;
//! cluster.gateways[1].kill();
//! ```

mod command;
mod node;
mod token;

use serde_json::Value;
use services::{Postgres, Redis, RedisCluster, Scratch, unique};

use crate::client::Socket;
use crate::http::{Answer, Http};

pub(crate) use command::{Outcome, fanfare};
pub(crate) use node::Node;
pub(crate) use token::{JWT_SECRET, expired_token, token, token_signed, token_with};

/// What will be started; made by [`Cluster::embedded`] and [`Cluster::of`].
#[derive(Debug, Default)]
#[must_use]
pub(crate) struct Plan {
    embedded: bool,
    gateways: usize,
    workers: usize,
    redis: Option<Redis>,
    shards: Option<RedisCluster>,
    postgres: Option<Postgres>,
    disk: Option<&'static str>,
    settings: Vec<(String, String)>,
}

impl Plan {
    /// A setting of every node, in place of the harness's own or the default.
    pub(crate) fn set(mut self, name: &str, value: &str) -> Self {
        self.settings.push((name.to_owned(), value.to_owned()));
        self
    }

    /// With this Redis, which the test may stop, in place of the shared one.
    pub(crate) fn redis(mut self, redis: Redis) -> Self {
        self.redis = Some(redis);
        self
    }

    /// With this Redis Cluster, which the test may break, in place of a Redis.
    pub(crate) fn shards(mut self, shards: RedisCluster) -> Self {
        self.shards = Some(shards);
        self
    }

    /// With this PostgreSQL, which the test may stop, in place of the shared one.
    pub(crate) fn postgres(mut self, postgres: Postgres) -> Self {
        self.postgres = Some(postgres);
        self
    }

    /// On a disk of this size (`16m`), one for each node; see [`Node::disk`].
    pub(crate) fn disk(mut self, size: &'static str) -> Self {
        self.disk = Some(size);
        self
    }

    /// Starts everything and waits until each node says that it is ready.
    pub(crate) async fn start(self) -> Cluster {
        let mut cluster = Cluster {
            gateways: Vec::new(),
            workers: Vec::new(),
            embedded: self.embedded,
            prefix: unique("it"),
            settings: vec![("JWT_SECRET".to_owned(), JWT_SECRET.to_owned())],
            http: Http::new(),
            redis: self.redis,
            shards: self.shards,
            postgres: self.postgres,
            disk: self.disk,
            scratch: Scratch::new("it"),
        };
        if !self.embedded {
            let database = cluster.postgres().url("it");
            cluster.set("KEY_PREFIX", cluster.prefix.clone());
            let url = cluster.shards.as_ref().map(RedisCluster::url);
            cluster.set("REDIS_URL", url.unwrap_or_else(|| cluster.redis().url()));
            cluster.set("DATABASE_URL", database);
        }
        cluster.settings.extend(self.settings);
        let gateway = if self.embedded { "embedded" } else { "gateway" };
        cluster.workers =
            (1..=self.workers).map(|number| cluster.spawn("worker", number)).collect();
        cluster.gateways =
            (1..=self.gateways).map(|number| cluster.spawn(gateway, number)).collect();
        for node in cluster.gateways.iter().chain(&cluster.workers) {
            node.ready(&cluster.http).await;
        }
        cluster
    }
}

/// What runs. Dropped, it ends; when the test fails, each node's output is shown.
#[derive(Debug)]
pub(crate) struct Cluster {
    // In the order in which they end: nobody logs the loss of a service that a later field holds.
    pub(crate) gateways: Vec<Node>,
    pub(crate) workers: Vec<Node>,
    embedded: bool,
    pub(crate) prefix: String,
    settings: Vec<(String, String)>,
    pub(crate) http: Http,
    redis: Option<Redis>,
    shards: Option<RedisCluster>,
    postgres: Option<Postgres>,
    disk: Option<&'static str>,
    scratch: Scratch,
}

impl Cluster {
    /// Gateway and worker in one process, broker in memory, SQLite: what `cargo run` starts.
    pub(crate) fn embedded() -> Plan {
        Plan { embedded: true, gateways: 1, ..Plan::default() }
    }

    /// So many gateways and workers on Redis and PostgreSQL.
    pub(crate) fn of(gateways: usize, workers: usize) -> Plan {
        Plan { gateways, workers, ..Plan::default() }
    }

    /// The Redis that its nodes use.
    pub(crate) fn redis(&self) -> &Redis {
        self.redis.as_ref().unwrap_or_else(|| Redis::shared())
    }

    /// The Redis Cluster that its nodes use.
    pub(crate) fn shards(&self) -> &RedisCluster {
        self.try_shards().expect("it has a Redis Cluster")
    }

    /// The Redis Cluster that its nodes use, if it is one.
    pub(crate) fn try_shards(&self) -> Option<&RedisCluster> {
        self.shards.as_ref()
    }

    /// The PostgreSQL that its nodes use.
    pub(crate) fn postgres(&self) -> &Postgres {
        self.postgres.as_ref().unwrap_or_else(|| Postgres::shared())
    }

    /// Starts one more node of a role, without waiting for it.
    pub(crate) fn spawn(&self, role: &'static str, number: usize) -> Node {
        self.spawn_with(role, number, &[])
    }

    /// The same with settings of its own.
    pub(crate) fn spawn_with(
        &self,
        role: &'static str,
        number: usize,
        more: &[(&str, &str)],
    ) -> Node {
        let own = more.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        let settings: Vec<_> = self.settings.iter().cloned().chain(own).collect();
        Node::start(role, number, &settings, self.scratch.path(), self.disk)
    }

    /// A page of a channel's archive, by the first gateway.
    pub(crate) async fn archive(&self, channel: &str, query: &str) -> Value {
        let token = token("archivist", &["*"]);
        let header = [("Authorization".to_owned(), format!("Bearer {token}"))];
        let url = self.gateways[0].http(&format!("/v1/channels/{channel}/events?{query}"));
        let answer = self.http.send("GET", &url, &header, None).await;
        answer.unwrap_or_else(|error| panic!("GET {url}: {error}")).expect(200).json()
    }

    /// The whole archive of a channel whose events carry a number `n`: offset and number of each.
    pub(crate) async fn archive_numbers(&self, channel: &str) -> Vec<(u64, u64)> {
        let mut numbers = Vec::new();
        let mut query = "limit=500".to_owned();
        loop {
            let page = self.archive(channel, &query).await;
            for event in page["events"].as_array().unwrap() {
                let offset = event["position"].as_str().unwrap().rsplit_once('-').unwrap().1;
                numbers.push((offset.parse().unwrap(), event["data"]["n"].as_u64().unwrap()));
            }
            let Some(next) = page["next"].as_str() else { return numbers };
            query = format!("limit=500&since={next}");
        }
    }

    /// A GET at the first gateway.
    pub(crate) async fn get(&self, path: &str) -> Answer {
        self.http.get(&self.gateways[0].http(path)).await
    }

    /// A POST at the first gateway.
    pub(crate) async fn post(&self, path: &str, body: &Value) -> Answer {
        self.http.post(&self.gateways[0].http(path), body).await
    }

    /// `POST /v1/publish` at the first gateway; it must answer 200.
    pub(crate) async fn publish(&self, event: Value) -> Value {
        self.post("/v1/publish", &event).await.expect(200).json()
    }

    /// A socket of our own protocol at gateway `node`, past its `welcome`, allowed to read everything.
    pub(crate) async fn watcher(&self, node: usize) -> Socket {
        let path = format!("/v1/connect?token={}", token("watcher", &["*"]));
        let mut socket = Socket::connect(&self.gateways[node].ws(&path)).await;
        socket.wait_for(serde_json::json!({"type": "welcome", "...": ""})).await;
        socket
    }

    /// A bare `XADD` by `redis-cli`, as any program would publish; returns the entry's id.
    pub(crate) fn xadd(&self, stream: &str, fields: &[&str]) -> String {
        let key = format!("{}:{stream}", self.prefix);
        let mut arguments = vec!["XADD", &key, "*"];
        arguments.extend(fields);
        match &self.shards {
            Some(shards) => shards.cli(&arguments),
            None => self.redis().cli(&arguments),
        }
    }

    /// Publishes as a backend does: by [`Cluster::xadd`], or where there is no Redis by
    /// `POST /v1/publish` with the same fields.
    pub(crate) async fn append(&self, stream: &str, fields: &[&str]) {
        if !self.embedded {
            self.xadd(stream, fields);
            return;
        }
        let mut event = serde_json::json!({ "stream": stream });
        for pair in fields.chunks(2) {
            let value = match pair {
                ["data", data] => serde_json::from_str(data).expect("JSON in `data`"),
                ["lease_ms" | "at", number] => number.parse::<u64>().expect("a number").into(),
                [_, value] => Value::from(*value),
                _ => panic!("fields come in pairs: {fields:?}"),
            };
            event[pair[0]] = value;
        }
        self.publish(event).await;
    }

    /// The value of a setting of every node.
    pub(crate) fn setting(&self, name: &str) -> String {
        let given = self.settings.iter().rev().find(|(given, _)| given == name);
        given.map(|(_, value)| value.clone()).unwrap_or_default()
    }

    fn set(&mut self, name: &str, value: String) {
        self.settings.push((name.to_owned(), value));
    }
}
