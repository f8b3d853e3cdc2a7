//! An update of a deployment, on its way into the record.

use std::time::Duration;

use domain::{entry::Fields, event::submission::field, source::Stream};
use tokio::time::Instant;

use crate::ingest::publisher::{EventPublisher, PublishOutcome};

/// How long an update may wait until it is recorded and published.
const UPDATE_DEADLINE: Duration = Duration::from_secs(5);

/// Returns the entry of an update, whose `status` is JSON.
pub(super) fn entry(deployment: &str, status: &str) -> Fields {
    let mut fields = Fields::default();
    fields.push(field::TYPE, "deployment_update");
    fields.push(field::ID, deployment);
    fields.push(field::DATA, status);
    fields
}

/// Publishes an update and waits for its outcome.
pub(super) async fn update(
    publisher: &EventPublisher,
    deployment: &str,
    status: &str,
) -> PublishOutcome {
    let fields = entry(deployment, status);
    if let Err(rejection) = EventPublisher::check(Stream::Deployments, &fields) {
        return PublishOutcome::Rejected(rejection);
    }
    let deadline = Instant::now() + UPDATE_DEADLINE;
    let outcomes =
        publisher.publish("deployments", vec![(Stream::Deployments, fields)], deadline).await;
    outcomes.into_iter().next().unwrap_or(PublishOutcome::Accepted)
}
