//! `POST /v1/erase`: a person's or an entity's data out of record, states, dead letters and broker.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use axum::{
    Json,
    extract::{FromRef, State},
};
use broker::{Broker, Topic};
use domain::{
    channel::{Channel, ChannelKind},
    control::Control,
    event::{entity::Entity, submission::field},
    source::Stream,
};
use http::StatusCode;
use serde_json::{Value, json};
use store::{DeadLetter, Store};
use tokio::time::Instant;

use super::{access::Operator, body::Body, dead::stream_of, problem::Problem};
use crate::node::{audit::Audit, services::Services};

/// How long one call may take; who has more left calls again.
const TIME_MAX: Duration = Duration::from_secs(20);

/// How many dead letters are looked through at once.
const LETTERS: usize = 200;

/// Whose data may be erased: the key of the request, the kind of the channel, the stream of its events.
const KINDS: [(&str, ChannelKind, Option<Stream>); 7] = [
    ("user", ChannelKind::User, None),
    ("deployment", ChannelKind::Deployment, Some(Stream::Deployments)),
    ("task", ChannelKind::Task, Some(Stream::Tasks)),
    ("agent", ChannelKind::Agent, Some(Stream::Agents)),
    ("container", ChannelKind::Container, Some(Stream::Containers)),
    ("conversation", ChannelKind::Conversation, Some(Stream::Messages)),
    ("topic", ChannelKind::Topic, Some(Stream::Topics)),
];

/// What an erasure works on.
#[derive(Clone)]
pub struct EraseDoor {
    store: Arc<dyn Store>,
    broker: Arc<dyn Broker>,
    audit: Audit,
}

impl FromRef<Services> for EraseDoor {
    fn from_ref(services: &Services) -> Self {
        Self {
            store: Arc::from_ref(services),
            broker: Arc::from_ref(services),
            audit: Audit::from_ref(services),
        }
    }
}

/// Whose data is to be erased.
struct Target {
    kind: &'static str,
    id: String,
    channel: Channel,
    stream: Option<Stream>,
}

/// What was erased so far.
#[derive(Default)]
struct Erased {
    events: u64,
    states: u64,
    dead_letters: u64,
    done: bool,
}

/// Erases; the numbers of events stay, so that nobody sees a hole.
pub async fn erase(
    State(door): State<EraseDoor>,
    operator: Operator,
    Body(body): Body,
) -> Result<Json<Value>, Problem> {
    let target = target(&body)?;
    let erased = door.erase(&target).await?;
    let shown = json!({
        "events": erased.events,
        "states": erased.states,
        "dead_letters": erased.dead_letters,
    });
    let name = format!("{}:{}", target.kind, target.id);
    door.audit.note(&operator.who, "erase", &name, shown.clone()).await;
    Ok(Json(json!({ "erased": shown, "done": erased.done })))
}

fn target(body: &[u8]) -> Result<Target, Problem> {
    let wrong = || {
        let names = KINDS.map(|(name, ..)| name).join(", ");
        let detail = format!("expected an object with one of {names}, and an id");
        Problem::new(StatusCode::BAD_REQUEST, detail)
    };
    let asked: BTreeMap<String, String> = serde_json::from_slice(body).map_err(|_| wrong())?;
    let (Some((name, id)), 1) = (asked.iter().next(), asked.len()) else { return Err(wrong()) };
    let known = KINDS.iter().find(|(known, ..)| known == name);
    let (kind, of, stream) = *known.ok_or_else(wrong)?;
    let channel = Channel::parse(Channel::entity(of, id).as_str());
    let channel =
        channel.map_err(|error| Problem::new(StatusCode::BAD_REQUEST, error.to_string()))?;
    Ok(Target { kind, id: id.clone(), channel, stream })
}

impl EraseDoor {
    async fn erase(&self, target: &Target) -> Result<Erased, Problem> {
        let deadline = Instant::now() + TIME_MAX;
        let mut erased = Erased::default();
        let (mut touched, mut after) = (BTreeSet::new(), (0, 0));
        loop {
            let slice = self.store.erase_events(&target.channel, after).await;
            let slice = slice.map_err(|error| Problem::store(&error))?;
            erased.events += slice.events;
            // The record says no more what they say: a broker that is away forgets by itself, in time.
            if let Err(error) = self.broker.erase(&slice.channels, &slice.entries).await {
                tracing::warn!(%error, "erase: broker not asked to forget, what it holds runs out by itself");
            }
            touched.extend(slice.channels.into_iter().map(|(channel, _)| channel.to_string()));
            match slice.next {
                Some(next) if Instant::now() < deadline => after = next,
                Some(_) => break,
                None => {
                    erased.done = true;
                    break;
                }
            }
        }
        self.erase_states(target, &touched, &mut erased).await?;
        if erased.done {
            self.erase_letters(target, deadline, &mut erased).await?;
        }
        touched.insert(target.channel.to_string());
        let forget = Control::Forget { channels: touched.into_iter().collect() };
        let order = forget.encode(self.store.epoch());
        if let Err(error) = self.broker.send(&Topic::Nodes, order).await {
            tracing::warn!(%error, "erase: nodes not told, their caches run out by themselves");
        }
        Ok(erased)
    }

    /// The state of an entity goes; of a person, those states lose their words that her events went into.
    async fn erase_states(
        &self,
        target: &Target,
        touched: &BTreeSet<String>,
        erased: &mut Erased,
    ) -> Result<(), Problem> {
        let done = |result: Result<bool, store::StoreError>| {
            result.map(u64::from).map_err(|error| Problem::store(&error))
        };
        if let Some(entity) = Entity::of(&target.channel) {
            erased.states += done(self.store.erase_state(&entity).await)?;
            return Ok(());
        }
        for name in touched {
            let entity = Channel::parse(name).ok().and_then(|channel| Entity::of(&channel));
            if let Some(entity) = entity {
                erased.states += done(self.store.erase_words(&entity).await)?;
            }
        }
        Ok(())
    }

    async fn erase_letters(
        &self,
        target: &Target,
        deadline: Instant,
        erased: &mut Erased,
    ) -> Result<(), Problem> {
        let mut before = None;
        loop {
            let letters = self.store.dead_letters(None, before, LETTERS).await;
            let letters = letters.map_err(|error| Problem::store(&error))?;
            let Some(last) = letters.last() else { return Ok(()) };
            before = Some(last.id);
            for letter in letters.iter().filter(|letter| target.is_about(letter)) {
                let dropped = self.store.drop_dead_letter(letter.id).await;
                erased.dead_letters +=
                    dropped.map(u64::from).map_err(|error| Problem::store(&error))?;
            }
            if Instant::now() >= deadline {
                erased.done = false;
                return Ok(());
            }
        }
    }
}

impl Target {
    fn is_about(&self, letter: &DeadLetter) -> bool {
        let is = |name: &str| letter.fields.get(name).is_some_and(|given| *given == self.id);
        match self.stream {
            None => {
                is(field::USER) || (stream_of(letter) == Some(Stream::Messages) && is(field::ID))
            }
            Some(stream) => stream_of(letter) == Some(stream) && is(field::ID),
        }
    }
}
