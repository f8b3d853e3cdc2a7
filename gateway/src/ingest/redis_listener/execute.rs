//! Commands carried out for one client: who it is, what it has set, what it has queued.

use std::{net::IpAddr, sync::Arc};

use auth::{CredentialError, Identity, TokenFault};
use bytes::Bytes;

use super::{
    RedisListener,
    command::{self, ClientCommand, Credential, RedisCommand},
    describe,
    reply::{Protocol, Reply},
};

/// What a client hears that must show who it is.
const NOT_SHOWN: &str = "NOAUTH Authentication required: AUTH with an API key or a token.";

/// One client: who it is, and what it has set and queued.
pub(super) struct RedisClient {
    listener: Arc<RedisListener>,
    id: u64,
    address: IpAddr,
    identity: Identity,
    name: Bytes,
    transaction: Option<Transaction>,
    /// What its answers are written in.
    pub(super) protocol: Protocol,
    /// Whether it is to be let go after the answer.
    pub(super) leaves: bool,
}

/// The commands since MULTI.
#[derive(Default)]
struct Transaction {
    requests: Vec<Vec<Bytes>>,
    bytes: usize,
    failed: bool,
}

impl RedisClient {
    /// A client that has just come.
    pub(super) fn new(listener: Arc<RedisListener>, id: u64, address: IpAddr) -> Self {
        let identity = listener.auth.anonymous();
        let (name, protocol) = (Bytes::new(), Protocol::default());
        Self { listener, id, address, identity, name, transaction: None, protocol, leaves: false }
    }

    /// Whether it may do more than show who it is.
    pub(super) fn is_admitted(&self) -> bool {
        let now = jiff::Timestamp::now().as_millisecond();
        let expired = self.identity.expires_at.is_some_and(|at| at <= now);
        let denials = self.listener.auth.denials();
        let denied = self.identity.user.as_deref().is_some_and(|user| denials.hold(user, now));
        !expired && !denied && (self.identity.is_known() || self.listener.open)
    }

    /// Answers a request.
    pub(super) async fn answer(&mut self, request: Vec<Bytes>) -> Reply {
        let info = match command::look_up(&request) {
            Ok(info) => info,
            Err(error) => return self.refuse(Reply::error(error)),
        };
        if !info.before_auth && !self.is_admitted() {
            return self.refuse(Reply::error(NOT_SHOWN));
        }
        let ends = matches!(info.name, "multi" | "exec" | "discard" | "quit");
        if let Some(transaction) = self.transaction.as_mut().filter(|_| !ends) {
            transaction.bytes += request.iter().map(|argument| 64 + argument.len()).sum::<usize>();
            if transaction.bytes > self.listener.limits.transaction_bytes {
                (transaction.failed, transaction.requests) = (true, Vec::new());
                return Reply::error(
                    "ERR more between MULTI and EXEC than EMBEDDED_REDIS_TRANSACTION_BYTES allows",
                );
            }
            transaction.requests.push(request);
            return Reply::Word("QUEUED");
        }
        match command::parse(&request) {
            Ok(RedisCommand::Multi) if self.transaction.is_some() => {
                Reply::error("ERR MULTI calls can not be nested")
            }
            Ok(RedisCommand::Multi) => {
                self.transaction = Some(Transaction::default());
                Reply::OK
            }
            Ok(RedisCommand::Exec) => self.exec().await,
            Ok(RedisCommand::Discard) => match self.transaction.take() {
                Some(_) => Reply::OK,
                None => Reply::error("ERR DISCARD without MULTI"),
            },
            Ok(command) => self.execute(command).await,
            Err(error) => Reply::error(error),
        }
    }

    /// A request that is refused spoils the transaction that it stands in.
    fn refuse(&mut self, refusal: Reply) -> Reply {
        if let Some(transaction) = &mut self.transaction {
            transaction.failed = true;
        }
        refusal
    }

