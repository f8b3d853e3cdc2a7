//! `fanfare watch`: follows a channel in the terminal, over reconnects, to its end.

mod follower;
mod reducer;
mod renderer;

use clap::Args;
use domain::channel::Channel;
use runtime::config::Config;
use serde_json::Value;

use self::{
    follower::{Follower, News},
    reducer::Reducer,
    renderer::Renderer,
};
use super::{failure::Failure, output, server_client::ServerClient};

/// What to follow.
#[derive(Debug, Args)]
pub(crate) struct Watch {
    /// `deployment:ID`, `task:ID`, `container:ID`, or a feed such as `deployments`
    channel: String,
    /// Begins after this position
    #[arg(long, value_name = "POSITION")]
    since: Option<String>,
    /// Every frame as it came, one a line
    #[arg(long)]
    json: bool,
}

impl Watch {
    /// Follows until the deployment, task or container has ended; a feed until it is interrupted.
    pub(crate) async fn run(self, config: &Config) -> Result<(), Failure> {
        let channel =
            Channel::parse(&self.channel).map_err(|error| Failure::Usage(error.to_string()))?;
        let server = ServerClient::connect(config).await?;
        let mut follower = Follower::connect(server, channel.clone(), self.since).await?;
        let mut watched = Watched {
            reducer: Reducer::of(&channel),
            renderer: (!self.json).then(|| Renderer::of(&channel)),
        };
        loop {
            let news = follower.next().await?;
            if let Some(good) = watched.receive(&mut follower, news).await? {
                return if good { Ok(()) } else { Err(Failure::Outcome) };
            }
        }
    }
}

/// What is known of a channel, and how it is shown.
struct Watched {
    reducer: Reducer,
    /// None when frames are printed as they come.
    renderer: Option<Renderer>,
}

impl Watched {
    /// Applies news; returns whether the entity ended well, once it has ended.
    async fn receive(
        &mut self,
        follower: &mut Follower,
        news: News,
    ) -> Result<Option<bool>, Failure> {
        match news {
            News::Frame(frame) => {
                if self.renderer.is_none() {
                    output::data(&frame.to_string())?;
                }
                self.take(follower, &frame).await?;
            }
            News::Away(reason) => self.notice(&format!("connection lost ({reason}), trying again")),
            News::Back => self.notice("connected again"),
        }
        let outcome = self.reducer.outcome();
        if let (Some(good), Some(renderer)) = (outcome, &self.renderer) {
            renderer.end(&self.reducer, good);
        }
        Ok(outcome)
    }

    async fn take(&mut self, follower: &mut Follower, frame: &Value) -> Result<(), Failure> {
        match frame["type"].as_str().unwrap_or_default() {
            "subscribed" if frame["state"].is_object() => self.begin(&frame["state"], true),
            // Resumed: unless something is still to come, this is where it stands.
            "subscribed" if frame["position"] == frame["head"] && !frame["head"].is_null() => {
                if let Some(state) = follower.state().await? {
                    self.begin(&state, false)
                } else {
                    Ok(())
                }
            }
            "state" => self.begin(&frame["state"], false),
            "event" | "presence" => {
                let lines = self.reducer.apply(frame);
                match &mut self.renderer {
                    Some(renderer) => Ok(renderer.paint(&self.reducer, frame, &lines)?),
                    None => Ok(()),
                }
            }
            "gap" => {
                let text = |name: &str| frame[name].as_str().unwrap_or_default().to_owned();
                let (from, to, cause) = (text("from"), text("to"), text("cause"));
                self.notice(&format!("events {from} to {to} are missing: {cause}"));
                Ok(())
            }
            "status" if frame["degraded"] == true => {
                let reason = frame["reason"].as_str().unwrap_or("something");
                self.notice(&format!("the server is degraded: {reason} is away, nothing is lost"));
                Ok(())
            }
            _ => Ok(()),
        }
    }

    /// Takes a whole state over; its log lines are shown when it is the first one.
    fn begin(&mut self, state: &Value, first: bool) -> Result<(), Failure> {
        let lines = self.reducer.begin(state);
        if let Some(renderer) = &mut self.renderer {
            renderer.paint(&self.reducer, state, if first { &lines } else { &[] })?;
        }
        Ok(())
    }

    fn notice(&self, text: &str) {
        match &self.renderer {
            Some(renderer) => renderer.notice(text),
            None => output::chatter(text),
        }
    }
}
