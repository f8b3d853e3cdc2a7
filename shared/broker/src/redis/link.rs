//! The connection for commands, shared by everybody, and a small pool for pages.
//!
//! It reconnects when a caller asks, and drops what answers nothing (two deadlines in a row) or what
//! is no primary any more. The library's own manager is not used: it hides reconnects, gives up
//! after six tries, and keeps a connection that only times out.

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use deadpool_redis::{Manager, Pool, Runtime};
use redis::{
    AsyncConnectionConfig, Client, Cmd, ConnectionAddr, ConnectionInfo, FromRedisValue, Pipeline,
    RedisError, RedisResult, ServerErrorKind, Value, aio::MultiplexedConnection,
};
use runtime::lock::LockExt as _;
use tokio::time::Instant;

use super::server::{CONNECT_TIMEOUT, RedisServer};
use crate::{BrokerError, BrokerRefusal};

/// Attempts to connect come no faster than this; who asks in between gets the last error.
const RECONNECT_PAUSE: Duration = Duration::from_millis(100);

/// Connections for pages. They are large: on the shared connection every command would wait
/// behind them.
const PAGE_CONNECTIONS: usize = 4;

/// Numbers the connections of this process: no two have the same.
static CONNECTS: AtomicU64 = AtomicU64::new(0);

/// The connection for commands to one server.
pub(super) struct Link {
    server: RedisServer,
    command_timeout: Duration,
    current: Mutex<Option<Arc<Primary>>>,
    /// Held while connecting; when and why it failed last.
    connecting: tokio::sync::Mutex<Option<(Instant, BrokerError)>>,
    /// Whether the last request had no answer.
    silent: AtomicBool,
    /// Its replication id, as it was last told.
    replid: Mutex<Option<String>>,
}

/// A server that was a primary when we connected.
pub(super) struct Primary {
    number: u64,
    info: ConnectionInfo,
    connection: MultiplexedConnection,
    pages: Pool,
    /// When a command first missed its deadline, with none in time since.
    silent_since: Mutex<Option<Instant>>,
}

/// A request got no answer.
#[derive(Clone, Debug)]
pub(super) struct RequestLost {
    reason: String,
    /// Whether the server may have got the request.
    sent: bool,
    /// Why it was not sent.
    unsent: Option<BrokerError>,
}

impl RequestLost {
    /// What that means for a request that changes something.
    pub(super) fn written(self) -> BrokerError {
        if self.sent { BrokerError::Unknown(self.reason) } else { self.read() }
    }

    /// What that means for a request that changes nothing, or nothing when repeated.
    pub(super) fn read(self) -> BrokerError {
        self.unsent.unwrap_or(BrokerError::Unavailable(self.reason))
    }
}

impl Link {
    pub(super) fn new(server: RedisServer, command_timeout: Duration) -> Self {
        Self {
            server,
            command_timeout,
            current: Mutex::default(),
            connecting: tokio::sync::Mutex::default(),
            silent: AtomicBool::new(false),
            replid: Mutex::default(),
        }
    }

    /// Whether the last request had no answer: the next one will hardly have one.
    pub(super) fn is_silent(&self) -> bool {
        self.silent.load(Ordering::Relaxed)
    }

    /// The replication id, as it was last told; none when it never was.
    pub(super) fn replid(&self) -> Option<String> {
        self.replid.lock_unpoisoned().clone()
    }

    /// Notes what INFO says of the replication id.
    pub(super) fn note_replid(&self, info: &str) {
        // Some managed servers do not tell it; then the address has to do.
        let told = field(info, "master_replid").map(str::to_owned);
        let address = || {
            let current = self.current.lock_unpoisoned();
            current.as_ref().map(|primary| primary.address().to_string())
        };
        *self.replid.lock_unpoisoned() = told.or_else(address);
    }

    /// The present primary, connecting if need be.
    pub(super) async fn primary(&self) -> Result<Arc<Primary>, BrokerError> {
        if let Some(primary) = self.current.lock_unpoisoned().clone() {
            return Ok(primary);
        }
        let mut failed = self.connecting.lock().await;
        if let Some(primary) = self.current.lock_unpoisoned().clone() {
            return Ok(primary);
        }
        let recent = failed.as_ref().filter(|(at, _)| at.elapsed() < RECONNECT_PAUSE);
        if let Some((_, error)) = recent {
            return Err(error.clone());
        }
        // Boxed: the library's future is large.
        match Box::pin(self.connect()).await {
            Ok(primary) => {
                let primary = Arc::new(primary);
                *self.current.lock_unpoisoned() = Some(Arc::clone(&primary));
                *failed = None;
                Ok(primary)
            }
            Err(error) => {
                *failed = Some((Instant::now(), error.clone()));
                Err(error)
            }
        }
    }

