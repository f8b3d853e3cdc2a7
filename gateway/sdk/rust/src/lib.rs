//! Client of the Fanfare realtime gateway: channels that resume by position, publishing, agents.
//!
//! ```no_run
//! # async fn example() -> Result<(), fanfare_client::Error> {
//! use fanfare_client::{Client, Item, Options, SubscribeOptions};
//!
//! let client = Client::new("http://127.0.0.1:8080", Options::default());
//! let mut deployment = client.subscribe("deployment:d1", SubscribeOptions::default())?;
//! while let Some(item) = deployment.next().await? {
//!     if let Item::Event(event) = item {
//!         println!("{} {:?}", event.kind, deployment.state());
//!     }
//! }
//! # Ok(())
//! # }
//! ```

mod agent;
mod agent_command;
mod backoff;
mod change;
mod channels;
mod client;
mod desk;
mod error;
mod feed;
mod fold;
mod frame;
mod handler;
mod http;
mod item;
mod job;
mod link;
mod pace;
mod publication;
mod reader;
mod session;
mod subscription;
mod task;
mod token;
mod wire;
mod work;

pub use agent::Agent;
pub use backoff::Backoff;
pub use change::{Change, LinkState, Transport};
pub use client::{Client, Options, Presence};
pub use error::{Error, Problem, Refusal};
pub use fold::fold;
pub use http::{Page, Query};
pub use item::{Event, Gap, Interrupted, Item, Position, PresenceChange, State, Subscribed};
pub use job::{Cancelled, Dependency, Job};
pub use publication::{Publication, Published};
pub use reader::SubscribeOptions;
pub use session::{Limits, Welcome};
pub use subscription::Subscription;
pub use task::{NewTask, Retry};
pub use token::Token;
pub use work::Handler;

/// A JSON object whose members nobody promised.
pub type Json = serde_json::Map<String, serde_json::Value>;
