//! What a broker inside this process can do besides: take and show entries as a Redis server does.
//!
//! The rules of ids, of trimming and of what a command may ask are those of XADD, XLEN and XRANGE.

use domain::{
    entry::{Entry, EntryId, Fields},
    source::Source,
};

/// Which id a new entry is to have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EntryIdRequest {
    /// The next one by the clock: `*`.
    Next,
    /// The next one within a millisecond: `1700000000000-*`.
    NextWithin(u64),
    /// This one: `1700000000000-3`.
    Exactly(EntryId),
}

/// What a stream keeps when it is trimmed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Keep {
    /// So many entries, the newest: `MAXLEN`.
    Newest(u64),
    /// Entries from this id on: `MINID`.
    From(EntryId),
}

/// How a stream is trimmed after an append.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Trimming {
    /// Which entries stay.
    pub keep: Keep,
    /// Whether more may stay (`~`): then nothing goes that a reader has not had.
    pub approximate: bool,
    /// The most entries that go at once; 0 for any number.
    pub removed_max: u64,
}

/// An entry that is to be appended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewEntry {
    /// Field names and values, as given.
    pub fields: Fields,
    /// The id that it is to have.
    pub id: EntryIdRequest,
    /// Whether the stream begins with it, when there is none yet.
    pub create: bool,
    /// How the stream is trimmed afterwards.
    pub trimming: Option<Trimming>,
}

/// Why an entry is not appended; nothing has changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LocalAppendError {
    /// The stream gave a higher id already.
    #[error("the id is equal to or smaller than the newest one")]
    IdTooSmall,
    /// The stream gave the last id that there is.
    #[error("the stream has given the last possible id")]
    IdsExhausted,
    /// Entries wait that were not read, and take all the room.
    #[error("the stream in memory is full")]
    Full,
}

/// Which entries are asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EntryRange {
    /// The first id, included.
    pub from: EntryId,
    /// The last id, included.
    pub to: EntryId,
    /// The most entries.
    pub entries_max: usize,
    /// The most bytes of fields.
    pub bytes_max: usize,
}

/// The entries that were asked for take more bytes than was allowed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the entries take more bytes than is allowed")]
pub struct RangeTooLarge;

/// The streams of a broker in this process.
pub trait LocalStreams: Send + Sync {
    /// Appends an entry. Returns its id; none when the stream does not exist and is not to begin.
    ///
    /// # Errors
    /// [`LocalAppendError`]
    fn append_entry(
        &self,
        source: Source,
        entry: NewEntry,
    ) -> Result<Option<EntryId>, LocalAppendError>;

    /// Returns entries in the order of their ids.
    ///
    /// # Errors
    /// [`RangeTooLarge`]: ask for fewer.
    fn range(&self, source: Source, range: EntryRange) -> Result<Vec<Entry>, RangeTooLarge>;
}
