//! What the process says of itself: logs and the registry of its metrics.

use prometheus::Registry;
use tracing_subscriber::{EnvFilter, fmt, layer::SubscriberExt as _, util::SubscriberInitExt as _};

use crate::config::{Config, SettingProblem};

/// Sends logs to standard error, as text or JSON, from the level of `LOG_LEVEL` on.
///
/// # Errors
/// [`SettingProblem`] when the level is none.
pub fn start_logging(config: &Config) -> Result<(), SettingProblem> {
    let filter = EnvFilter::try_new(&config.log_level)
        .map_err(|error| SettingProblem::new("log_level", error.to_string()))?;
    let registry = tracing_subscriber::registry().with(filter);
    let started = if config.log_json {
        let layer = fmt::layer().json().flatten_event(true).with_writer(std::io::stderr);
        registry.with(layer).try_init()
    } else {
        let colours = std::io::IsTerminal::is_terminal(&std::io::stderr());
        let layer = fmt::layer().with_ansi(colours).with_target(false).with_writer(std::io::stderr);
        registry.with(layer).try_init()
    };
    started.map_err(|error| SettingProblem::new("log_level", error.to_string()))
}

/// The buckets of every latency histogram, in seconds: from half a millisecond on, because that is
/// where a fan-out lives.
pub const LATENCY_BUCKETS_SECONDS: [f64; 13] =
    [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0];

/// A registry with what every process says of itself.
///
/// # Errors
/// When a metric cannot be registered: a mistake in the program.
pub fn registry() -> prometheus::Result<Registry> {
    let registry = Registry::new();
    let pid = i32::try_from(std::process::id()).unwrap_or(i32::MAX);
    registry.register(Box::new(prometheus::process_collector::ProcessCollector::new(pid, "")))?;
    let build = prometheus::GaugeVec::new(
        prometheus::Opts::new("fanfare_build_info", "Version of the executable."),
        &["version"],
    )?;
    build.with_label_values(&[env!("CARGO_PKG_VERSION")]).set(1.0);
    registry.register(Box::new(build))?;
    Ok(registry)
}

/// All metrics in the text format of Prometheus.
pub fn exposition(registry: &Registry) -> String {
    prometheus::TextEncoder::new().encode_to_string(&registry.gather()).unwrap_or_default()
}
