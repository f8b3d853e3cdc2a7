//! Orders and answers of other processes.

use std::sync::Arc;

use domain::control::{Control, EntryResult};

use super::services::Parts;

/// Follows an order, or delivers an answer.
pub fn follow(parts: &Parts, control: Control) {
    let context = &parts.context;
    match control {
        Control::Outcome { request, result } => answer(parts, request, result),
        Control::Disconnect { user, until } => {
            // First who comes is refused, then who is here is closed: nobody slips in between.
            if let Some(until) = until {
                context.auth.denials().deny(&user, until);
            }
            parts
                .sessions
                .disconnect(|session| session.identity().user.as_deref() == Some(user.as_str()));
        }
        Control::Enquire { request, node, channels } => {
            parts.cluster_query.answer(request, node, &channels);
        }
        Control::Standings { request, standings } => {
            parts.cluster_query.deliver(request, standings);
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
        EntryResult::Rejected(_) => Vec::new(),
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
