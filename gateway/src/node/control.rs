//! Orders and answers of other processes.

use std::{collections::HashSet, sync::Arc};

use domain::{
    channel::Channel,
    control::{Control, EntryResult, ListenerStatus, ReplyTo},
};

use super::services::Parts;
use crate::cluster::cluster_query::Answer;

/// The most connections in one answer.
const LISTENERS_MAX: usize = 10_000;

/// Follows an order, or delivers an answer.
pub fn follow(parts: &Parts, control: Control) {
    let context = &parts.context;
    match control {
        Control::Outcome { request, result } => answer(parts, request, result),
        Control::Disconnect { user, until, reply } => {
            // First who comes is refused, then who is here is closed: nobody slips in between.
            if let Some(until) = until {
                context.auth.denials().deny(&user, until);
            }
            let count = parts.sessions.disconnect(&user);
            if let Some(ReplyTo { node, request }) = reply {
                parts.cluster_query.reply(node, &Control::Closed { request, count });
            }
        }
        Control::Closed { request, count } => {
            parts.cluster_query.deliver(request, Answer::Closed(count));
        }
        Control::Enquire { request, node, channels } => {
            parts.cluster_query.answer(request, node, &channels);
        }
        Control::Standings { request, standings } => {
            parts.cluster_query.deliver(request, Answer::Statuses(standings));
        }
        Control::Work => context.agents.wake(),
        Control::EnquireListeners { request, node, channel, connections } => {
            let listeners = listeners(parts, channel.as_deref(), &connections);
            parts.cluster_query.reply(node, &Control::Listeners { request, listeners });
        }
        Control::Listeners { request, listeners } => {
            parts.cluster_query.deliver(request, Answer::Listeners(listeners));
        }
        Control::Forget { channels } => {
            let known = channels.iter().filter_map(|name| Channel::parse(name).ok());
            known.for_each(|channel| context.hub.read_again(&channel));
        }
        Control::Admit { user } => context.auth.denials().admit(&user),
    }
}

/// Delivers an answer once the channels of this node show what it tells: whoever is answered reads its
/// own write here. From a cluster the two come over two connections, in any order.
fn answer(parts: &Parts, request: u64, result: EntryResult) {
    let context = &parts.context;
    let behind = match &result {
        EntryResult::Published(written) => context.hub.behind(written),
        EntryResult::Rejected(_) | EntryResult::Refused { .. } => Vec::new(),
    };
    if behind.is_empty() {
        return context.publisher.deliver(request, result);
    }
    let (hub, publisher) = (Arc::clone(&context.hub), Arc::clone(&context.publisher));
    context.life.spawn_until_stop(async move {
        hub.meet(behind).await;
        publisher.deliver(request, result);
    });
}

/// The connections of this node that listen to a channel, or how far these are behind.
fn listeners(parts: &Parts, channel: Option<&str>, wanted: &[String]) -> Vec<ListenerStatus> {
    let channel = channel.map(Channel::parse).transpose();
    let Ok(channel) = channel else { return Vec::new() };
    let wanted: HashSet<&String> = wanted.iter().collect();
    let sessions = parts.sessions.all();
    let named =
        sessions.iter().map(|session| (session, parts.context.connection_name(session.number)));
    let meant = named.filter(|(_, name)| wanted.is_empty() || wanted.contains(name));
    let statuses = meant.filter_map(|(session, connection)| {
        let behind = session.behind(channel.as_ref())?;
        Some(ListenerStatus { connection, behind })
    });
    statuses.take(LISTENERS_MAX).collect()
}
