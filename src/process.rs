//! A server process: connects to its services, starts its parts, drains on a signal.

use std::{
    process::ExitCode,
    sync::{Arc, OnceLock},
    time::Duration,
};

use anyhow::Context as _;
use auth::Authenticator;
use broker::{Broker, BrokerError, BrokerOptions};
use domain::node::NodeId;
use gateway::{
    api,
    http::{
        accept::{self, HttpLimits},
        address,
        tls::Tls,
    },
    node::{drain::drain, services::Services},
    start::{self, Foundation},
};
use runtime::{
    config::{Config, Role, SettingProblem},
    health::Health,
    lifecycle::{self, Lifecycle},
    telemetry,
    trace::{self, export::Exporter},
};
use store::{FileOwner, Store, StoreError};
use tokio::{net::TcpListener, time::Instant};
use worker::{Worker, metrics::WorkerMetrics};

use crate::{
    admin, banner, embedded_redis, exit, launch_error::LaunchError, listeners::Listeners,
    open_files,
};

/// How long tasks may take to end after the drain.
const FINISH_MAX: Duration = Duration::from_secs(10);

/// How long the last spans may take to be sent.
const FLUSH_MAX: Duration = Duration::from_secs(3);

/// Runs a role until a signal ends it.
pub(crate) async fn run(role: Role, config: Config) -> ExitCode {
    let node = node_id(&config);
    if let Err(problem) = telemetry::start_logging(&config, &node) {
        return exit::configuration(&[problem]);
    }
    let exporter = match trace::export::start(&config) {
        Ok(exporter) => exporter,
        Err(problem) => return exit::configuration(&[problem]),
    };
    let auth = match Authenticator::new(&config.access) {
        Ok(auth) => auth,
        Err(problem) => return exit::configuration(&[problem]),
    };
    let tls = match config.tls.as_ref().filter(|_| role != Role::Worker).map(Tls::load).transpose()
    {
        Ok(tls) => tls,
        Err(problem) => return exit::configuration(&[problem]),
    };
    for warning in config.warnings() {
        tracing::warn!("settings: {warning}");
    }
    let mut config = config;
    if let Some(files) = open_files::allow() {
        open_files::clamp(&mut config.limits, files);
    }
    let life = Lifecycle::new();
    let started = tokio::select! {
        started = start(role, &config, node, (auth, tls), &life) => started,
        signal = lifecycle::signal() => {
            tracing::info!(signal = signal.unwrap_or("signal"), "process: stopped before it was ready");
            life.finish(FINISH_MAX).await;
            return ExitCode::SUCCESS;
        }
    };
    let gateway = match started {
        Ok(gateway) => gateway,
        Err(LaunchError::Unreachable(what)) => {
            life.finish(FINISH_MAX).await;
            return exit::unavailable(&what);
        }
        Err(LaunchError::InUse(what)) => {
            life.finish(FINISH_MAX).await;
            return exit::in_use(&what);
        }
        Err(LaunchError::Misconfigured(problem)) => {
            life.finish(FINISH_MAX).await;
            return exit::configuration(&[problem]);
        }
        Err(LaunchError::Other(error)) => {
            life.finish(FINISH_MAX).await;
            return exit::failure(&error);
        }
    };
    wait_and_drain(gateway, exporter, &config, &life).await
}

