//! Everything that reads what somebody else wrote, as something that an input can be given to.

use std::{collections::HashMap, sync::Arc};

use auth::{Authenticator, Identity};
use domain::{
    channel::Channel,
    entry::{EntryId, Fields},
    event::{
        Submission,
        bound::bound,
        fold::fold,
        submission::{Origin, field},
    },
    position::Position,
    source::Stream,
};
use gateway::{
    dialect::{self, ENCODINGS},
    protocol::{
        Command, Dialect, Encoding, Request, View, event_stream::last_event_id::LastEventId,
    },
};
use http::HeaderMap;
use runtime::config::{Config, Role};
use websocket::Message;

/// Something that reads an input; it returns the bytes of its answer.
pub(crate) struct Subject {
    pub(crate) name: String,
    pub(crate) run: Box<dyn Fn(&str) -> usize>,
}

impl Subject {
    pub(crate) fn new(name: impl Into<String>, run: impl Fn(&str) -> usize + 'static) -> Self {
        Self { name: name.into(), run: Box::new(run) }
    }
}

/// Returns the settings of development.
pub(crate) fn config() -> Config {
    Config::from_environment(Role::Whole, &HashMap::new()).unwrap().0
}

/// Returns all of them but the bodies of HTTP.
pub(crate) fn all() -> Vec<Subject> {
    let config = Arc::new(config());
    let auth = Arc::new(Authenticator::new(&config.access).unwrap());
    let built = dialect::build(&config);
    let mut all: Vec<Subject> = ENCODINGS
        .iter()
        .map(|encoding| {
            let speaks = built.all.iter().find(|dialect| dialect.name() == encoding.dialect());
            let dialect = Arc::clone(speaks.unwrap());
            let (config, identity) = (Arc::clone(&config), auth.anonymous().named("ann"));
            Subject::new(format!("{encoding:?}"), move |text| {
                decode(&*dialect, *encoding, &config, &identity, text)
            })
        })
        .collect();
    for (stream, kind) in types() {
        all.push(Subject::new(format!("event {kind}"), move |data| follow(stream, kind, data)));
    }
    all.push(Subject::new("credential", move |text| {
        auth.credential(text).err().map_or(0, |error| error.to_string().len())
    }));
    all.push(Subject::new("position", |text| {
        let channel = Channel::parse("user:u").unwrap();
        let text = unquoted(text);
        Position::parse(&channel, text).err().map_or(0, |error| error.to_string().len())
    }));
    all.push(Subject::new("channel", |text| {
        Channel::parse(unquoted(text)).err().map_or(0, |error| error.to_string().len())
    }));
    all.push(Subject::new("Last-Event-ID", |text| {
        let channels = ["tasks".to_owned(), "user:u".to_owned()];
        LastEventId::parse(unquoted(text), &channels).to_string().len()
    }));
    all.push(Subject::new("query", |text| {
        let request = Request::of("/", Some(&format!("token={text}&{text}")), &HeaderMap::new());
        request.credentials().count()
    }));
    all
}

fn unquoted(text: &str) -> &str {
    text.trim_matches('"')
}

fn decode(
    dialect: &dyn Dialect,
    encoding: Encoding,
    config: &Config,
    identity: &Identity,
    text: &str,
) -> usize {
    let view = View {
        connection: "n-1",
        identity,
        encoding,
        memo: Some("a-1"),
        production: false,
        now: 1_000,
        config,
    };
    let commands = dialect.decode(Message::Text(text), &view);
    commands
        .iter()
        .map(|command| if let Command::Send(frame) = command { frame.len() } else { 0 })
        .sum()
}

/// The types of events, each with its stream.
fn types() -> Vec<(Stream, &'static str)> {
    vec![
        (Stream::Deployments, "deployment_update"),
        (Stream::Deployments, "deployment_log"),
        (Stream::Tasks, "task_created"),
        (Stream::Tasks, "task_update"),
        (Stream::Tasks, "task_log"),
        (Stream::Tasks, "task_result"),
        (Stream::Agents, "agent_status"),
        (Stream::Agents, "agent_update"),
        (Stream::Agents, "git_status"),
        (Stream::Agents, "alert"),
        (Stream::Containers, "log"),
        (Stream::Containers, "complete"),
        (Stream::Messages, "notification"),
        (Stream::Messages, "chat_message"),
        (Stream::Topics, "anything"),
    ]
}

/// An entry as its owner reads it, and every state that it changes, twice.
fn follow(stream: Stream, kind: &str, data: &str) -> usize {
    const STATE_BYTES: usize = 256 << 10;
    let mut fields = Fields::default();
    fields.push(field::TYPE, kind);
    fields.push(field::ID, "x");
    fields.push(field::DATA, data);
    let entry = EntryId { ms: 5, number: 0 };
    let event = match Submission::parse(stream, entry, &fields, Origin::Outside, 5) {
        Ok(submission) => submission.event,
        Err(rejection) => return rejection.to_string().len(),
    };
    for entity in event.entities() {
        let mut state = fold(&entity, None, &event, 9);
        if let Some(state) = &mut state {
            bound(state, STATE_BYTES);
        }
        fold(&entity, state, &event, 10);
    }
    event.channels().len()
}
