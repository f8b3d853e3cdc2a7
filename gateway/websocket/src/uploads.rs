//! The memory of incomplete messages, counted: over all connections, over strangers, over each group.

use std::collections::HashMap;
use std::sync::Mutex;

use crate::lock::lock;
use crate::rules::SenderTerms;

/// Bounds the memory of incomplete messages, in bytes.
///
/// Whoever adds to it beyond that is closed with 1013, so that many half uploads cannot exhaust the
/// process, nor one address or strangers take the room of all others.
#[derive(Clone, Copy, Debug)]
pub struct UploadLimits {
    /// Of all connections together.
    pub all_bytes_max: usize,
    /// Of all strangers together ([`SenderTerms::is_stranger`]).
    pub strangers_bytes_max: usize,
    /// Of one group ([`SenderTerms::upload_group`]).
    pub group_bytes_max: usize,
    /// Milliseconds that a message may be on its way; time in which we do not read does not count.
    /// Beyond it the connection is closed with 1008. 0 for no bound.
    pub message_ms: u32,
}

/// Whose half uploads count with those of a connection.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Uploader {
    /// The group shifted left, and whether it is a stranger: one number, for there are many.
    packed: u32,
}

impl Uploader {
    pub(crate) const NONE: Self = Self { packed: 0 };

    pub(crate) fn of(terms: SenderTerms) -> Self {
        Self { packed: terms.upload_group << 1 | u32::from(terms.is_stranger) }
    }

    fn is_stranger(self) -> bool {
        self.packed & 1 == 1
    }

    fn group(self) -> Option<u32> {
        Some(self.packed >> 1).filter(|group| *group != 0)
    }
}

/// What is on its way at the moment. Touched only by messages that do not come in one piece.
#[derive(Debug)]
pub(crate) struct Uploads {
    limits: UploadLimits,
    held: Mutex<HalfUploads>,
}

#[derive(Debug, Default)]
struct HalfUploads {
    all: usize,
    strangers: usize,
    groups: HashMap<u32, usize>,
}

impl Uploads {
    pub(crate) fn new(limits: UploadLimits) -> Self {
        Self { limits, held: Mutex::default() }
    }

    /// Counts one connection's incomplete message, which has grown or shrunk; false when somebody
    /// whom it counts among is over the budget.
    pub(crate) fn count(&self, uploader: Uploader, before: usize, after: usize) -> bool {
        let mut held = lock(&self.held);
        held.all = held.all + after - before;
        let mut has_room = held.all <= self.limits.all_bytes_max;
        if uploader.is_stranger() {
            held.strangers = held.strangers + after - before;
            has_room &= held.strangers <= self.limits.strangers_bytes_max;
        }
        if let Some(group) = uploader.group() {
            let bytes = held.groups.entry(group).or_default();
            *bytes = *bytes + after - before;
            has_room &= *bytes <= self.limits.group_bytes_max;
            if *bytes == 0 {
                held.groups.remove(&group);
            }
        }
        has_room
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn uploader(upload_group: u32, is_stranger: bool) -> Uploader {
        Uploader::of(SenderTerms { message_bytes_max: 0, upload_group, is_stranger })
    }

    #[test]
    fn neither_strangers_nor_one_address_take_the_room_of_others() {
        let limits = UploadLimits {
            all_bytes_max: 100,
            strangers_bytes_max: 20,
            group_bytes_max: 50,
            message_ms: 0,
        };
        let uploads = Uploads::new(limits);
        assert!(uploads.count(uploader(1, true), 0, 20));
        assert!(!uploads.count(uploader(2, true), 0, 1));
        assert!(uploads.count(uploader(3, false), 0, 50));
        assert!(!uploads.count(uploader(3, false), 0, 1));
        assert!(uploads.count(uploader(4, false), 0, 28), "the others have their room");
        for (group, bytes) in [(3, 50), (3, 1), (4, 28)] {
            uploads.count(uploader(group, false), bytes, 0);
        }
        uploads.count(uploader(1, true), 20, 0);
        uploads.count(uploader(2, true), 1, 0);
        let held = lock(&uploads.held);
        assert_eq!((held.all, held.strangers, held.groups.len()), (0, 0, 0));
    }
}
