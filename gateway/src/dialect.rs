//! The dialects: one wire protocol each, on one port.
//!
//! A dialect only translates: it recognizes and opens sockets, decodes messages to commands, and its
//! encoders write frames; all of that is pure. What it has beside — HTTP endpoints, background work —
//! is merged here. The order in which an upgrade request is offered to them stands here and nowhere
//! else: **who owns which request** (`protocols.md` §0.1, contract "Where the pages meet").

pub mod cloud_agents;
pub mod cockpit;
#[cfg(test)]
mod conformance;
pub mod containers;
pub mod deployments;
#[cfg(test)]
mod fuzz;
pub mod native;
#[cfg(test)]
mod test_support;
pub mod zerostate;

use std::sync::Arc;

use runtime::config::Config;

use self::containers::attendance::ContainerSessions;
use crate::{
    http::routes::Routes,
    node::services::{Dialects, Services},
    protocol::{Dialect, Encoding},
};

/// Every encoding, in the order of their numbers.
pub static ENCODINGS: [Encoding; Encoding::COUNT] = [
    deployments::encoder::ENCODING,
    cockpit::encoder::ENCODING,
    cloud_agents::encoder::ENCODING,
    zerostate::encoder::KNOWN,
    zerostate::encoder::ANONYMOUS,
    containers::encoder::UPPER,
    containers::encoder::LOWER,
    native::encoder::ENCODING,
    cockpit::dashboard::DASHBOARD,
    cloud_agents::encoder::ANONYMOUS,
];

/// The dialects of a node, built once.
pub struct Built {
    /// Those of upgrade requests, in the order in which they are asked.
    pub all: Dialects,
    containers: Arc<ContainerSessions>,
}

/// Builds all dialects.
///
/// Exact paths come first, agents before the clients with whom they share `/ws`; then what the query
/// of `/` says; last the containers, whose programs dial any path that nobody else owns.
pub fn build(config: &Config) -> Built {
    let containers = Arc::new(ContainerSessions::new(config));
    let mut all: Vec<Arc<dyn Dialect>> = vec![
        Arc::new(native::Native),
        Arc::new(cockpit::Cockpit),
        Arc::new(cloud_agents::CloudAgents),
        Arc::new(zerostate::ZeroState),
        Arc::new(deployments::Deployments),
        Arc::new(containers::Containers::new(Arc::clone(&containers))),
    ];
    // What is left out recognizes nothing: the next one decides.
    all.retain(|dialect| config.serves(dialect.name()));
    Built { all: all.into(), containers }
}

/// Returns the HTTP endpoints of the dialects that are served.
pub fn routes(config: &Config) -> Routes<Services> {
    let all = [
        ("cockpit", cockpit::routes::routes as fn() -> Routes<Services>),
        ("zerostate", zerostate::routes::routes),
        ("deployments", deployments::routes::routes),
    ];
    let served = all.into_iter().filter(|(dialect, _)| config.serves(dialect));
    served.fold(Routes::default(), |all, (_, routes)| all.merge(routes()))
}

/// Starts what dialects do in the background, until the process stops.
pub fn spawn_background(built: Built, services: &Services) {
    let context = &services.context;
    let (registry, metrics) = (Arc::clone(&context.registry), Arc::clone(&context.metrics));
    let node = context.node.clone();
    let containers = built.containers;
    context.life.spawn_until_stop(async move { containers.run(&node, &registry, &metrics).await });
    let statistics = zerostate::stats::Statistics::new(
        context.node.clone(),
        Arc::clone(&context.registry),
        Arc::clone(&context.metrics),
    );
    context.life.spawn_until_stop(async move { statistics.run().await });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_encoding_stands_at_its_number() {
        for (index, encoding) in ENCODINGS.iter().enumerate() {
            assert_eq!(encoding.index(), index, "{encoding:?}");
        }
    }

    #[test]
    fn every_encoding_is_one_of_the_dialect_that_it_names() {
        let built = build(&test_support::config());
        for encoding in &ENCODINGS {
            let speakers = built.all.iter().filter(|of| of.encodings().contains(encoding));
            let speakers: Vec<&str> = speakers.map(|dialect| dialect.name()).collect();
            assert_eq!(speakers, [encoding.dialect()]);
        }
    }
}
