//! Stream entries as they are appended and read, before anybody looked inside.

use std::{fmt, str::FromStr};

use sha2::{Digest as _, Sha256};

/// The id of a stream entry: milliseconds and a number, `1700000000000-0`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EntryId {
    /// Milliseconds since 1970 by the clock of the broker.
    pub ms: u64,
    /// The number within the millisecond.
    pub number: u64,
}

impl EntryId {
    /// The id that lies before every entry.
    pub const ZERO: Self = Self { ms: 0, number: 0 };

    /// Returns the lowest id above this one; none above the highest that there is.
    pub const fn next(self) -> Option<Self> {
        match (self.number.checked_add(1), self.ms.checked_add(1)) {
            (Some(number), _) => Some(Self { number, ..self }),
            (None, Some(ms)) => Some(Self { ms, number: 0 }),
            (None, None) => None,
        }
    }

    /// The first possible id `ms` milliseconds before this one.
    #[must_use]
    pub const fn minus_ms(self, ms: u64) -> Self {
        Self { ms: self.ms.saturating_sub(ms), number: 0 }
    }
}

impl fmt::Display for EntryId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.ms, self.number)
    }
}

/// The string is not an entry id.
#[derive(Debug, thiserror::Error)]
#[error("{0:?} is no entry id: expected MILLISECONDS-NUMBER")]
pub struct EntryIdError(pub String);

impl FromStr for EntryId {
    type Err = EntryIdError;

    fn from_str(text: &str) -> Result<Self, EntryIdError> {
        let parse = || {
            let (ms, number) = text.split_once('-')?;
            Some(Self { ms: ms.parse().ok()?, number: number.parse().ok()? })
        };
        parse().ok_or_else(|| EntryIdError(crate::excerpt::excerpt(text).into_owned()))
    }
}

/// Field names and values of an entry, in the order in which they were given.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Fields(pub Vec<(String, Vec<u8>)>);

impl Fields {
    /// The first value of that name.
    pub fn get(&self, name: &str) -> Option<&[u8]> {
        self.0.iter().find(|(n, _)| n == name).map(|(_, value)| value.as_slice())
    }

    /// Appends a field.
    pub fn push(&mut self, name: &str, value: impl Into<Vec<u8>>) {
        self.0.push((name.to_owned(), value.into()));
    }

    /// The bytes of all names and values together.
    pub fn size_bytes(&self) -> usize {
        self.0.iter().map(|(name, value)| name.len() + value.len()).sum()
    }

    /// A fingerprint of the content: two entries of one id but different content differ in it.
    ///
    /// After a fail-over a new primary may give another entry the id of one that was lost
    /// (`design.md` §3, rule 5), so an id alone identifies nothing.
    pub fn digest(&self) -> i64 {
        let mut hash = Sha256::new();
        for (name, value) in &self.0 {
            for part in [name.as_bytes(), value.as_slice()] {
                hash.update((part.len() as u64).to_le_bytes());
                hash.update(part);
            }
        }
        let bytes = hash.finalize();
        i64::from_le_bytes([
            bytes[0], bytes[1], bytes[2], bytes[3], bytes[4], bytes[5], bytes[6], bytes[7],
        ])
    }
}

/// One entry of a stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The id that the broker gave it.
    pub id: EntryId,
    /// Names and values as they were appended.
    pub fields: Fields,
}
