//! `fanfare demo`: a believable platform, played into a running server over `POST /v1/publish`.

mod scenarios;

use std::time::Duration;

use clap::Args;
use rand::seq::IndexedRandom as _;
use reqwest::{Method, StatusCode};
use runtime::config::Config;
use serde_json::Value;
use tokio::time::{Instant, MissedTickBehavior};

use self::scenarios::{Event, SCENARIOS, Scenario};
use super::{
    duration,
    failure::Failure,
    output,
    server_client::{self, ServerArguments, ServerClient},
};

const HELP: &str = "\
Examples:
  fanfare demo
  fanfare demo --rate 200 --for 10m

Exit codes:
  0   its time is over, or it was interrupted
  1   refused
  64  wrong usage
  69  no server answers";

/// How many scenarios run at the same time.
const SCENARIOS_AT_ONCE: usize = 12;

/// How many batches are sent a second at most.
const BATCHES_PER_SECOND: u32 = 20;

/// The highest rate: a batch is one request.
const RATE_MAX: u32 = 5_000;

/// How much, and how long.
#[derive(Debug, Args)]
#[command(after_help = HELP)]
pub(crate) struct Demo {
    /// Events per second
    #[arg(long, default_value_t = 8, value_parser = clap::value_parser!(u32).range(1..=i64::from(RATE_MAX)))]
    rate: u32,
    /// Ends after so long: 90s, 30m, 1h; without it, when it is interrupted
    #[arg(long = "for", value_name = "TIME", value_parser = duration::parse)]
    length: Option<Duration>,
    #[command(flatten)]
    server: ServerArguments,
}

impl Demo {
    /// Plays until its time is over or a signal comes.
    pub(crate) async fn run(self, config: &Config) -> Result<(), Failure> {
        let mut server = ServerClient::connect(config, &self.server).await?;
        output::chatter(&format!("playing {} events a second into {}", self.rate, server.name()));
        let playing = self.play(&mut server);
        tokio::select! {
            ended = playing => ended,
            _signal = runtime::lifecycle::signal() => Ok(()),
        }
    }

    async fn play(&self, server: &mut ServerClient) -> Result<(), Failure> {
        let end = self.length.map(|length| Instant::now() + length);
        let batches = self.rate.min(BATCHES_PER_SECOND);
        let mut ticks = tokio::time::interval(Duration::from_secs(1) / batches);
        // Who is slower than asked plays slower, and does not make up for it.
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut interleaving = Interleaving::default();
        let mut owed = 0.0;
        while end.is_none_or(|end| Instant::now() < end) {
            ticks.tick().await;
            owed += f64::from(self.rate) / f64::from(batches);
            let mut batch = Vec::new();
            while owed >= 1.0 {
                batch.push(interleaving.next());
                owed -= 1.0;
            }
            if !batch.is_empty() {
                publish(server, batch.into()).await?;
            }
        }
        output::chatter(&format!("{} plays were begun", interleaving.begun));
        Ok(())
    }
}

/// Publishes a batch, waiting when the server says that it is too much.
async fn publish(server: &mut ServerClient, batch: Value) -> Result<(), Failure> {
    loop {
        let path = ["v1", "publish"];
        let (status, answer) = server.send(Method::POST, &path, &[], Some(&batch)).await?;
        match status {
            status if status.is_success() => return Ok(()),
            StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE => {
                tokio::time::sleep(Duration::from_secs(1)).await;
            }
            // The token of a development server is good for an hour.
            StatusCode::UNAUTHORIZED if !server.has_given_token() => {
                let before = server.token().map(str::to_owned);
                server.refresh().await?;
                if server.token() == before.as_deref() {
                    return Err(server_client::refused(status, &answer));
                }
            }
            // The outcome is unknown: a demo goes on.
            StatusCode::GATEWAY_TIMEOUT => return Ok(()),
            status => return Err(server_client::refused(status, &answer)),
        }
    }
}

/// Interleaves the scenarios that are under way.
#[derive(Default)]
struct Interleaving {
    running: Vec<Scenario>,
    begun: u64,
}

impl Interleaving {
    /// Returns the next event of any scenario; one that is over makes room for another.
    fn next(&mut self) -> Event {
        loop {
            while self.running.len() < SCENARIOS_AT_ONCE {
                self.begun += 1;
                let scenario = SCENARIOS.choose(&mut rand::rng()).unwrap_or(&SCENARIOS[0]);
                self.running.push(scenario(self.begun));
            }
            let at = rand::random_range(0..self.running.len());
            if let Some(event) = self.running[at].next() {
                return event;
            }
            drop(self.running.swap_remove(at));
        }
    }
}

#[cfg(test)]
mod tests {
    use domain::{
        entry::{EntryId, Fields},
        event::{Submission, submission::Origin},
        source::Stream,
    };

    use super::*;

    #[test]
    fn whatever_is_played_would_be_accepted() {
        let mut interleaving = Interleaving::default();
        let mut seen = std::collections::BTreeSet::new();
        for _ in 0..2_000 {
            let event = interleaving.next();
            let stream: Stream = event["stream"].as_str().unwrap().parse().unwrap();
            let mut fields = Fields::default();
            for (name, value) in event.as_object().unwrap().iter().filter(|(n, _)| *n != "stream") {
                let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
                fields.push(name, text);
            }
            let taken = Submission::parse(stream, EntryId::ZERO, &fields, Origin::Outside, 0);
            assert!(taken.is_ok(), "{event}: {taken:?}");
            seen.insert(event["type"].as_str().unwrap().to_owned());
        }
        assert!(seen.len() >= 14, "{seen:?}");
    }
}
