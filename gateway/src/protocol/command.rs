//! What a session is asked to do: the result of decoding a message, or of opening a socket.

use broker::Registration;
use domain::{
    channel::Channel,
    entry::Fields,
    event::{
        State,
        entity::{Entity, EntityKind},
    },
    source::Stream,
};
use store::EntityFilter;
use websocket::Frame;

use super::{
    agent_offer::{AgentOffer, Receipt},
    encoder::Encoding,
};

/// One step of a session; steps are executed in order.
#[derive(Debug)]
pub enum Command {
    /// Sends a frame to this socket.
    Send(Frame),
    /// Listens to a channel.
    Subscribe(Subscribe),
    /// Listens no longer.
    Unsubscribe(Channel),
    /// Sends frames of what the store lists.
    List(ListRequest),
    /// Waits a moment until these channels are there to be listened to, so that who is greeted
    /// next can be subscribed without delay.
    Prepare(Vec<Channel>),
    /// Queues an event, to be recorded in its turn; nothing waits for it.
    Append(Append),
    /// Checks a new token for the open socket.
    Token(String),
    /// Announces to everybody how a user is there; remembered for the end of the last connection.
    Presence(String),
    /// Notes something about the socket, instead of what was noted before.
    Remember(Box<str>),
    /// Writes its frames in another way from now on.
    Encode(Encoding),
    /// Enters or leaves the registry of who is where.
    Register(Registration),
    /// Keeps what an agent says of its health, when the time for a sample has come.
    Health {
        /// The agent.
        agent: Box<str>,
        /// What it says.
        said: State,
    },
    /// Offers an agent to the queue of tasks.
    Offer(Box<AgentOffer>),
    /// Attends a name of the dialect ([`super::Attendance`]): goes on only if it is there, or there
    /// is room for one more.
    Attend(Box<str>),
    /// Reports a sign of life that only the dialect understands.
    Alive,
    /// Notes that the client said who it is: its silence is judged by
    /// [`super::Dialect::heartbeat_of_known`].
    Watch,
    /// Closes.
    Close {
        /// The close code.
        code: u16,
        /// The close reason.
        reason: &'static str,
    },
}

/// What a listener wants when it cannot keep up.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Mode {
    /// Every publication.
    #[default]
    All,
    /// The newest state; what lies between is left out.
    Latest,
}

/// A request to listen to a channel.
#[derive(Debug)]
pub struct Subscribe {
    /// The channel's name as the client wrote it.
    pub channel: String,
    /// Where to go on, as the client wrote it.
    pub since: Option<String>,
    /// What is wanted when the socket is slow.
    pub mode: Mode,
    /// So many of the last events first.
    pub tail: usize,
    /// Whether the dialect itself grants it: its page lets this socket read the channel.
    pub granted: bool,
}

impl Subscribe {
    /// Returns a request of the dialect's own: newest position, granted by its page.
    pub fn granted(channel: &Channel, mode: Mode) -> Self {
        Self { channel: channel.to_string(), since: None, mode, tail: 0, granted: true }
    }
}

/// A request for what is known of entities.
#[derive(Debug)]
pub struct ListRequest {
    /// Their kind.
    pub kind: EntityKind,
    /// Which of them.
    pub filter: EntityFilter,
    /// Writes the frames of their states, which are newest first.
    pub write: fn(&[State]) -> Vec<Frame>,
}

/// An event that a socket hands in.
#[derive(Debug)]
pub struct Append {
    /// The stream that it is appended to.
    pub stream: Stream,
    /// The fields of the entry.
    pub fields: Fields,
    /// What must hold when its turn comes; else it is left out.
    pub condition: Option<Condition>,
    /// What its author hears of it.
    pub receipt: Option<Receipt>,
}

/// What must hold for an event of a socket.
#[derive(Debug)]
pub enum Condition {
    /// The entity is known.
    Known(Entity),
    /// The socket may attend the name.
    Attends(Box<str>),
}
