//! Sending spans to a collector: OTLP over HTTP in protobuf.
//!
//! A thread of the library's own sends batches; it is asked for the rest and ended at shutdown. What
//! a collector that is away does not take is dropped by it, with a word in the log. Sampler, limits,
//! headers and resource come from the standard's own variables, which the library reads.

use std::time::Duration;

use opentelemetry::{KeyValue, trace::TracerProvider as _};
use opentelemetry_otlp::{Protocol, SpanExporter, WithExportConfig as _};
use opentelemetry_sdk::{Resource, trace::SdkTracerProvider};

use super::TRACER;
use crate::config::{Config, SettingProblem};

/// What sends spans; to be told when the process ends.
#[derive(Debug)]
pub struct Exporter(SdkTracerProvider);

/// Collects spans from now on, if the settings name an endpoint. To be called once, outside of the
/// asynchronous runtime: the client that sends blocks its thread.
///
/// # Errors
/// [`SettingProblem`] when the endpoint is not a URL.
pub fn start(config: &Config) -> Result<Option<Exporter>, SettingProblem> {
    let Some(endpoint) = &config.traces.endpoint else { return Ok(None) };
    let exporter = SpanExporter::builder()
        .with_http()
        .with_protocol(Protocol::HttpBinary)
        .with_endpoint(endpoint)
        .build()
        .map_err(|error| SettingProblem::new("otel_exporter_otlp_endpoint", error.to_string()))?;
    let resource = Resource::builder()
        .with_service_name(config.traces.service_name.clone())
        .with_attribute(KeyValue::new("service.version", env!("CARGO_PKG_VERSION")))
        .build();
    let provider =
        SdkTracerProvider::builder().with_batch_exporter(exporter).with_resource(resource).build();
    // A second one would send nothing: the first stays.
    let _first = TRACER.set(provider.tracer("fanfare"));
    Ok(Some(Exporter(provider)))
}

impl Exporter {
    /// Sends the spans that are left, for `within` at most.
    pub async fn finish(self, within: Duration) {
        let send = tokio::task::spawn_blocking(move || self.0.shutdown_with_timeout(within));
        if let Ok(Err(error)) = send.await {
            tracing::warn!(%error, "traces: last spans not sent, they are lost");
        }
    }
}
