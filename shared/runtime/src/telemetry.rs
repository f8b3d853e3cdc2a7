//! What the process says of itself: logs and the registry of its metrics.

use domain::node::NodeId;
use prometheus::Registry;
use tracing::{Event, Subscriber};
use tracing_subscriber::{
    EnvFilter,
    fmt::{
        self, FmtContext, FormatEvent, FormatFields,
        format::{Format, Json, Writer},
        time::{FormatTime, SystemTime},
    },
    layer::SubscriberExt as _,
    registry::LookupSpan,
    util::SubscriberInitExt as _,
};

use crate::config::{Config, SettingProblem};

/// Sends logs to standard error, as text or JSON, from the level of `LOG_LEVEL` on; every line names
/// the node.
///
/// # Errors
/// [`SettingProblem`] when the level is none.
pub fn start_logging(config: &Config, node: &NodeId) -> Result<(), SettingProblem> {
    let filter = EnvFilter::try_new(&config.log_level)
        .map_err(|error| SettingProblem::new("log_level", error.to_string()))?;
    let registry = tracing_subscriber::registry().with(filter);
    let started = if config.log_json {
        let node = serde_json::Value::from(&*node.0).to_string();
        let named = |inner| NamedLine { inner, node };
        let layer = fmt::layer().json().flatten_event(true).map_event_format(named);
        let layer = layer.with_writer(std::io::stderr);
        registry.with(layer).try_init()
    } else {
        let colours = std::io::IsTerminal::is_terminal(&std::io::stderr());
        let layer =
            fmt::layer().with_ansi(colours).with_target(false).with_timer(NamedTime(node.clone()));
        let layer = layer.with_writer(std::io::stderr);
        registry.with(layer).try_init()
    };
    started.map_err(|error| SettingProblem::new("log_level", error.to_string()))
}

/// Writes the time and the name of the node: what a line of text begins with.
struct NamedTime(NodeId);

impl FormatTime for NamedTime {
    fn format_time(&self, writer: &mut Writer<'_>) -> std::fmt::Result {
        SystemTime.format_time(writer)?;
        write!(writer, " {}", self.0)
    }
}

/// Writes a line of JSON whose first member is the name of the node.
struct NamedLine {
    inner: Format<Json>,
    /// As JSON.
    node: String,
}

impl<S, N> FormatEvent<S, N> for NamedLine
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(
        &self,
        context: &FmtContext<'_, S, N>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> std::fmt::Result {
        let mut line = String::new();
        self.inner.format_event(context, Writer::new(&mut line), event)?;
        let rest = line.strip_prefix('{').unwrap_or(&line);
        write!(writer, r#"{{"node":{},{rest}"#, self.node)
    }
}

/// The buckets of every latency histogram, in seconds: from half a millisecond on, because that is
/// where a fan-out lives.
pub const LATENCY_BUCKETS_SECONDS: [f64; 13] =
    [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0];

/// A registry with what every process says of itself: its build, its name and its role.
///
/// # Errors
/// When a metric cannot be registered: a mistake in the program.
pub fn registry(node: &NodeId, role: &str) -> prometheus::Result<Registry> {
    let registry = Registry::new();
    let pid = i32::try_from(std::process::id()).unwrap_or(i32::MAX);
    registry.register(Box::new(prometheus::process_collector::ProcessCollector::new(pid, "")))?;
    let build = prometheus::GaugeVec::new(
        prometheus::Opts::new("fanfare_build_info", "Version of the executable."),
        &["version"],
    )?;
    build.with_label_values(&[env!("CARGO_PKG_VERSION")]).set(1.0);
    registry.register(Box::new(build))?;
    let info = prometheus::GaugeVec::new(
        prometheus::Opts::new("fanfare_node_info", "Name, role and version of this process."),
        &["node", "role", "version"],
    )?;
    info.with_label_values(&[&*node.0, role, env!("CARGO_PKG_VERSION")]).set(1.0);
    registry.register(Box::new(info))?;
    Ok(registry)
}

/// All metrics in the text format of Prometheus.
pub fn exposition(registry: &Registry) -> String {
    prometheus::TextEncoder::new().encode_to_string(&registry.gather()).unwrap_or_default()
}
