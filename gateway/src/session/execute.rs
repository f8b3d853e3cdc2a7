//! Executing commands: at once what needs no waiting, the rest in order.

use std::{sync::Arc, time::Duration};

use domain::event::State;

use auth::Identity;

use super::{Session, token_expiry::Expiring};
use crate::protocol::{Command, ErrorReport, ListRequest, TurnedAway};
use websocket::{SendOutcome, close};

/// Between two questions to a database that does not answer.
const LIST_RETRY: Duration = Duration::from_millis(500);

/// How long after it said who it is a client is reminded for the first time.
const FIRST_REMINDER: Duration = Duration::from_secs(5);

impl Session {
    /// Executes what needs no waiting; returns what is left, from the first command that does.
    pub(super) fn execute_ready(self: &Arc<Self>, commands: Vec<Command>) -> Vec<Command> {
        let mut commands = commands.into_iter();
        while let Some(command) = commands.next() {
            match command {
                Command::Send(frame) => {
                    if self.send(&frame) == SendOutcome::Full {
                        return std::iter::once(Command::Send(frame)).chain(commands).collect();
                    }
                }
                Command::Alive => self.transport.alive(),
                Command::Encode(encoding) => self.encode(encoding),
                Command::Remember(memo) => self.lock().memo = Some(memo),
                Command::Append(append) => self.publish(append),
                Command::Register(registration) => self.register(registration),
                Command::Offer(offer) => self.offer(*offer),
                Command::Watch => self.watch(),
                Command::Health { agent, said } => self.context.agent_health.report(agent, said),
                Command::Close { code, reason } => self.close(code, reason),
                other => return std::iter::once(other).chain(commands).collect(),
            }
        }
        Vec::new()
    }

    /// Executes commands in order. Once the socket is closed only events are still taken.
    pub(super) async fn execute(self: &Arc<Self>, commands: Vec<Command>) {
        for command in commands {
            if self.transport.is_closed() && !matches!(command, Command::Append(_)) {
                continue;
            }
            match command {
                Command::Send(frame) => self.send_all(&[frame]).await,
                Command::Subscribe(request) => self.subscribe(request).await,
                Command::Unsubscribe(channel) => self.unsubscribe(&channel),
                Command::Append(append) => self.publish(append),
                Command::List(request) => self.list(&request).await,
                Command::Prepare(channels) => self.prepare(&channels).await,
                Command::Token(token) => self.refresh(&token).await,
                Command::Presence(status) => self.announce_presence(&status),
                Command::Register(registration) => self.register(registration),
                Command::Offer(offer) => self.offer(*offer),
                Command::Attend(name) => {
                    if !self.attend(&name).await {
                        return;
                    }
                }
                Command::Watch => self.watch(),
                Command::Health { agent, said } => self.context.agent_health.report(agent, said),
                Command::Remember(memo) => self.lock().memo = Some(memo),
                Command::Encode(encoding) => self.encode(encoding),
                Command::Alive => self.transport.alive(),
                Command::Close { code, reason } => self.close(code, reason),
            }
        }
    }

    /// Sends what the store lists, once it answers.
    async fn list(&self, request: &ListRequest) {
        let listed = loop {
            match self.context.hub.history().entities(request.kind, &request.filter).await {
                Ok(listed) => break listed,
                Err(error) => {
                    tracing::debug!(%error, "session: a list waits for the database, asked again");
                }
            }
            if self.transport.is_closed() {
                return;
            }
            tokio::time::sleep(LIST_RETRY).await;
        };
        let states: Vec<State> = listed.into_iter().map(|listed| listed.state).collect();
        self.send_all(&(request.write)(&states)).await;
    }

    /// Judges its silence from now on as that of a client that said who it is, and reminds it for the
    /// first time of what its dialect asks again and again, once it had a moment to say so by itself.
    fn watch(self: &Arc<Self>) {
        if let Some(heartbeat) = self.context.heartbeats.of_known(self.dialect()) {
            self.transport.set_heartbeat(heartbeat);
        }
        if let Some((every, frame)) = self.dialect.reminder(&self.context.config.rhythm) {
            let session = Arc::clone(self);
            self.context.life.spawn_until_stop(async move {
                tokio::time::sleep(every.min(FIRST_REMINDER)).await;
                session.transport.send_if_room(&frame);
            });
        }
    }

    /// Takes a new token on the open socket: a bad one leaves the old one in force.
    async fn refresh(self: &Arc<Self>, token: &str) {
        self.context.auth.prepare(token).await;
        let error = |code, message: &str| {
            self.encoding().error(&ErrorReport { code, message, path: None, channel: None })
        };
        let old = self.identity();
        let frame = match self.context.auth.credential(token) {
            Ok(identity) if identity.user != old.user && old.is_known() => {
                error("forbidden", "the token is another user's")
            }
            // Until now it was counted for nobody.
            Ok(identity) if !self.counts_for(&identity) => {
                let message = "this user has too many connections";
                let frame = self.dialect.turned_away(TurnedAway::UserFull, message);
                self.send_all(frame.as_slice()).await;
                return self.close(close::TOO_MANY_CONNECTIONS, "too many connections");
            }
            Ok(identity) => {
                let frame = self.encoding().token(identity.expires_at);
                self.context.token_expiry.forget(&**self);
                let limits = &self.context.config.limits;
                let sender = self.dialect.sender(&identity, self.context.config.production());
                self.transport.set_message_bytes_max(sender.frame_bytes(limits));
                self.lock().identity = identity;
                let expiring: Arc<dyn Expiring> = Arc::clone(self) as _;
                self.context.token_expiry.watch(&expiring);
                frame
            }
            Err(cause) => error("unauthorized", &cause.to_string()),
        };
        self.send_all(frame.as_slice()).await;
        self.leave_forbidden().await;
        self.announce();
    }

    /// Whether there is room for it among the connections of the user that it turns out to be.
    fn counts_for(&self, identity: &Identity) -> bool {
        let user = identity.user.as_ref().filter(|_| self.identity().user.is_none());
        let users_max = self.context.config.limits.connections_per_user;
        user.is_none_or(|user| self.context.list.joined(self.number, user, users_max))
    }

    /// Listens no longer to what its rights do not cover any more.
    async fn leave_forbidden(&self) {
        let identity = self.identity();
        for channel in self.listened() {
            if identity.may_read(&channel) {
                continue;
            }
            self.unsubscribe(&channel);
            let message = format!("you may not read {channel} any more");
            let report = ErrorReport {
                code: "forbidden",
                message: &message,
                path: None,
                channel: Some(channel.as_str()),
            };
            let frames = [self.encoding().error(&report), self.encoding().unsubscribed(&channel)];
            self.send_all(&frames.into_iter().flatten().collect::<Vec<_>>()).await;
        }
    }
}
