//! What a gateway counts (contract §7). No ids in labels.

use std::{
    collections::BTreeMap,
    sync::atomic::{AtomicU64, Ordering},
};

use domain::activity::{ActivityTotals, add_counts};

use prometheus::{
    Gauge, Histogram, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, IntGauge,
    IntGaugeVec, Opts, Registry, core::Metric as _,
};
use runtime::telemetry::LATENCY_BUCKETS_SECONDS;

/// What was handed to sockets of one dialect. The label is looked up once, not per publication.
#[derive(Debug)]
struct SentCounters {
    frames: IntCounter,
    bytes: IntCounter,
    delivery_seconds: Histogram,
}

impl SentCounters {
    /// One for each encoding.
    fn register(
        registry: &Registry,
        delivery: &HistogramVec,
        dialects: &[&str],
    ) -> prometheus::Result<Vec<Self>> {
        let counters = |name: &str, help: &str| {
            let metric = IntCounterVec::new(Opts::new(name, help), &["dialect"])?;
            registry.register(Box::new(metric.clone()))?;
            prometheus::Result::Ok(metric)
        };
        let frames = counters("fanfare_gateway_frames_sent_total", "Frames handed to sockets.")?;
        let bytes = counters("fanfare_gateway_bytes_sent_total", "Bytes handed to sockets.")?;
        let of = |dialect: &&str| {
            let dialect = [*dialect];
            Self {
                frames: frames.with_label_values(&dialect),
                bytes: bytes.with_label_values(&dialect),
                delivery_seconds: delivery.with_label_values(&dialect),
            }
        };
        Ok(dialects.iter().map(of).collect())
    }
}

/// Returns how many observations fell into each bucket, and beyond the last bound.
fn bucket_counts(histogram: &Histogram) -> Vec<u64> {
    let metric = histogram.metric();
    let histogram = metric.get_histogram();
    let mut below = 0;
    let upto = histogram.get_bucket().iter().map(|bucket| bucket.cumulative_count());
    let counts = upto.chain([histogram.get_sample_count()]);
    counts.map(|upto| upto.saturating_sub(std::mem::replace(&mut below, upto))).collect()
}

/// Returns the histograms of the probe's way and of deliveries, registered.
fn histograms(registry: &Registry) -> prometheus::Result<(Histogram, HistogramVec)> {
    let buckets = LATENCY_BUCKETS_SECONDS.to_vec();
    let opts = HistogramOpts::new("fanfare_canary_seconds", "The probe's way.");
    let canary_seconds = Histogram::with_opts(opts.buckets(buckets.clone()))?;
    registry.register(Box::new(canary_seconds.clone()))?;
    let opts = HistogramOpts::new("fanfare_delivery_seconds", "Event time to socket write.");
    let delivery_seconds = HistogramVec::new(opts.buckets(buckets), &["dialect"])?;
    registry.register(Box::new(delivery_seconds.clone()))?;
    Ok((canary_seconds, delivery_seconds))
}

/// Registers the counter of messages that are not ours.
fn foreign_messages(registry: &Registry) -> prometheus::Result<IntCounter> {
    let metric = IntCounter::new(
        "fanfare_foreign_messages_total",
        "Messages of other installations on the same Redis, dropped.",
    )?;
    registry.register(Box::new(metric.clone()))?;
    Ok(metric)
}

/// The metrics of a gateway.
#[derive(Debug)]
pub struct GatewayMetrics {
    /// Open connections by dialect.
    pub connections: IntGaugeVec,
    /// Listeners.
    pub subscriptions: IntGauge,
    /// Channels with a place in the hub.
    pub channels: IntGauge,
    /// What the hub holds of them beside their positions, in bytes.
    pub cache_bytes: IntGauge,
    /// What was handed to sockets, by encoding.
    sent: Vec<SentCounters>,
    /// Sockets since the start, by encoding.
    pub opened: Vec<AtomicU64>,
    /// Frames of publications handed to sockets, by encoding.
    pub publications_sent: Vec<AtomicU64>,
    /// Messages of clients, by dialect and outcome.
    pub frames_received: IntCounterVec,
    /// Closed sockets, by dialect and code.
    pub closes: IntCounterVec,
    /// Catch-ups of listeners and fills of channels, by cause.
    pub catchups: IntCounterVec,
    /// Gaps that clients were told of, by cause.
    pub gaps: IntCounterVec,
    /// What was refused, by door and reason.
    pub refused: IntCounterVec,
    /// Answers over HTTP, by route and status.
    pub http_requests: IntCounterVec,
    /// Events that were published here, by door and outcome.
    pub publish: IntCounterVec,
    /// The age of the key set in seconds; 0 where there is none.
    pub jwks_age_seconds: Gauge,
    /// Messages of other installations on the same Redis: dropped.
    pub foreign: IntCounter,
    /// 1 while the subscriber is connected.
    pub broker_up: Gauge,
    /// 1 while the store answers.
    pub store_up: Gauge,
    /// The way of the probe through the broker.
    pub canary_seconds: Histogram,
}

