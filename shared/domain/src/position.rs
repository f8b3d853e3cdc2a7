//! Positions: how far a client has seen a channel, `EPOCH-OFFSET`.
//!
//! Offsets count per channel and source, from 1, without holes. Most channels have one source and
//! their position is one number; a channel that several sources feed has one number for each. The
//! epoch changes when the database is another one, so that a number never means two things.

use std::fmt;

use crate::{
    channel::Channel,
    excerpt::excerpt,
    source::{PARTITIONS_MAX, Source, Stream},
};

/// The longest position as text, in bytes.
const TEXT_BYTES_MAX: usize = 8 * 1024;

/// The most sources that there may be.
const SOURCES_MAX: usize = Stream::ALL.len() * PARTITIONS_MAX;

/// Which database gave the offsets: a fingerprint of its system identifier, timeline and own id.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Epoch(pub u32);

impl fmt::Display for Epoch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:08x}", self.0)
    }
}

impl Epoch {
    /// The epoch that eight hexadecimal digits stand for.
    pub fn parse(text: &str) -> Option<Self> {
        let lower = text.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b));
        (text.len() == 8 && lower).then(|| u32::from_str_radix(text, 16).ok().map(Self)).flatten()
    }
}

/// How far each source of a channel has been seen: offsets, sorted by source, zeros left out.
///
/// Most hold one source, and there is one of these for every channel and publication of a node: so
/// they are a slice without room for more.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Offsets(Box<[(Source, u64)]>);

impl Offsets {
    /// The offset of a source; 0 when nothing of it was seen.
    pub fn get(&self, source: Source) -> u64 {
        self.0.iter().find(|(s, _)| *s == source).map_or(0, |(_, offset)| *offset)
    }

    /// Sets the offset of a source.
    pub fn set(&mut self, source: Source, offset: u64) {
        match self.0.binary_search_by_key(&source, |(s, _)| *s) {
            Ok(at) if offset != 0 => self.0[at].1 = offset,
            Ok(at) => self.change(|all| {
                all.remove(at);
            }),
            Err(_) if offset == 0 => {}
            Err(at) => self.change(|all| {
                all.reserve_exact(1);
                all.insert(at, (source, offset));
            }),
        }
    }

    fn change(&mut self, change: impl FnOnce(&mut Vec<(Source, u64)>)) {
        let mut all = std::mem::take(&mut self.0).into_vec();
        change(&mut all);
        self.0 = all.into_boxed_slice();
    }

    /// The sources that were seen, with their offsets.
    pub fn iter(&self) -> impl Iterator<Item = (Source, u64)> + '_ {
        self.0.iter().copied()
    }

    /// Whether everything in `other` was seen here too.
    pub fn covers(&self, other: &Self) -> bool {
        other.iter().all(|(source, offset)| self.get(source) >= offset)
    }

    /// The sum over all sources: how many publications lie behind.
    pub fn total(&self) -> u64 {
        self.0.iter().map(|(_, offset)| offset).sum()
    }
}

impl FromIterator<(Source, u64)> for Offsets {
    fn from_iter<I: IntoIterator<Item = (Source, u64)>>(pairs: I) -> Self {
        let mut all: Vec<(Source, u64)> = pairs.into_iter().collect();
        // The sort keeps the order of equal sources, of which the last one counts.
        all.sort_by_key(|(source, _)| *source);
        all.reverse();
        all.dedup_by_key(|(source, _)| *source);
        all.reverse();
        all.retain(|(_, offset)| *offset != 0);
        Self(all.into_boxed_slice())
    }
}

/// How far a channel has been seen, and in which epoch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Position {
    /// The database that gave the offsets.
    pub epoch: Epoch,
    /// How far each source was seen.
    pub offsets: Offsets,
}

/// A `since` that is not a position of this channel; the string that was given.
#[derive(Debug, thiserror::Error)]
#[error("{0:?} is no position: expected EPOCH-OFFSET as it came in an earlier frame")]
pub struct PositionError(pub String);

impl Position {
    /// The beginning of a channel.
    pub fn start(epoch: Epoch) -> Self {
        Self { epoch, offsets: Offsets::default() }
    }

    /// The position as text; opaque to clients, told apart by the channel it belongs to.
    pub fn show(&self, channel: &Channel) -> String {
        let home = channel.home();
        match &*self.offsets.0 {
            [] => format!("{}-0", self.epoch),
            [(source, offset)] if *source == home => format!("{}-{offset}", self.epoch),
            parts => {
                let parts: Vec<String> =
                    parts.iter().map(|(s, offset)| format!("{}.{offset}", s.code())).collect();
                format!("{}-{}", self.epoch, parts.join(","))
            }
        }
    }

