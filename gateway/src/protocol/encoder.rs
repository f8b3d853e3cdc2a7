//! How frames are written: for each encoding, the frame of each thing that a client may be told.

use domain::{
    channel::{Channel, ChannelKind},
    event::State,
    position::Position,
    publication::Publication,
};
use websocket::Frame;

use super::channel_memo::ChannelMemo;

/// Writes the frames of one encoding. What a dialect has no word for it leaves out.
pub trait Encoder: Send + Sync {
    /// Returns the name of its dialect, the label in metrics.
    fn dialect(&self) -> &'static str;

    /// Returns the frame of a publication, for a listener that is at `position` after it.
    fn event(&self, publication: &Publication, position: &Position) -> Option<Frame>;

    /// Returns the frame that begins a subscription.
    fn subscribed(&self, _subscribed: &Subscribed<'_>) -> Option<Frame> {
        None
    }

    /// Returns the frame that begins a subscription to a channel without positions.
    fn subscribed_without_position(&self, _channel: &Channel) -> Option<Frame> {
        None
    }

    /// Returns the frame that ends a subscription.
    fn unsubscribed(&self, _channel: &Channel) -> Option<Frame> {
        None
    }

    /// Returns the frame that says that publications are missing for good, from the first to the
    /// last.
    fn gap(
        &self,
        _channel: &Channel,
        _from: &Position,
        _to: &Position,
        _cause: Cause,
    ) -> Option<Frame> {
        None
    }

    /// Returns the frame of a state at a position, after a gap.
    fn state(
        &self,
        _channel: &Channel,
        _position: &Position,
        _state: Option<&State>,
    ) -> Option<Frame> {
        None
    }

    /// Returns the frame of one of the last events before a subscription's position.
    fn tail(&self, _publication: &Publication, _position: &Position) -> Option<Frame> {
        None
    }

    /// Returns the frame that says that the node reads from the database, or no longer does.
    fn status(&self, _reason: Option<&str>) -> Option<Frame> {
        None
    }

    /// Returns the frame of a change of presence.
    fn presence(&self, _change: &PresenceChange<'_>) -> Option<Frame> {
        None
    }

    /// Returns the answer to a fresh token, which expires at this time, ms since 1970.
    fn token(&self, _expires_at: Option<i64>) -> Option<Frame> {
        None
    }

    /// Returns the frame that says what is wrong with something that the client asked for.
    fn error(&self, _error: &ErrorReport<'_>) -> Option<Frame> {
        None
    }

    /// Returns the frame right before a close: whether and when to come back.
    fn close_frame(&self, _code: u16, _reason: &str) -> Option<Frame> {
        None
    }

    /// Whether listeners are sent whole states, so that every publication needs one.
    fn needs_state(&self) -> bool {
        false
    }

    /// Returns an empty memory of a channel whose frames say more than one event does.
    fn memo(&self, _channel: &Channel) -> Option<Box<dyn ChannelMemo>> {
        None
    }
}

/// How a session's frames are written: one for each dialect, or two where it depends on who reads.
/// A publication is encoded at most once for each.
#[derive(Clone, Copy)]
pub struct Encoding {
    index: u8,
    encoder: &'static dyn Encoder,
}

impl Encoding {
    /// How many there are.
    pub const COUNT: usize = 10;

    /// Returns an encoding; `index` is its place in the table of all, below [`Self::COUNT`].
    pub const fn new(index: u8, encoder: &'static dyn Encoder) -> Self {
        assert!((index as usize) < Self::COUNT, "the table has so many rows");
        Self { index, encoder }
    }

    /// Returns its place in the table of all.
    pub const fn index(self) -> usize {
        self.index as usize
    }
}

impl std::ops::Deref for Encoding {
    type Target = dyn Encoder;

    fn deref(&self) -> &Self::Target {
        self.encoder
    }
}

impl PartialEq for Encoding {
    fn eq(&self, other: &Self) -> bool {
        self.index == other.index
    }
}

impl Eq for Encoding {}

impl std::fmt::Debug for Encoding {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} ({})", self.encoder.dialect(), self.index)
    }
}

/// The encodings of a channel's listeners, each once.
#[derive(Clone, Copy, Debug, Default)]
pub struct EncodingSet([Option<Encoding>; Encoding::COUNT]);

impl EncodingSet {
    /// Adds one.
    pub fn insert(&mut self, encoding: Encoding) {
        self.0[encoding.index()] = Some(encoding);
    }

    /// Keeps those that match.
    pub fn retain(&mut self, wanted: impl Fn(Encoding) -> bool) {
        for slot in &mut self.0 {
            *slot = slot.filter(|encoding| wanted(*encoding));
        }
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.iter().all(Option::is_none)
    }

    /// Returns all, in the order of the table.
    pub fn iter(&self) -> impl Iterator<Item = Encoding> + '_ {
        self.0.iter().flatten().copied()
    }
}

impl FromIterator<Encoding> for EncodingSet {
    fn from_iter<I: IntoIterator<Item = Encoding>>(encodings: I) -> Self {
        let mut set = Self::default();
        encodings.into_iter().for_each(|encoding| set.insert(encoding));
        set
    }
}

/// What a client is told when it begins to listen.
pub struct Subscribed<'a> {
    /// The channel.
    pub channel: &'a Channel,
    /// The position that is safe to resume from.
    pub position: &'a Position,
    /// The newest position.
    pub head: &'a Position,
    /// The state at the position, when the client did not come with one of its own.
    pub state: Option<&'a State>,
    /// How many of the last events follow, when they were asked for.
    pub tail: Option<usize>,
}

/// Why publications are missing for good (contract §4).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cause {
    /// Retention removed them.
    Retention,
    /// The position is of another database.
    Epoch,
    /// The position lies beyond the newest.
    Ahead,
    /// The listener wanted the newest state instead.
    Latest,
}

impl Cause {
    /// Returns the word on the wire.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Retention => "retention",
            Self::Epoch => "epoch",
            Self::Ahead => "ahead",
            Self::Latest => "latest",
        }
    }
}

/// How a user is there, on its way to those who may see it.
pub struct PresenceChange<'a> {
    /// The user; none when nobody vouched for the socket.
    pub user: Option<&'a str>,
    /// `online`, `away`, `busy`, `offline`.
    pub status: &'a str,
    /// When, ms since 1970.
    pub at: i64,
}

/// What is wrong with something that a client asked for.
#[derive(Clone, Copy, Debug)]
pub struct ErrorReport<'a> {
    /// The word that programs compare.
    pub code: &'a str,
    /// A sentence for people.
    pub message: &'a str,
    /// The field that is wrong, if it is one.
    pub path: Option<&'a str>,
    /// The channel that it is about, if it is about one.
    pub channel: Option<&'a str>,
}

/// Whether a message to people came by the way that it is delivered on. One that names a user in
/// passing is on that user's channel as well as on the channel of all, and must not come twice.
pub fn is_addressed(channel: &Channel, id: Option<&str>) -> bool {
    match channel.kind() {
        ChannelKind::User => id.is_some(),
        kind => kind == ChannelKind::Broadcast,
    }
}