    async fn connect(&self) -> Result<Primary, BrokerError> {
        let info = self.server.primary().await?;
        let connection = open(&info).await?;
        let config = connection_config().set_response_timeout(Some(self.command_timeout));
        let manager = Manager::new_with_config(info.clone(), config).map_err(unavailable)?;
        let pages = Pool::builder(manager)
            .max_size(PAGE_CONNECTIONS)
            .runtime(Runtime::Tokio1)
            .build()
            .map_err(unavailable)?;
        let number = CONNECTS.fetch_add(1, Ordering::Relaxed);
        Ok(Primary { number, info, connection, pages, silent_since: Mutex::default() })
    }

    /// Sends commands in one go; one answer for each.
    pub(super) async fn run(
        &self,
        pipeline: &Pipeline,
    ) -> Result<Vec<RedisResult<Value>>, RequestLost> {
        let answered = self.ask(pipeline).await;
        self.silent.store(answered.is_err(), Ordering::Relaxed);
        answered
    }

    async fn ask(&self, pipeline: &Pipeline) -> Result<Vec<RedisResult<Value>>, RequestLost> {
        let primary = self.primary().await.map_err(|error| RequestLost::unsent(&error))?;
        let begun = Instant::now();
        let mut connection = primary.connection.clone();
        let answers = pipeline.query_async::<Vec<RedisResult<Value>>>(&mut connection);
        match tokio::time::timeout(self.command_timeout, answers).await {
            Ok(Ok(answers)) => {
                *primary.silent_since.lock_unpoisoned() = None;
                if answers.iter().any(|answer| answer.as_ref().is_err_and(is_no_primary)) {
                    self.drop_primary(&primary, "it is no primary any more");
                }
                Ok(answers)
            }
            Ok(Err(error)) => {
                self.drop_primary(&primary, &error.to_string());
                Err(RequestLost { reason: error.to_string(), sent: true, unsent: None })
            }
            Err(_) => {
                let mut silent_since = primary.silent_since.lock_unpoisoned();
                if silent_since.is_some_and(|since| begun >= since) {
                    self.drop_primary(&primary, "two commands in a row had no answer");
                }
                silent_since.get_or_insert_with(Instant::now);
                Err(RequestLost {
                    reason: format!("no answer in {:?}", self.command_timeout),
                    sent: true,
                    unsent: None,
                })
            }
        }
    }

    /// Sends one command that changes nothing when repeated.
    pub(super) async fn query<T: FromRedisValue>(&self, command: Cmd) -> Result<T, BrokerError> {
        let mut pipeline = Pipeline::with_capacity(1);
        pipeline.add_command(command).ignore_errors();
        let mut answers = self.run(&pipeline).await.map_err(RequestLost::read)?;
        let answer = answers.pop().unwrap_or(Ok(Value::Nil)).map_err(|error| refusal(&error))?;
        redis::from_redis_value(answer).map_err(|error| BrokerError::Refused(error.to_string()))
    }

    /// Publishes a probe and has the server say that it is still a primary: a former one takes
    /// subscriptions and publications all the same, and nobody else's arrive there.
    pub(super) async fn probe(
        &self,
        publish: &str,
        name: &str,
        number: u64,
    ) -> Result<(), BrokerError> {
        let primary = self.primary().await?;
        let mut pipeline = Pipeline::with_capacity(2);
        pipeline.ignore_errors().cmd(publish).arg(name).arg(number).cmd("ROLE");
        let mut answers = self.run(&pipeline).await.map_err(RequestLost::read)?.into_iter();
        let published = answers.next().unwrap_or(Ok(Value::Nil));
        // Not every managed server lets us ask for the role.
        let role: Option<Value> = answers.next().and_then(Result::ok).and_then(first_of);
        let role = role.and_then(|role| redis::from_redis_value::<String>(role).ok());
        if role.is_some_and(|role| role != "master") {
            self.drop_primary(&primary, "it is no primary any more");
        }
        published.map(drop).map_err(|error| refusal(&error))
    }

    /// Asks for something large on a connection of the pool; one answer for each command.
    pub(super) async fn page(
        &self,
        pipeline: &Pipeline,
    ) -> Result<Vec<RedisResult<Value>>, RequestLost> {
        let lost = |reason: String| RequestLost { reason, sent: true, unsent: None };
        let primary = self.primary().await.map_err(|error| RequestLost::unsent(&error))?;
        let asking = async {
            let connection = primary.pages.get().await;
            let mut connection = connection.map_err(|error| lost(error.to_string()))?;
            let answers = pipeline.query_async::<Vec<RedisResult<Value>>>(&mut connection).await;
            let answers = answers.map_err(|error| lost(error.to_string()))?;
            if answers.iter().any(|answer| answer.as_ref().is_err_and(is_no_primary)) {
                self.drop_primary(&primary, "it is no primary any more");
            }
            Ok(answers)
        };
        let late = |_| lost("no page in time".to_owned());
        tokio::time::timeout(self.command_timeout, asking).await.map_err(late)?
    }

