//! What requests about tasks pass on their way in, and how they are recorded.

use std::{net::IpAddr, sync::Arc, time::Duration};

use auth::{Authenticator, Identity};
use axum::extract::FromRef;
use domain::{entry::Fields, event::Rejection, source::Stream};
use http::StatusCode;
use runtime::config::Config;
use store::Store;
use tokio::time::Instant;

use super::{access, problem::Problem};
use crate::{
    ingest::{
        publish_limits::{EventSender, PublishLimits},
        publisher::{EventPublisher, PublishOutcome},
    },
    node::services::Services,
};

/// How long the outcome is waited for.
const DEADLINE: Duration = Duration::from_secs(5);

/// The parts of a node that requests about tasks use.
#[derive(Clone)]
pub struct TaskDoor {
    pub(super) config: Arc<Config>,
    pub(super) auth: Arc<Authenticator>,
    pub(super) store: Arc<dyn Store>,
    limits: Arc<PublishLimits>,
    publisher: Arc<EventPublisher>,
}

impl FromRef<Services> for TaskDoor {
    fn from_ref(services: &Services) -> Self {
        Self {
            config: Arc::from_ref(services),
            auth: Arc::from_ref(services),
            store: Arc::from_ref(services),
            limits: Arc::from_ref(services),
            publisher: Arc::from_ref(services),
        }
    }
}

/// Channels with the positions that something got there; none when that is not known yet.
type Positions = Option<Vec<(String, String)>>;

impl TaskDoor {
    /// Checks an entry as its owner will.
    pub(super) fn check(fields: &Fields) -> Result<(), Rejection> {
        EventPublisher::check(Stream::Tasks, fields)
    }

    /// Lets in who may publish about a task, and not too fast.
    pub(super) fn admit(
        &self,
        identity: &Identity,
        address: Option<IpAddr>,
        id: &str,
    ) -> Result<(), Problem> {
        access::publisher(&self.config, identity, Stream::Tasks, Some(id))?;
        self.limits.take(EventSender::of(identity, address), 1).map_err(access::too_fast)
    }

    /// Records an entry: where it went, or why it was refused.
    pub(super) async fn record(
        &self,
        fields: Fields,
    ) -> Result<Result<Positions, Rejection>, Problem> {
        if let Err(rejection) = Self::check(&fields) {
            return Ok(Err(rejection));
        }
        let entries = vec![(Stream::Tasks, fields)];
        let outcomes = self.publisher.publish("tasks", entries, Instant::now() + DEADLINE).await;
        match outcomes.into_iter().next() {
            Some(PublishOutcome::Published(positions)) => Ok(Ok(Some(positions))),
            Some(PublishOutcome::Accepted) => Ok(Ok(None)),
            Some(PublishOutcome::Rejected(rejection)) => Ok(Err(rejection)),
            Some(PublishOutcome::Unknown(_)) => {
                let detail = "the outcome is not known: repeat with the same event_id";
                Err(Problem::new(StatusCode::GATEWAY_TIMEOUT, detail))
            }
            Some(PublishOutcome::Unavailable(_)) | None => {
                let detail = "the broker does not answer: nothing was taken in";
                Err(Problem::new(StatusCode::SERVICE_UNAVAILABLE, detail).retry_after(1))
            }
        }
    }
}

/// Who asks, by the name that a record may hold.
pub(super) fn asker(identity: &Identity) -> Option<&str> {
    identity.user.as_deref().or(identity.api_key())
}

/// The answer to what fits no state of its task.
pub(super) fn rejected(rejection: &Rejection) -> Problem {
    let status =
        if rejection.is_conflict() { StatusCode::CONFLICT } else { StatusCode::BAD_REQUEST };
    let problem = serde_json::json!([{ "path": rejection.path, "message": rejection.message }]);
    Problem::new(status, rejection.to_string()).with("problems", problem)
}
