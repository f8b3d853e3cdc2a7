//! From an upgrade request to a session, or to a refusal.

use std::sync::Arc;

use axum::{
    extract::{Request, State},
    response::{IntoResponse as _, Response},
};
use http::StatusCode;

use super::{admission::Admission, origin::origin_allowed};
use crate::{
    http::address::ClientAddress,
    node::services::Services,
    protocol::{
        Dialect, OpenContext, Opening, Refusal, Request as SocketRequest, Sender, Transport,
    },
};
use websocket::{Heartbeat, SenderTerms, handshake};

/// Serves every upgrade request: the dialect that recognizes it decides.
pub async fn upgrade(State(services): State<Services>, mut request: Request) -> Response {
    let context = &services.context;
    let (parts, body) = request.into_parts();
    let asked = SocketRequest::of(parts.uri.path(), parts.uri.query(), &parts.headers);
    let dialect =
        services.dialects.iter().find(|dialect| dialect.recognizes(&asked, &context.config));
    let Some(dialect) = dialect.map(Arc::clone) else {
        return (StatusCode::NOT_FOUND, "Not Found").into_response();
    };
    if !origin_allowed(&context.config, &parts.headers) {
        context.refusals.note(dialect.name(), "origin", None);
        return (StatusCode::FORBIDDEN, "Origin not allowed").into_response();
    }
    let accepted = match handshake::check(&parts) {
        Ok(accepted) => accepted,
        Err(refusal) => return refusal.response(),
    };
    request = Request::from_parts(parts, body);
    let admission = Admission::from(&services);
    let client = admission.client(&request);
    if dialect.is_limited_by_address()
        && let Err(problem) = admission.count_connection(client)
    {
        return problem.into_response();
    }
    admission.fetch_keys(&asked).await;
    let number = services.sessions.next_number();
    let opening = dialect.open(
        &asked,
        &OpenContext {
            auth: &context.auth,
            config: &context.config,
            node: &context.node.0,
            degraded: context.degraded.reason(),
            partitions: context.publisher.partitions(),
            connection: &context.connection_name(number),
            now: jiff::Timestamp::now().as_millisecond(),
        },
    );
    if opening.as_ref().is_err_and(Refusal::is_unauthorized)
        && let Err(problem) = admission.refuse(client, &asked, dialect.name())
        && dialect.is_limited_by_address()
    {
        return problem.into_response();
    }
    if opening.as_ref().is_err_and(|refusal| !refusal.is_unauthorized()) {
        context.refusals.note(dialect.name(), "forbidden", client.0);
    }
    let opening = match opening {
        Err(Refusal::Http { status, body }) => return (status, body).into_response(),
        other => other,
    };
    let protocol = opening.as_ref().ok().and_then(|opening| opening.protocol.clone());
    let offered = asked.protocols.first().cloned();
    let start = {
        let services = services.clone();
        let group = client.upload_group();
        move |socket| start(&services, &dialect, number, opening, (socket, group, client))
    };
    accepted.upgrade(&mut request, protocol.or(offered).as_deref(), &services.connections, start)
}

fn start(
    services: &Services,
    dialect: &Arc<dyn Dialect>,
    number: u64,
    opening: Result<Opening, Refusal>,
    (socket, upload_group, client): (websocket::UpgradedSocket, u32, ClientAddress),
) {
    let context = &services.context;
    let production = context.config.production();
    let sender = opening
        .as_ref()
        .map_or(Sender::Anonymous, |opening| dialect.sender(&opening.identity, production));
    let socket = socket.with_terms(SenderTerms {
        message_bytes_max: u32::try_from(sender.frame_bytes(&context.config.limits))
            .unwrap_or(u32::MAX),
        upload_group,
        is_stranger: sender == Sender::Anonymous,
    });
    let heartbeat = context.heartbeats.first(&**dialect);
    let heartbeat = heartbeat.unwrap_or_else(|| Arc::new(Heartbeat::NONE));
    services.connections.open(socket, heartbeat, |connection| {
        let transport = Transport::socket(Arc::clone(connection), client.0);
        services.sessions.open(context, dialect, number, opening, transport)
    });
}
