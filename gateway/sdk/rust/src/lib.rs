//! Client of the Fanfare realtime gateway: channels that resume by position, publishing, agents.
//!
//! ```no_run
//! # async fn example() -> Result<(), fanfare_client::Error> {
//! use fanfare_client::{Client, Item, Options, Wish};
//!
//! let client = Client::new("http://127.0.0.1:8080", Options::default());
//! let mut deployment = client.subscribe("deployment:d1", Wish::default())?;
//! while let Some(item) = deployment.next().await? {
//!     if let Item::Event(event) = item {
//!         println!("{} {:?}", event.kind, deployment.state());
//!     }
//! }
//! # Ok(())
//! # }
//! ```

mod agent;
mod backoff;
mod channels;
mod client;
mod desk;
mod error;
mod feed;
mod fold;
mod frame;
mod http;
mod item;
mod job;
mod link;
mod pace;
mod publication;
mod session;
mod subscription;
mod task;
mod token;
mod wire;

pub use agent::{Agent, Handler};
pub use backoff::Backoff;
pub use client::{Client, Options, Presence};
pub use error::{Error, Problem, Refusal};
pub use fold::fold;
pub use http::{Page, Query};
pub use item::{Event, Gap, Item, Position, PresenceChange, State, Subscribed, Trouble};
pub use job::{Cancelled, Dependency, Job};
pub use link::{Change, LinkState, Transport};
pub use publication::{Publication, Published};
pub use session::{Limits, Welcome};
pub use subscription::{Subscription, Wish};
pub use task::{NewTask, Retry};
pub use token::Token;

/// A JSON object whose members nobody promised.
pub type Json = serde_json::Map<String, serde_json::Value>;
