//! An agent: takes tasks, works on them, and answers for each result until it is recorded.

use std::{fmt, future::Future, sync::Arc};

use serde_json::Value;
use tokio::sync::watch;

use crate::{
    Json,
    agent_command::AgentCommand,
    change::{Change, Transport},
    client::{Options, connect},
    desk::{Desk, Profile},
    error::Error,
    handler::Commands,
    job::Job,
    link::{Link, LinkOptions},
    work::{Handler, Work},
};

/// Takes tasks over one connection, by a token of `role: "agent"`.
///
/// Work goes on over a reconnection, and stops by itself when the server was not heard for a job's
/// grace, because then the task is given to another.
#[must_use]
pub struct Agent {
    link: LinkOptions,
    profile: Profile,
    work: Work,
}

impl fmt::Debug for Agent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Agent").field("profile", &self.profile).finish_non_exhaustive()
    }
}

impl Agent {
    /// An agent of the gateway at `url` that works with `handler`, on one job at a time.
    pub fn new<F, R>(url: &str, options: Options, handler: F) -> Self
    where
        F: Fn(Job) -> R + Send + Sync + 'static,
        R: Future<Output = Result<Value, String>> + Send + 'static,
    {
        let (_, mut link) = connect(url, options);
        link.transport = Transport::WebSocket;
        let profile = Profile { slots: 1, ..Profile::default() };
        let handle: Handler = Arc::new(move |job| Box::pin(handler(job)));
        Self { link, profile, work: Work { handle, refuse: Arc::new(|_| None) } }
    }

    /// Names what tasks may require of it.
    pub fn capabilities(mut self, capabilities: &[&str]) -> Self {
        self.profile.capabilities = capabilities.iter().map(|&one| one.to_owned()).collect();
        self
    }

    /// Says how many jobs it works on at once.
    pub fn slots(mut self, slots: u32) -> Self {
        self.profile.slots = slots;
        self
    }

    /// Adds whatever else the agent list should show.
    pub fn metadata(mut self, metadata: Json) -> Self {
        self.profile.metadata = metadata;
        self
    }

    /// Declines jobs before they begin, where the function answers with a reason.
    pub fn refuse(
        mut self,
        refuse: impl Fn(&Job) -> Option<String> + Send + Sync + 'static,
    ) -> Self {
        self.work.refuse = Arc::new(refuse);
        self
    }

    /// Works until `stop` completes; then stops all work and says `offline`, so that its tasks go to
    /// others at once.
    ///
    /// # Errors
    /// The server refuses the agent for good.
    pub async fn run_until(self, stop: impl Future<Output = ()>) -> Result<(), Error> {
        let (words, wanted) = Commands::channel();
        let (changes, _) = watch::channel(Change::default());
        let desk = Desk::new(self.profile, self.work, words.clone());
        words.send(AgentCommand::Start);
        let link = Link::new(self.link, desk, changes).run(wanted);
        tokio::pin!(link);
        tokio::select! {
            ended = &mut link => return ended,
            () = stop => {}
        }
        words.send(AgentCommand::Stop);
        link.await
    }

    /// Works until the server refuses the agent for good.
    ///
    /// # Errors
    /// The server refuses the agent for good.
    pub async fn run(self) -> Result<(), Error> {
        self.run_until(std::future::pending()).await
    }
}
