//! `fanfare watch`: follows a channel in the terminal, over reconnects, to its end.

mod follower;
mod reducer;
mod renderer;
mod replay;

use clap::Args;
use domain::channel::Channel;
use runtime::config::Config;
use serde_json::Value;

use self::{
    follower::{Follower, News},
    reducer::Reducer,
    renderer::Renderer,
    replay::Replay,
};
use super::{
    failure::Failure,
    output,
    server_client::{ServerArguments, ServerClient},
};

const HELP: &str = "\
Examples:
  fanfare watch deployment:shop
  fanfare watch deployment:shop --replay 10      # ten times as fast as it was
  fanfare watch tasks --json

Exit codes:
  0   it ended well
  1   it ended badly, or the server refused
  64  wrong usage
  69  no server answers (a connection that is lost later comes back by itself)";

/// What to follow.
#[derive(Debug, Args)]
#[command(after_help = HELP)]
pub(crate) struct Watch {
    /// `deployment:ID`, `task:ID`, `container:ID`, or a feed such as `deployments`
    channel: String,
    /// Begins after this position
    #[arg(long, value_name = "POSITION")]
    since: Option<String>,
    /// Every frame as it came, one a line
    #[arg(long)]
    json: bool,
    /// Plays what is recorded first, at its own pace or SPEED times as fast
    #[arg(long, value_name = "SPEED", num_args = 0..=1, default_missing_value = "1", value_parser = replay::speed)]
    replay: Option<f64>,
    #[command(flatten)]
    server: ServerArguments,
}

impl Watch {
    /// Follows until the deployment, task or container has ended; a feed until it is interrupted.
    pub(crate) async fn run(self, config: &Config) -> Result<(), Failure> {
        let channel =
            Channel::parse(&self.channel).map_err(|error| Failure::Usage(error.to_string()))?;
        let server = ServerClient::connect(config, &self.server).await?;
        let mut watched = Watched {
            reducer: Reducer::of(&channel),
            renderer: (!self.json).then(|| Renderer::of(&channel)),
        };
        let good = match self.replay {
            Some(speed) => {
                let mut replay = Replay::new(server, channel, self.since, speed);
                while let Some(frame) = replay.next().await? {
                    watched.show(&frame)?;
                }
                match watched.ended() {
                    Some(good) => good,
                    None => watched.follow(replay.into_follower().await?).await?,
                }
            }
            None => watched.follow(Follower::connect(server, channel, self.since).await?).await?,
        };
        if good { Ok(()) } else { Err(Failure::Outcome) }
    }
}

/// What is known of a channel, and how it is shown.
struct Watched {
    reducer: Reducer,
    /// None when frames are printed as they come.
    renderer: Option<Renderer>,
}

impl Watched {
    /// Follows what happens until the entity has ended; returns whether it ended well.
    async fn follow(&mut self, mut follower: Follower) -> Result<bool, Failure> {
        loop {
            match follower.next().await? {
                News::Frame(frame) => {
                    self.show(&frame)?;
                    // Resumed: unless something is still to come, this is where it stands.
                    let is_at_head = !frame["head"].is_null() && frame["position"] == frame["head"];
                    if frame["type"] == "subscribed" && frame["state"].is_null() && is_at_head {
                        follower
                            .state()
                            .await?
                            .map_or(Ok(()), |state| self.begin(&state, false))?;
                    }
                }
                News::Away(reason) => {
                    self.notice(&format!("connection lost ({reason}), trying again"));
                }
                News::Back => self.notice("connected again"),
            }
            if let Some(good) = self.ended() {
                return Ok(good);
            }
        }
    }

    /// Returns whether the entity ended well, once it has ended, and says so.
    fn ended(&self) -> Option<bool> {
        let good = self.reducer.outcome()?;
        if let Some(renderer) = &self.renderer {
            renderer.end(&self.reducer, good);
        }
        Some(good)
    }

    /// Applies a frame and shows it.
    fn show(&mut self, frame: &Value) -> Result<(), Failure> {
        if self.renderer.is_none() {
            output::data(&frame.to_string())?;
        }
        match frame["type"].as_str().unwrap_or_default() {
            "subscribed" if frame["state"].is_object() => self.begin(&frame["state"], true),
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
