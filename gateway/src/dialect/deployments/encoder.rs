//! What those who follow a deployment are told: always its whole state.

use domain::{
    channel::{Channel, ChannelKind},
    event::{State, deployment},
    position::Position,
    publication::Publication,
};
use serde_json::value::RawValue;
use websocket::Frame;

use crate::protocol::{Encoder, Encoding, Subscribed};

/// The encoding of deployments.
pub const ENCODING: Encoding = Encoding::new(0, &DeploymentsEncoder);

struct DeploymentsEncoder;

impl Encoder for DeploymentsEncoder {
    fn dialect(&self) -> &'static str {
        "deployments"
    }

    /// Its frames are whole states, which the channel folds (see [`Encoder::needs_state`]).
    fn event(&self, _publication: &Publication, _position: &Position) -> Option<Frame> {
        None
    }

    fn subscribed(&self, subscribed: &Subscribed<'_>) -> Option<Frame> {
        state(subscribed.channel, subscribed.state)
    }

    fn state(
        &self,
        channel: &Channel,
        _position: &Position,
        folded: Option<&State>,
    ) -> Option<Frame> {
        state(channel, folded)
    }

    fn needs_state(&self) -> bool {
        true
    }
}

/// Returns the whole state of a deployment; the initial one before anybody said anything about it.
fn state(channel: &Channel, state: Option<&State>) -> Option<Frame> {
    if channel.kind() != ChannelKind::Deployment {
        return None;
    }
    let json = if let Some(state) = state {
        serde_json::to_string(state)
    } else {
        let now = jiff::Timestamp::now().as_millisecond();
        serde_json::to_string(&deployment::initial(channel.id()?, now))
    };
    let data = RawValue::from_string(json.ok()?).ok()?;
    Some(Frame::text(&format!(r#"{{"type":"deployment_update","data":{data}}}"#)))
}
