//! What an encoder remembers about a channel, because its frames say more than one event does.

use domain::{
    event::{Event, State, entity::Entity},
    publication::Publication,
};
use websocket::Frame;

/// The memory of one channel. It is kept with the channel and used under its lock.
pub trait ChannelMemo: Send + std::fmt::Debug {
    /// Returns the entity whose state has to be read before this event can be encoded whole.
    fn lacks(&self, event: &Event) -> Option<Entity>;

    /// Remembers what the database says of an entity.
    fn remember(&mut self, entity: &Entity, state: &State);

    /// Returns the frame of the channel's next publication, and remembers what that says.
    fn encode(&mut self, publication: &Publication) -> Option<Frame>;
}