    async fn exec(&mut self) -> Reply {
        let Some(transaction) = self.transaction.take() else {
            return Reply::error("ERR EXEC without MULTI");
        };
        if transaction.failed {
            return Reply::error("EXECABORT Transaction discarded because of previous errors.");
        }
        let mut replies = Vec::with_capacity(transaction.requests.len());
        for request in transaction.requests {
            replies.push(match command::parse(&request) {
                Ok(command) => self.execute(command).await,
                Err(error) => Reply::error(error),
            });
        }
        Reply::List(replies)
    }

    async fn execute(&mut self, command: RedisCommand) -> Reply {
        match command {
            RedisCommand::Ping(None) => Reply::Word("PONG"),
            RedisCommand::Ping(Some(words)) | RedisCommand::Echo(words) => Reply::Bytes(words),
            RedisCommand::Auth(credential) => match self.authenticate(&credential).await {
                Ok(()) => Reply::OK,
                Err(refusal) => refusal,
            },
            RedisCommand::Hello { version, credential, name } => {
                self.hello(version, credential, name).await
            }
            RedisCommand::Select => Reply::OK,
            RedisCommand::Client(command) => self.client(command),
            RedisCommand::Describe(names) => describe::commands(&names),
            RedisCommand::CountCommands => {
                Reply::Number(i64::try_from(command::COMMANDS.len()).unwrap_or(0))
            }
            RedisCommand::ListCommands => describe::names(),
            RedisCommand::DocumentCommands => Reply::Map(Vec::new()),
            RedisCommand::Info => describe::info(),
            RedisCommand::Quit => {
                self.leaves = true;
                Reply::OK
            }
            RedisCommand::Xadd(command) => self.listener.xadd(&self.identity, command),
            RedisCommand::Xlen(key) => self.listener.xlen(&self.identity, &key).await,
            RedisCommand::Xrange(command) => self.listener.xrange(&self.identity, &command),
            // They have been answered before they came here.
            RedisCommand::Multi | RedisCommand::Exec | RedisCommand::Discard => {
                Reply::error("ERR this command is not allowed inside a transaction")
            }
        }
    }

    async fn hello(
        &mut self,
        version: Option<i64>,
        credential: Option<Credential>,
        name: Option<Bytes>,
    ) -> Reply {
        if let Some(credential) = credential {
            if let Err(refusal) = self.authenticate(&credential).await {
                return refusal;
            }
        } else if !self.is_admitted() {
            return Reply::error(format!("{NOT_SHOWN} HELLO 3 AUTH default KEY does both."));
        }
        match version {
            Some(2) => self.protocol = Protocol::Resp2,
            Some(_) => self.protocol = Protocol::Resp3,
            None => {}
        }
        self.name = name.unwrap_or_else(|| self.name.clone());
        describe::hello(self.protocol, self.id)
    }

    fn client(&mut self, command: ClientCommand) -> Reply {
        match command {
            ClientCommand::Id => Reply::Number(i64::try_from(self.id).unwrap_or(i64::MAX)),
            ClientCommand::Name if self.name.is_empty() => Reply::Null,
            ClientCommand::Name => Reply::Bytes(self.name.clone()),
            ClientCommand::SetName(name) => {
                self.name = name;
                Reply::OK
            }
            ClientCommand::Info => describe::client(self.protocol, self.id, &self.name),
            ClientCommand::Noted => Reply::OK,
        }
    }

    /// Learns who the client is.
    async fn authenticate(&mut self, credential: &Credential) -> Result<(), Reply> {
        let wrong = |error: CredentialError| Reply::error(format!("WRONGPASS {error}"));
        let text = std::str::from_utf8(&credential.0);
        let text = text.map_err(|_| wrong(CredentialError::Invalid(TokenFault::Malformed)))?;
        self.listener.auth.prepare(text).await;
        match self.listener.auth.credential(text) {
            Ok(identity) => {
                self.identity = identity;
                Ok(())
            }
            Err(error) => {
                // Who shows a right one next is welcome; who guesses on is not worth a connection.
                if self.listener.address_limits.refuse(self.address).is_err() {
                    self.leaves = true;
                    return Err(Reply::error("WRONGPASS too many wrong ones from this address"));
                }
                Err(wrong(error))
            }
        }
    }
}
