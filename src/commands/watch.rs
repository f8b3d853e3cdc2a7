//! `fanfare watch`: follows a channel in the terminal, over reconnects, to its end.

mod follower;
mod painter;
mod story;

use clap::Args;
use serde_json::Value;
use shared::{channel::Channel, config::Config};

use self::{
    follower::{Follower, News},
    painter::Painter,
    story::Story,
};
use super::{failure::Failure, output, server::Server};

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
        let server = Server::connect(config).await?;
        let mut follower = Follower::connect(server, channel.clone(), self.since).await?;
        let mut watched = Watched {
            story: Story::of(&channel),
            painter: (!self.json).then(|| Painter::of(&channel)),
        };
        loop {
            let news = follower.next().await?;
            if let Some(good) = watched.hear(&mut follower, news).await? {
                return if good { Ok(()) } else { Err(Failure::Outcome) };
            }
        }
    }
}

/// What is known of a channel, and how it is shown.
struct Watched {
    story: Story,
    /// None when frames are printed as they come.
    painter: Option<Painter>,
}

impl Watched {
    /// Takes something in; whether it ended well, once it has ended.
    async fn hear(&mut self, follower: &mut Follower, news: News) -> Result<Option<bool>, Failure> {
        match news {
            News::Frame(frame) => {
                if self.painter.is_none() {
                    output::data(&frame.to_string())?;
                }
                self.take(follower, &frame).await?;
            }
            News::Away(reason) => self.say(&format!("connection lost ({reason}), trying again")),
            News::Back => self.say("connected again"),
        }
        let outcome = self.story.outcome();
        if let (Some(good), Some(painter)) = (outcome, &self.painter) {
            painter.end(&self.story, good);
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
                let lines = self.story.apply(frame);
                match &mut self.painter {
                    Some(painter) => Ok(painter.paint(&self.story, frame, &lines)?),
                    None => Ok(()),
                }
            }
            "gap" => {
                let text = |name: &str| frame[name].as_str().unwrap_or_default().to_owned();
                let (from, to, cause) = (text("from"), text("to"), text("cause"));
                self.say(&format!("events {from} to {to} are missing: {cause}"));
                Ok(())
            }
            "status" if frame["degraded"] == true => {
                let reason = frame["reason"].as_str().unwrap_or("something");
                self.say(&format!("the server is degraded: {reason} is away, nothing is lost"));
                Ok(())
            }
            _ => Ok(()),
        }
    }

    /// Takes a whole state over; its log lines are shown when it is the first one.
    fn begin(&mut self, state: &Value, first: bool) -> Result<(), Failure> {
        let lines = self.story.begin(state);
        if let Some(painter) = &mut self.painter {
            painter.paint(&self.story, state, if first { &lines } else { &[] })?;
        }
        Ok(())
    }

    fn say(&self, text: &str) {
        match &self.painter {
            Some(painter) => painter.say(text),
            None => output::chatter(text),
        }
    }
}