async fn start(
    role: Role,
    config: &Config,
    node: NodeId,
    (auth, tls): (Authenticator, Option<Tls>),
    life: &Lifecycle,
) -> Result<Option<Services>, LaunchError> {
    let mut listeners = Listeners::bind(role, config).await?;
    let deadline = Instant::now() + config.startup_timeout;
    let store = connect_store(config, deadline, config.migrate).await?;
    let broker = connect_broker(config, life, deadline).await?;
    if role != Role::Worker {
        fetch_keys(&auth, config, deadline).await?;
    }
    let prometheus = telemetry::registry(&node, role_name(role)).context("metrics")?;
    let health = Health::new(&prometheus).context("metrics")?;
    if matches!(role, Role::Whole | Role::Worker) {
        worker::start(Worker {
            node: node.clone(),
            broker: Arc::clone(&broker),
            store: Arc::clone(&store),
            limits: config.record.clone(),
            escalation: config.escalation.clone(),
            work: config.work.clone(),
            life: life.clone(),
            health: Arc::clone(&health),
            metrics: Arc::new(WorkerMetrics::new(&prometheus).context("metrics")?),
        });
    }
    if role == Role::Worker {
        let admin = listeners.admin.map(|(listener, _)| listener);
        let router = admin::router(health, prometheus, life.clone());
        serve(admin.into_iter().collect(), None, router, config, life);
        let admin = listeners.addresses.admin.map(|address| address.to_string());
        tracing::info!(admin, "process: worker ready");
        return Ok(None);
    }
    let foundation = Foundation {
        node,
        config: config.clone(),
        auth,
        broker,
        store,
        prometheus,
        health,
        life: life.clone(),
    };
    let gateway = start::start(foundation).await.context("the gateway does not start")?;
    if let Some((listener, _)) = listeners.admin {
        serve(vec![listener], None, api::admin_router(gateway.clone()), config, life);
    }
    listeners.addresses.redis = embedded_redis::serve(role, &gateway, life).await;
    // Bound already: who connects waits, and whoever sees it ready finds what it said.
    banner::show(config, &listeners.addresses, &gateway.context.auth);
    if let Some(tls) = tls.clone() {
        life.spawn_until_stop(async move { tls.keep_current().await });
    }
    serve(listeners.public, tls, api::router(gateway.clone()), config, life);
    Ok(Some(gateway))
}

/// Returns a name that no other process has, not even an earlier one of the same host.
fn node_id(config: &Config) -> NodeId {
    NodeId(format!("{}-{:08x}", config.node_name, rand::random::<u32>()).into())
}

/// Returns the role as reports and metrics name it.
fn role_name(role: Role) -> &'static str {
    match role {
        Role::Gateway => "gateway",
        Role::Worker => "worker",
        Role::Whole | Role::Command => "all",
    }
}

fn serve(
    listeners: Vec<TcpListener>,
    tls: Option<Tls>,
    router: axum::Router,
    config: &Config,
    life: &Lifecycle,
) {
    let limits = HttpLimits {
        connections_max: config.limits.http_connections,
        connections_per_address_max: config.limits.address_http_connections,
        spared: address::spared(&config.limits.trusted_proxies),
        body_ms: u32::try_from(config.limits.http_body_timeout.as_millis()).unwrap_or(u32::MAX),
        ..HttpLimits::default()
    };
    life.spawn(accept::serve(listeners, tls, router, limits, life.clone()));
}

/// Takes an SQLite file for this process, until it ends.
fn own_file(config: &Config) -> Result<(), LaunchError> {
    static OWNER: OnceLock<Option<FileOwner>> = OnceLock::new();
    let url = runtime::config::masked_url(&config.database_url);
    match FileOwner::of(&config.database_url) {
        Ok(owner) => {
            let _already = OWNER.set(owner);
            Ok(())
        }
        Err(StoreError::Owned(owner)) => {
            let what = format!(
                "the database {url} belongs to {owner}, which still runs; one process owns a file, several share PostgreSQL"
            );
            Err(LaunchError::InUse(what))
        }
        Err(error) => {
            Err(LaunchError::Other(anyhow::anyhow!("the database {url} cannot be used: {error}")))
        }
    }
}

/// Connects to SQL, trying until the deadline, and brings the schema up or makes sure that it is.
pub(crate) async fn connect_store(
    config: &Config,
    deadline: Instant,
    migrate: bool,
) -> Result<Arc<dyn Store>, LaunchError> {
    let options = store::Options {
        batch_state_bytes: config.record.batch_state_bytes,
        task_timeout: config.work.timeout,
        ..store::Options::default()
    };
    own_file(config)?;
    let mut logged = false;
    loop {
        let error = match store::connect(&config.database_url, &options).await {
            Ok(store) if migrate => match store.migrate().await {
                Ok(()) => return Ok(store),
                Err(error) => error,
            },
            Ok(store) => match store.is_migrated().await {
                Ok(true) => return Ok(store),
                Ok(false) => return Err(LaunchError::Misconfigured(unmigrated())),
                Err(error) => error,
            },
            Err(error) => error,
        };
        let final_error = matches!(error, StoreError::Refused(_));
        // A standby is promoted by somebody who also says where the primary is.
        let standby = matches!(error, StoreError::Standby);
        if final_error || standby || Instant::now() >= deadline {
            let url = runtime::config::masked_url(&config.database_url);
            let what = format!("the database {url} cannot be used: {error}");
            return Err(if final_error {
                LaunchError::Other(anyhow::anyhow!(what))
            } else {
                LaunchError::Unreachable(what)
            });
        }
        if !std::mem::replace(&mut logged, true) {
            tracing::warn!(%error, "process: database not usable, tried again until the start times out");
        }
        tokio::time::sleep(Duration::from_millis(250)).await;
    }
}

