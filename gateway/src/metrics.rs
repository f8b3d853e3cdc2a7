//! What a gateway counts (contract §7). No ids in labels.

use prometheus::{
    Gauge, Histogram, HistogramOpts, HistogramVec, IntCounterVec, IntGauge, IntGaugeVec, Opts,
    Registry,
};
use shared::telemetry::LATENCY_BUCKETS_SECONDS;

/// The metrics of a gateway.
#[derive(Debug)]
pub struct Metrics {
    /// Open connections by dialect.
    pub connections: IntGaugeVec,
    /// Listeners.
    pub subscriptions: IntGauge,
    /// Channels with a place in the hub.
    pub channels: IntGauge,
    /// Frames handed to sockets, by dialect.
    pub frames_sent: IntCounterVec,
    /// Bytes handed to sockets, by dialect.
    pub bytes_sent: IntCounterVec,
    /// Messages of clients, by dialect and outcome.
    pub frames_received: IntCounterVec,
    /// Closed sockets, by dialect and code.
    pub closes: IntCounterVec,
    /// Catch-ups of listeners and fills of channels, by cause.
    pub catchups: IntCounterVec,
    /// Gaps that clients were told of, by cause.
    pub gaps: IntCounterVec,
    /// 1 while the subscriber is connected.
    pub broker_up: Gauge,
    /// 1 while the store answers.
    pub store_up: Gauge,
    /// The way of the probe through the broker.
    pub canary_seconds: Histogram,
    /// Event time to socket write, by dialect.
    pub delivery_seconds: HistogramVec,
}

impl Metrics {
    /// Registers the metrics.
    ///
    /// # Errors
    /// When a name is taken: a mistake in the program.
    pub fn new(registry: &Registry) -> prometheus::Result<Self> {
        let counters = |name: &str, help: &str, labels: &[&str]| {
            let metric = IntCounterVec::new(Opts::new(name, help), labels)?;
            registry.register(Box::new(metric.clone()))?;
            prometheus::Result::Ok(metric)
        };
        let gauge = |name: &str, help: &str| {
            let metric = Gauge::new(name, help)?;
            registry.register(Box::new(metric.clone()))?;
            prometheus::Result::Ok(metric)
        };
        let count = |name: &str, help: &str| {
            let metric = IntGauge::new(name, help)?;
            registry.register(Box::new(metric.clone()))?;
            prometheus::Result::Ok(metric)
        };
        let buckets = LATENCY_BUCKETS_SECONDS.to_vec();
        let opts = HistogramOpts::new("fanfare_canary_seconds", "The probe's way.");
        let canary_seconds = Histogram::with_opts(opts.buckets(buckets.clone()))?;
        registry.register(Box::new(canary_seconds.clone()))?;
        let opts = HistogramOpts::new("fanfare_delivery_seconds", "Event time to socket write.");
        let delivery_seconds = HistogramVec::new(opts.buckets(buckets), &["dialect"])?;
        registry.register(Box::new(delivery_seconds.clone()))?;
        let connections = IntGaugeVec::new(
            Opts::new("fanfare_gateway_connections", "Open connections."),
            &["dialect"],
        )?;
        registry.register(Box::new(connections.clone()))?;
        Ok(Self {
            connections,
            subscriptions: count("fanfare_gateway_subscriptions", "Listeners.")?,
            channels: count("fanfare_gateway_channels", "Channels with listeners.")?,
            frames_sent: counters(
                "fanfare_gateway_frames_sent_total",
                "Frames handed to sockets.",
                &["dialect"],
            )?,
            bytes_sent: counters(
                "fanfare_gateway_bytes_sent_total",
                "Bytes handed to sockets.",
                &["dialect"],
            )?,
            frames_received: counters(
                "fanfare_gateway_frames_received_total",
                "Messages of clients.",
                &["dialect", "outcome"],
            )?,
            closes: counters(
                "fanfare_gateway_closes_total",
                "Closed sockets.",
                &["dialect", "code"],
            )?,
            catchups: counters(
                "fanfare_gateway_catchups_total",
                "Catch-ups of listeners and fills of channels.",
                &["cause"],
            )?,
            gaps: counters(
                "fanfare_gateway_gaps_total",
                "Gaps that clients were told of.",
                &["cause"],
            )?,
            broker_up: gauge("fanfare_gateway_broker_up", "1 while subscribed.")?,
            store_up: gauge("fanfare_gateway_store_up", "1 while the database answers.")?,
            canary_seconds,
            delivery_seconds,
        })
    }

    /// Counts a message of a client.
    pub fn received(&self, dialect: &str, outcome: &str) {
        self.frames_received.with_label_values(&[dialect, outcome]).inc();
    }

    /// Counts a closed socket. Codes that clients invent are one label.
    pub fn closed(&self, dialect: &str, code: u16) {
        let known = matches!(code, 1000..=1015 | 4001 | 4003 | 4008 | 4009);
        let code = if known { code.to_string() } else { "other".into() };
        self.closes.with_label_values(&[dialect, &code]).inc();
    }
}
