//! Orders and answers of other processes.

use std::sync::Arc;

use domain::control::{Control, EntryResult, ReplyTo};

use super::services::Parts;
use crate::cluster::cluster_query::Answer;

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
