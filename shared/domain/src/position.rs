//! Positions: how far a client has seen a channel, `EPOCH-OFFSET`.
//!
//! Offsets count per channel and source, from 1, without holes. Most channels have one source and
//! their position is one number; a channel that several sources feed has one number for each. The
//! epoch changes when the database is another one, so that a number never means two things.

use std::fmt;

use crate::{channel::Channel, source::Source};

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
        let mut offsets = Self::default();
        for (source, offset) in pairs {
            offsets.set(source, offset);
        }
        offsets
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
        Self::parse_parts(channel, text).ok_or_else(|| PositionError(text.to_owned()))
    }

    fn parse_parts(channel: &Channel, text: &str) -> Option<Self> {
        let (epoch, rest) = text.split_once('-')?;
        let epoch = Epoch::parse(epoch)?;
        if let Some(offset) = number(rest) {
            return Some(Self { epoch, offsets: [(channel.home(), offset)].into_iter().collect() });
        }
        let mut offsets = Offsets::default();
        for part in rest.split(',') {
            let (code, offset) = part.split_once('.')?;
            offsets.set(Source::from_code(code)?, number(offset)?);
        }
        Some(Self { epoch, offsets })
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
    use crate::source::Stream;

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
