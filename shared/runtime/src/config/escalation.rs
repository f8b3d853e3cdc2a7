//! The health of agents and the escalation of alerts: bounds, and how webhooks are sent.

use std::{collections::HashMap, net::IpAddr, sync::Arc, time::Duration};

use ipnet::IpNet;

use super::{
    alert_routes::{self, AlertRoute},
    layers::{Layers, SettingProblem},
    role::Role,
};

/// How the health of agents is sampled and judged.
#[derive(Clone, Debug)]
pub struct HealthSettings {
    /// `HEALTH_SAMPLE_MS`
    pub sample: Duration,
    /// `HEALTH_SAMPLES`
    pub samples_max: usize,
    /// `HEALTH_VALUES`
    pub values_max: usize,
    /// `HEALTH_AGENTS`
    pub agents_max: usize,
    /// `HEALTH_CPU`, `HEALTH_MEMORY`, `HEALTH_DISK`: keys of a sample and their bounds, those that
    /// are set.
    pub bounds: Vec<(&'static str, f64)>,
}

impl HealthSettings {
    pub(super) fn build(layers: &mut Layers) -> Self {
        let mut bounds = Vec::new();
        for (key, name) in
            [("cpu", "health_cpu"), ("memory", "health_memory"), ("disk", "health_disk")]
        {
            bounds.extend(layers.share(name).map(|bound| (key, bound)));
        }
        Self {
            sample: layers.duration("health_sample_ms"),
            samples_max: layers.number("health_samples", 2..=1_000_000),
            values_max: layers.number("health_values", 1..=1000),
            agents_max: layers.number("health_agents", 1..=10_000_000),
            bounds,
        }
    }
}

/// Where alerts go, and how webhooks are sent.
#[derive(Clone, Debug)]
pub struct EscalationSettings {
    /// The routes of `ALERT_ROUTES`, in the order of the file.
    pub routes: Arc<[AlertRoute]>,
    /// `WEBHOOK_ALLOW`
    pub allowed: Vec<AllowedHost>,
    /// `WEBHOOK_TRIES`
    pub tries_max: u32,
    /// `WEBHOOK_BACKOFF_MS`
    pub backoff: Duration,
    /// `WEBHOOK_TIMEOUT_MS`
    pub timeout: Duration,
    /// `WEBHOOKS_AT_ONCE`
    pub at_once: usize,
}

/// Where webhooks may go although it is private or loopback.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AllowedHost {
    /// A host of this name, wherever the name leads.
    Name(String),
    /// Every address of this network.
    Network(IpNet),
}

impl EscalationSettings {
    pub(super) fn build(
        layers: &mut Layers,
        role: Role,
        variables: &HashMap<String, String>,
    ) -> Self {
        let routes = match layers.optional("alert_routes") {
            // Workers send; a gateway that shares their settings need not have their secrets.
            Some(path) if role != Role::Gateway => alert_routes::read(&path, variables)
                .unwrap_or_else(|reasons| {
                    let problems = reasons.into_iter();
                    let problems = problems.map(|why| SettingProblem::new("alert_routes", why));
                    layers.problems.extend(problems);
                    Vec::new()
                }),
            _ => Vec::new(),
        };
        Self {
            routes: routes.into(),
            allowed: allowed(layers),
            tries_max: layers.number("webhook_tries", 1..=1000),
            backoff: layers.duration("webhook_backoff_ms"),
            timeout: layers.duration("webhook_timeout_ms"),
            at_once: layers.number("webhooks_at_once", 1..=1000),
        }
    }
}

fn allowed(layers: &mut Layers) -> Vec<AllowedHost> {
    let mut allowed = Vec::new();
    for item in layers.list("webhook_allow") {
        let network = || item.parse::<IpAddr>().map(IpNet::from);
        if let Ok(network) = item.parse::<IpNet>().or_else(|_| network()) {
            allowed.push(AllowedHost::Network(network));
        } else if item.bytes().all(|b| b.is_ascii_alphanumeric() || b"-._".contains(&b)) {
            allowed.push(AllowedHost::Name(item.trim_end_matches('.').to_ascii_lowercase()));
        } else {
            let reason = format!("{item:?} is neither a host name nor a network like 10.0.0.0/8");
            layers.problems.push(SettingProblem::new("webhook_allow", reason));
        }
    }
    allowed
}