    /// Parses a position of `channel`, as [`Position::show`] wrote it.
    ///
    /// # Errors
    /// [`PositionError`] when the text is none.
    pub fn parse(channel: &Channel, text: &str) -> Result<Self, PositionError> {
        let parsed =
            if text.len() > TEXT_BYTES_MAX { None } else { Self::parse_parts(channel, text) };
        parsed.ok_or_else(|| PositionError(excerpt(text).into_owned()))
    }

    fn parse_parts(channel: &Channel, text: &str) -> Option<Self> {
        let (epoch, rest) = text.split_once('-')?;
        let epoch = Epoch::parse(epoch)?;
        if let Some(offset) = number(rest) {
            return Some(Self { epoch, offsets: [(channel.home(), offset)].into_iter().collect() });
        }
        let part = |part: &str| {
            let (code, offset) = part.split_once('.')?;
            Some((Source::from_code(code)?, number(offset)?))
        };
        let parts: Vec<(Source, u64)> = rest.split(',').map(part).collect::<Option<_>>()?;
        if parts.len() > SOURCES_MAX {
            return None;
        }
        Some(Self { epoch, offsets: parts.into_iter().collect() })
    }
}

/// Decimal digits, without sign, at most `i64::MAX`: that is what SQL can hold.
fn number(text: &str) -> Option<u64> {
    let digits = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    digits.then(|| text.parse().ok()).flatten().filter(|n| i64::try_from(*n).is_ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_channel_of_one_source_has_one_number() {
        let channel = Channel::parse("deployment:d1").unwrap();
        let mut position = Position::start(Epoch(0xabc));
        assert_eq!(position.show(&channel), "00000abc-0");
        position.offsets.set(channel.home(), 17);
        assert_eq!(position.show(&channel), "00000abc-17");
        assert_eq!(Position::parse(&channel, "00000abc-17").unwrap(), position);
    }

    #[test]
    fn a_channel_of_several_sources_has_one_number_for_each() {
        let channel = Channel::parse("user:u1").unwrap();
        let text = "00000abc-t.3,m1.5";
        let position = Position::parse(&channel, text).unwrap();
        assert_eq!(position.offsets.get(Source::first(Stream::Tasks)), 3);
        assert_eq!(position.show(&channel), text);
    }

    #[test]
    fn of_equal_sources_the_last_counts_and_zeros_are_left_out() {
        let (tasks, agents) = (Source::first(Stream::Tasks), Source::first(Stream::Agents));
        let pairs = [(tasks, 3), (agents, 2), (tasks, 5), (agents, 0)];
        let offsets: Offsets = pairs.into_iter().collect();
        assert_eq!(offsets.iter().collect::<Vec<_>>(), [(tasks, 5)]);
    }

    #[test]
    fn a_position_costs_no_more_than_as_many_parts_as_there_are_sources() {
        let channel = Channel::parse("user:u1").unwrap();
        let parts = |count: usize| {
            let parts: Vec<String> = (0..count).rev().map(|k| format!("t{k}.1")).collect();
            format!("00000abc-{}", parts.join(",").replace("t0.", "t."))
        };
        assert!(Position::parse(&channel, &parts(SOURCES_MAX)).is_ok());
        assert!(Position::parse(&channel, &parts(SOURCES_MAX + 1)).is_err());
        let error = Position::parse(&channel, &parts(65_535)).unwrap_err();
        assert!(error.to_string().len() < 1000, "{error}");
        // One pass: a second for each part would be hours.
        let many = (0..200_000_u64).map(|k| {
            let partition = u16::try_from(k % 60_000).unwrap_or_default();
            (Source { stream: Stream::Tasks, partition }, k)
        });
        assert_eq!(many.rev().collect::<Offsets>().iter().count(), 59_999);
    }

    #[test]
    fn what_is_no_position_is_refused() {
        let channel = Channel::parse("user:u1").unwrap();
        for text in [
            "",
            "1",
            "abc-1",
            "00000abc-",
            "00000abc--1",
            "00000abc-x.1",
            "00000abc-m.1,",
            "00000ABC-1",
            "00000abc-99999999999999999999",
            "00000abc-+1",
        ] {
            assert!(Position::parse(&channel, text).is_err(), "{text}");
        }
    }
}