/// What is wrong with a database that nobody migrated.
fn unmigrated() -> SettingProblem {
    let reason =
        "is off, and the database has an older schema or none: run `fanfare migrate` first";
    SettingProblem::new("migrate", reason)
}

/// Connects to the broker, trying until the deadline.
pub(crate) async fn connect_broker(
    config: &Config,
    life: &Lifecycle,
    deadline: Instant,
) -> Result<Arc<dyn Broker>, LaunchError> {
    let options = BrokerOptions {
        key_prefix: config.key_prefix.clone(),
        history_length: config.record.history_length,
        history_ttl: config.record.history_ttl,
        history_bytes: config.record.history_bytes,
        health_samples_max: config.health.samples_max,
        memory_health_agents: config.health.agents_max,
        ..BrokerOptions::default()
    };
    let mut logged = false;
    loop {
        let error = match ask_broker(config, life, &options).await {
            Ok(broker) => return Ok(broker),
            Err(error) => error,
        };
        if Instant::now() >= deadline {
            let url = config.redis_url.as_deref().map(runtime::config::masked_url);
            let what = format!("Redis {} cannot be reached: {error}", url.unwrap_or_default());
            return Err(LaunchError::Unreachable(what));
        }
        if !std::mem::replace(&mut logged, true) {
            tracing::warn!(%error, "process: Redis not reachable, tried again until the start times out");
        }
        tokio::time::sleep(Duration::from_millis(250)).await;
    }
}

async fn ask_broker(
    config: &Config,
    life: &Lifecycle,
    options: &BrokerOptions,
) -> Result<Arc<dyn Broker>, BrokerError> {
    let broker = broker::connect(config.redis_url.as_deref(), options.clone(), life).await?;
    for warning in broker.check().await? {
        tracing::warn!("redis: {warning}");
    }
    Ok(broker)
}

/// Fetches the keys of `JWKS_URL`, trying until the deadline: a gateway without them would refuse
/// all clients for good, while one that is not ready yet refuses none.
async fn fetch_keys(
    auth: &Authenticator,
    config: &Config,
    deadline: Instant,
) -> Result<(), LaunchError> {
    let mut logged = false;
    while let Err(error) = auth.fetch_keys().await {
        if Instant::now() >= deadline {
            let url = config.access.jwks_url.as_deref().map(runtime::config::masked_url);
            let what = format!("JWKS_URL {} cannot be used: {error}", url.unwrap_or_default());
            return Err(LaunchError::Unreachable(what));
        }
        if !std::mem::replace(&mut logged, true) {
            tracing::warn!(%error, "process: key set not fetched, tried again until the start times out");
        }
        tokio::time::sleep(Duration::from_millis(250)).await;
    }
    Ok(())
}

/// Waits for a signal, then lets clients go, then ends everything. A second signal ends at once.
async fn wait_and_drain(
    gateway: Option<Services>,
    exporter: Option<Exporter>,
    config: &Config,
    life: &Lifecycle,
) -> ExitCode {
    let signal = match lifecycle::signal().await {
        Ok(signal) => signal,
        Err(error) => return exit::failure(&error.into()),
    };
    tracing::info!(signal, "draining");
    life.drain();
    let drain = async {
        if let Some(gateway) = gateway {
            let _late = tokio::time::timeout(config.limits.drain, drain(&gateway)).await;
        }
        if !life.finish(FINISH_MAX).await {
            tracing::warn!("process: tasks did not end in time, the process ends without them");
        }
        if let Some(exporter) = exporter {
            // The spans of the drain itself are among them.
            exporter.finish(FLUSH_MAX).await;
        }
    };
    tokio::select! {
        () = drain => ExitCode::SUCCESS,
        _ = lifecycle::signal() => ExitCode::FAILURE,
    }
}
