//! Streams of events and their partitions: where an event comes from.

use std::{fmt, str::FromStr};

use crate::excerpt::excerpt;

/// The ingest streams of the contract, in the order of its table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Stream {
    /// `deployments`
    Deployments,
    /// `tasks`
    Tasks,
    /// `agents`
    Agents,
    /// `containers`
    Containers,
    /// `messages`
    Messages,
    /// `topics`
    Topics,
}

impl Stream {
    /// Every stream, in the order of the contract's table.
    pub const ALL: [Self; 6] = [
        Self::Deployments,
        Self::Tasks,
        Self::Agents,
        Self::Containers,
        Self::Messages,
        Self::Topics,
    ];

    /// The short name, as users write it: `deployments`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Deployments => "deployments",
            Self::Tasks => "tasks",
            Self::Agents => "agents",
            Self::Containers => "containers",
            Self::Messages => "messages",
            Self::Topics => "topics",
        }
    }

    /// The letter that stands for the stream inside a position.
    const fn letter(self) -> char {
        match self {
            Self::Deployments => 'd',
            Self::Tasks => 't',
            Self::Agents => 'a',
            Self::Containers => 'c',
            Self::Messages => 'm',
            Self::Topics => 'o',
        }
    }
}

impl fmt::Display for Stream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// No stream or partition has this name; the string that was given.
#[derive(Debug, thiserror::Error)]
#[error(
    "unknown stream {0:?}: one of deployments, tasks, agents, containers, messages, topics is \
     expected"
)]
pub struct UnknownStream(pub String);

impl FromStr for Stream {
    type Err = UnknownStream;

    fn from_str(name: &str) -> Result<Self, UnknownStream> {
        Self::ALL
            .into_iter()
            .find(|stream| stream.name() == name)
            .ok_or_else(|| UnknownStream(excerpt(name).into_owned()))
    }
}

/// The most partitions that a stream may have.
pub const PARTITIONS_MAX: usize = 64;

/// One partition of a stream: the unit of ownership, order and counting.
///
/// Partition 0 has the bare name of its stream (`deployments`), partition k is `deployments:k`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Source {
    /// The stream that the partition belongs to.
    pub stream: Stream,
    /// The partition, from 0.
    pub partition: u16,
}

impl Source {
    /// Partition 0 of a stream, the only one unless `INGEST_PARTITIONS` says otherwise.
    pub const fn first(stream: Stream) -> Self {
        Self { stream, partition: 0 }
    }

    /// The partition that all events of `id` go to: `crc32(id) mod partitions`.
    ///
    /// Events about nothing in particular go to partition 0.
    pub fn of(stream: Stream, id: Option<&str>, partitions: u16) -> Self {
        let hash = id.map_or(0, |id| crc32fast::hash(id.as_bytes()));
        let partition = u16::try_from(hash % u32::from(partitions.max(1))).unwrap_or(0);
        Self { stream, partition }
    }

    /// All sources of a configuration with `partitions` per stream.
    pub fn all(partitions: u16) -> impl Iterator<Item = Self> {
        Stream::ALL.into_iter().flat_map(move |stream| {
            (0..partitions).map(move |partition| Self { stream, partition })
        })
    }

    /// The short code inside a position: `d`, `d1`, `m` …
    pub fn code(self) -> String {
        match self.partition {
            0 => self.stream.letter().to_string(),
            k => format!("{}{k}", self.stream.letter()),
        }
    }

    /// The source that a code of [`Source::code`] stands for.
    pub fn from_code(code: &str) -> Option<Self> {
        let letter = code.chars().next()?;
        let stream = Stream::ALL.into_iter().find(|stream| stream.letter() == letter)?;
        let digits = &code[letter.len_utf8()..];
        let partition = match digits {
            "" => 0,
            _ if digits.starts_with(['0', '+']) => return None,
            _ => digits.parse().ok()?,
        };
        Some(Self { stream, partition })
    }
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.partition {
            0 => f.write_str(self.stream.name()),
            k => write!(f, "{}:{k}", self.stream.name()),
        }
    }
}

impl FromStr for Source {
    type Err = UnknownStream;

    fn from_str(name: &str) -> Result<Self, UnknownStream> {
        let (stream, partition) = name.split_once(':').unwrap_or((name, "0"));
        let partition = partition.parse().map_err(|_| UnknownStream(excerpt(name).into_owned()))?;
        Ok(Self { stream: stream.parse()?, partition })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_codes_lead_back_to_their_source() {
        for source in Source::all(12) {
            assert_eq!(source.to_string().parse::<Source>().ok(), Some(source));
            assert_eq!(Source::from_code(&source.code()), Some(source));
        }
        assert_eq!(Source::from_code("d01"), None);
        assert_eq!(Source::from_code(""), None);
    }

    #[test]
    fn an_id_always_goes_to_the_partition_that_a_publisher_computes() {
        // crc32("deploy-123") = 0x… as any zlib gives it; the contract says `crc32(id) mod N`.
        let expected = u16::try_from(crc32fast::hash(b"deploy-123") % 4).unwrap();
        assert_eq!(Source::of(Stream::Deployments, Some("deploy-123"), 4).partition, expected);
        assert_eq!(Source::of(Stream::Messages, None, 4).partition, 0);
    }
}
