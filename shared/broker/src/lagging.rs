//! Channels that a part of the broker does not serve at the moment.

use domain::channel::Channel;

use crate::tags;

/// A set of channels, by the tags that keep them together wherever they live: it stays true when they
/// move to another server.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Lagging(u128);

impl Lagging {
    /// Whether it is empty.
    pub fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Whether a channel is among them.
    pub fn contains(self, channel: &Channel) -> bool {
        self.0 & bit(channel) != 0
    }

    /// These and those.
    #[must_use]
    pub fn and(self, others: Self) -> Self {
        Self(self.0 | others.0)
    }

    /// Takes a channel in, and with it all that live where it lives.
    pub(crate) fn add(&mut self, channel: &Channel) {
        self.0 |= bit(channel);
    }
}

fn bit(channel: &Channel) -> u128 {
    1 << tags::index(&channel.encoded())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_lives_together_lags_together() {
        let channels: Vec<_> =
            (0..1000).map(|n| Channel::parse(&format!("task:t{n}")).unwrap()).collect();
        let mut lagging = Lagging::default();
        assert!(lagging.is_empty());
        lagging.add(&channels[0]);
        let tag = tags::of(&channels[0].encoded());
        for channel in &channels {
            assert_eq!(lagging.contains(channel), tags::of(&channel.encoded()) == tag);
        }
        assert_eq!(Lagging::default().and(lagging), lagging);
    }
}
