//! `fanfare token`: signs a token for a user with `JWT_SECRET`.

use std::time::Duration;

use auth::{Authenticator, Claims};
use clap::Args;
use domain::channel::Pattern;
use runtime::config::{Config, SettingProblem};

use super::{duration, failure::Failure, output};

const HELP: &str = "\
Examples:
  fanfare token --sub ann --channels 'deployment:*,deployments' --ttl 8h
  fanfare token --sub ci --publish deployments --ttl 30d

Exit codes:
  0   printed
  64  wrong usage
  78  JWT_SECRET is missing, or another setting is wrong";

/// What the token says.
#[derive(Debug, Args)]
#[command(after_help = HELP)]
pub(crate) struct Token {
    /// The user
    #[arg(long, value_name = "USER")]
    sub: String,
    /// Channels that may be read, ids percent-encoded; without it: the user's own and `broadcast`
    #[arg(long, value_name = "PATTERN,…", value_delimiter = ',')]
    channels: Option<Vec<String>>,
    /// Streams that may be published to
    #[arg(long, value_name = "PATTERN,…", value_delimiter = ',')]
    publish: Vec<String>,
    /// `admin` may do what an API key may
    #[arg(long)]
    role: Option<String>,
    /// How long it is good: 90s, 30m, 1h, 7d
    #[arg(long, default_value = "1h", value_parser = duration::parse)]
    ttl: Duration,
}

impl Token {
    /// Prints the token.
    pub(crate) fn run(self, config: &Config) -> Result<(), Failure> {
        let auth = Authenticator::new(&config.access)?;
        let now = u64::try_from(jiff::Timestamp::now().as_second()).unwrap_or_default();
        let patterns = |list: Vec<String>| list.iter().map(|p| Pattern::encoded(p)).collect();
        let claims = Claims {
            sub: Some(self.sub),
            exp: now + self.ttl.as_secs(),
            iat: Some(now),
            channels: self.channels.map(patterns),
            publish: patterns(self.publish),
            role: self.role,
            ..Claims::default()
        };
        let missing = || SettingProblem::new("jwt_secret", "is needed to sign a token");
        output::data(&auth.sign(&claims).ok_or_else(missing)?)?;
        Ok(())
    }
}
