//! Entries and publications to send.

use std::sync::Arc;

use domain::{
    channel::Channel,
    entry::Fields,
    event::{Event, EventKind},
    position::Epoch,
    publication::{Publication, Recorded},
};

pub(crate) fn channel(name: &str) -> Channel {
    Channel::parse(name).unwrap()
}

/// An entry whose `data` is the text.
pub(crate) fn fields(text: &str) -> Fields {
    let mut fields = Fields::default();
    fields.push("type", "deployment_update");
    fields.push("id", "d1");
    fields.push("data", text);
    fields
}

/// The publication of that offset, of the channel's own source.
pub(crate) fn publication(channel: &Channel, offset: u64) -> Publication {
    sized(channel, offset, 20)
}

/// The same with so many bytes of data.
pub(crate) fn sized(channel: &Channel, offset: u64, bytes: usize) -> Publication {
    let data = format!(r#"{{"n":{offset},"filler":"{}"}}"#, "x".repeat(bytes));
    let event = Event::new(EventKind::DeploymentUpdate, Some("d1"), &data);
    let recorded = Recorded { event, seq: offset, entry: format!("{offset}-0"), recorded: 9 };
    Publication {
        channel: channel.clone(),
        epoch: Epoch(7),
        source: channel.home(),
        offset,
        payload: recorded.to_payload(),
        recorded: Arc::new(recorded),
    }
}

/// Publications of those offsets.
pub(crate) fn publications(
    channel: &Channel,
    offsets: impl IntoIterator<Item = u64>,
) -> Vec<Publication> {
    offsets.into_iter().map(|offset| publication(channel, offset)).collect()
}