    fn drop_primary(&self, primary: &Arc<Primary>, reason: &str) {
        let mut current = self.current.lock_unpoisoned();
        if current.as_ref().is_some_and(|current| Arc::ptr_eq(current, primary)) {
            tracing::warn!(address = %primary.info.addr(), reason, "redis: connection given up, the next command opens another");
            *current = None;
        }
    }
}

impl Primary {
    /// The number of this connection: another one may lead to another server of the same name.
    pub(super) fn number(&self) -> u64 {
        self.number
    }

    /// How to connect to it.
    pub(super) fn info(&self) -> &ConnectionInfo {
        &self.info
    }

    /// Where it is.
    pub(super) fn address(&self) -> &ConnectionAddr {
        self.info.addr()
    }
}

impl RequestLost {
    fn unsent(error: &BrokerError) -> Self {
        Self { reason: error.to_string(), sent: false, unsent: Some(error.clone()) }
    }
}

/// Asks any server, primary or not, on a connection for this one time.
pub(super) async fn ask_any(
    info: &ConnectionInfo,
    pipeline: &Pipeline,
) -> Result<Vec<Value>, BrokerError> {
    let config = connection_config().set_response_timeout(None);
    let client = Client::open(info.clone()).map_err(unavailable)?;
    let asking = async {
        let mut connection = client.get_multiplexed_async_connection_with_config(&config).await?;
        pipeline.query_async(&mut connection).await
    };
    let late = || BrokerError::Unavailable(format!("{} does not answer", info.addr()));
    let answer = tokio::time::timeout(CONNECT_TIMEOUT, asking).await.map_err(|_| late())?;
    answer.map_err(|error: RedisError| unavailable(error))
}

/// Opens a connection of its own to a server and makes sure that it is a primary.
pub(super) async fn open(info: &ConnectionInfo) -> Result<MultiplexedConnection, BrokerError> {
    let config = connection_config().set_response_timeout(None);
    let client = Client::open(info.clone()).map_err(unavailable)?;
    let opening = async {
        let mut connection = client.get_multiplexed_async_connection_with_config(&config).await?;
        let mut info = redis::cmd("INFO");
        let replication: String = info.arg("replication").query_async(&mut connection).await?;
        Ok::<_, RedisError>((connection, replication))
    };
    let late = || BrokerError::Unavailable(format!("{} does not answer", info.addr()));
    let opened = tokio::time::timeout(CONNECT_TIMEOUT, opening).await.map_err(|_| late())?;
    let (connection, replication) = opened.map_err(unavailable)?;
    match field(&replication, "role") {
        // Some managed servers leave the role out; then there is nothing to know.
        Some("master") | None => Ok(connection),
        Some(role) => Err(BrokerError::Unwritable {
            cause: BrokerRefusal::ReadOnly,
            text: format!("{} is no primary but {role}", info.addr()),
        }),
    }
}

fn first_of(answer: Value) -> Option<Value> {
    match answer {
        Value::Array(parts) => parts.into_iter().next(),
        _ => None,
    }
}

/// The value of `name:value` in the answer to INFO.
pub(super) fn field<'a>(info: &'a str, name: &str) -> Option<&'a str> {
    info.lines().filter_map(|line| line.split_once(':')).find(|(n, _)| *n == name).map(|(_, v)| v)
}

/// What it means that the server answered with an error.
pub(super) fn refusal(error: &RedisError) -> BrokerError {
    let text = match (error.code(), error.detail()) {
        (Some(code), Some(detail)) => format!("{code} {detail}"),
        _ => error.to_string(),
    };
    let elsewhere = matches!(
        error.kind(),
        redis::ErrorKind::Server(
            ServerErrorKind::Moved | ServerErrorKind::Ask | ServerErrorKind::TryAgain
        )
    );
    let cause = match error.code() {
        Some("OOM") => BrokerRefusal::MemoryFull,
        Some("NOREPLICAS") => BrokerRefusal::TooFewReplicas,
        Some("READONLY") => BrokerRefusal::ReadOnly,
        Some("CLUSTERDOWN") => BrokerRefusal::ClusterDown,
        Some("MISCONF") => BrokerRefusal::CannotPersist,
        _ if elsewhere || is_no_primary(error) => return BrokerError::Unavailable(text),
        _ => return BrokerError::Refused(text),
    };
    BrokerError::Unwritable { cause, text }
}

/// A server that is read-only, still loading or cut off from its primary: look for another.
fn is_no_primary(error: &RedisError) -> bool {
    matches!(
        error.kind(),
        redis::ErrorKind::Server(
            ServerErrorKind::ReadOnly | ServerErrorKind::BusyLoading | ServerErrorKind::MasterDown
        )
    )
}

fn connection_config() -> AsyncConnectionConfig {
    AsyncConnectionConfig::new().set_connection_timeout(Some(CONNECT_TIMEOUT))
}

#[expect(clippy::needless_pass_by_value, reason = "for map_err")]
pub(super) fn unavailable(error: impl ToString) -> BrokerError {
    BrokerError::Unavailable(error.to_string())
}
