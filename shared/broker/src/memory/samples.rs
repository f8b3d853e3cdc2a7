//! Samples of agents' health in memory, each for as long as its life.

use std::{
    collections::{HashMap, VecDeque},
    time::Duration,
};

use tokio::time::Instant;

/// Holds the newest samples of each agent.
#[derive(Debug)]
pub(super) struct MemorySamples {
    agents: HashMap<String, VecDeque<(Instant, String)>>,
    agents_max: usize,
    samples_max: usize,
    life: Duration,
}

impl MemorySamples {
    pub(super) fn new(agents_max: usize, samples_max: usize, life: Duration) -> Self {
        Self { agents: HashMap::new(), agents_max, samples_max, life }
    }

    /// The newest samples, oldest first.
    pub(super) fn newest(&self, agent: &str, limit: usize) -> Vec<String> {
        let Some(samples) = self.agents.get(agent) else { return Vec::new() };
        let young = samples.iter().filter(|(added, _)| added.elapsed() <= self.life);
        let mut newest: Vec<String> =
            young.rev().take(limit).map(|(_, sample)| sample.clone()).collect();
        newest.reverse();
        newest
    }

    /// Adds a sample behind the last one that the caller has seen; whether that was still the last.
    pub(super) fn add(&mut self, agent: &str, last: Option<&str>, sample: &str) -> bool {
        if self.newest(agent, 1).last().map(String::as_str) != last {
            return false;
        }
        if !self.agents.contains_key(agent) {
            self.make_room();
        }
        let samples = self.agents.entry(agent.to_owned()).or_default();
        samples.push_back((Instant::now(), sample.to_owned()));
        while samples.len() > self.samples_max
            || samples.front().is_some_and(|(added, _)| added.elapsed() > self.life)
        {
            samples.pop_front();
        }
        true
    }

    /// Forgets agents that are silent, and when that is not enough the one silent for longest.
    fn make_room(&mut self) {
        if self.agents.len() < self.agents_max {
            return;
        }
        let added = |samples: &VecDeque<(Instant, String)>| samples.back().map(|(added, _)| *added);
        let life = self.life;
        self.agents.retain(|_, samples| added(samples).is_some_and(|at| at.elapsed() <= life));
        if self.agents.len() >= self.agents_max {
            let oldest = self.agents.iter().min_by_key(|(_, samples)| added(samples));
            if let Some(agent) = oldest.map(|(agent, _)| agent.clone()) {
                self.agents.remove(&agent);
            }
        }
    }
}
