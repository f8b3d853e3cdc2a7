//! Orders and answers of other processes.

use domain::control::Control;

use super::services::Parts;

/// Follows an order, or delivers an answer.
pub fn follow(parts: &Parts, control: Control) {
    let context = &parts.context;
    match control {
        Control::Outcome { request, result } => context.publisher.deliver(request, result),
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