impl GatewayMetrics {
    /// Registers the metrics; `dialects` has the label of each encoding, in the order of their numbers.
    ///
    /// # Errors
    /// When a name is taken: a mistake in the program.
    pub fn new(registry: &Registry, dialects: &[&str]) -> prometheus::Result<Self> {
        let counts = || dialects.iter().map(|_| AtomicU64::new(0)).collect();
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
        let (canary_seconds, delivery_seconds) = histograms(registry)?;
        let connections = IntGaugeVec::new(
            Opts::new("fanfare_gateway_connections", "Open connections."),
            &["dialect"],
        )?;
        registry.register(Box::new(connections.clone()))?;
        Ok(Self {
            sent: SentCounters::register(registry, &delivery_seconds, dialects)?,
            opened: counts(),
            publications_sent: counts(),
            connections,
            subscriptions: count("fanfare_gateway_subscriptions", "Listeners.")?,
            cache_bytes: count("fanfare_gateway_cache_bytes", "What the hub holds in memory.")?,
            channels: count("fanfare_gateway_channels", "Channels with listeners.")?,
            frames_received: counters(
                "fanfare_gateway_frames_received_total",
                "Messages of clients.",
                &["dialect", "outcome"],
            )?,
            closes: counters("fanfare_gateway_closes_total", "Ends.", &["dialect", "code"])?,
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
            refused: counters("fanfare_gateway_refusals_total", "Refusals.", &["door", "reason"])?,
            http_requests: counters(
                "fanfare_http_requests_total",
                "Answers over HTTP.",
                &["route", "status"],
            )?,
            publish: counters(
                "fanfare_publish_total",
                "Events that were published here.",
                &["door", "outcome"],
            )?,
            jwks_age_seconds: gauge("fanfare_jwks_age_seconds", "The age of the key set.")?,
            foreign: foreign_messages(registry)?,
            broker_up: gauge("fanfare_gateway_broker_up", "1 while subscribed.")?,
            store_up: gauge("fanfare_gateway_store_up", "1 while the database answers.")?,
            canary_seconds,
        })
    }

    /// Counts frames that were handed to sockets.
    pub fn sent(&self, encoding: usize, frames: u64, bytes: usize) {
        let sent = &self.sent[encoding];
        sent.frames.inc_by(frames);
        sent.bytes.inc_by(u64::try_from(bytes).unwrap_or(u64::MAX));
    }

    /// Counts frames of publications among those that were handed to sockets.
    pub fn published(&self, encoding: usize, frames: u64) {
        self.publications_sent[encoding].fetch_add(frames, Ordering::Relaxed);
    }

    /// Counts a publication's way from the event to the sockets of an encoding.
    pub fn delivered(&self, encoding: usize, at_ms: i64) {
        let elapsed_ms = jiff::Timestamp::now().as_millisecond().saturating_sub(at_ms).max(0);
        let seconds = std::time::Duration::from_millis(elapsed_ms.unsigned_abs()).as_secs_f64();
        self.sent[encoding].delivery_seconds.observe(seconds);
    }

    /// Returns what was counted since the start.
    pub fn activity(&self) -> ActivityTotals {
        let delivered = self.publications_sent.iter().map(|sent| sent.load(Ordering::Relaxed));
        let mut deliveries = Vec::new();
        for sent in &self.sent {
            add_counts(&mut deliveries, &bucket_counts(&sent.delivery_seconds));
        }
        ActivityTotals { recorded: None, delivered: Some(delivered.sum()), deliveries }
    }

    /// Returns how many connections of these dialects are open.
    pub fn open_connections<'a>(
        &self,
        dialects: impl Iterator<Item = &'a str>,
    ) -> BTreeMap<String, u64> {
        let open = |name: &str| self.connections.with_label_values(&[name]).get().max(0);
        dialects.map(|name| (name.to_owned(), open(name).unsigned_abs())).collect()
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
