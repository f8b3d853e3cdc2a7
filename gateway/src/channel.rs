//! The channels of this node: where each is, who listens, and how listeners are brought up to date.

mod cache_account;
pub mod catch_up;
pub mod channel_state;
mod channel_tail;
mod compare;
mod counted_channel;
mod fill;
pub mod history;
pub mod hub;
pub mod listener;
mod own_writes;
mod pages;
mod shared_page;
