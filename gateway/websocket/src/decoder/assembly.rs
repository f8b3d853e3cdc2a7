//! A message that arrives in pieces, checked piece by piece.

use std::borrow::Cow;

use crate::rules::{MessageLimits, Received, Violation};

/// A message under construction.
#[derive(Debug)]
pub(super) struct Assembly {
    content: Content,
    /// Payload bytes announced so far by the headers of its fragments.
    announced: usize,
    fragments: u32,
}

#[derive(Debug)]
enum Content {
    /// `cut` holds the first bytes of a character that the next piece completes.
    Text {
        text: String,
        cut: Vec<u8>,
    },
    Binary(Vec<u8>),
}

impl Assembly {
    pub(super) fn new(is_text: bool) -> Self {
        let content = if is_text {
            Content::Text { text: String::new(), cut: Vec::new() }
        } else {
            Content::Binary(Vec::new())
        };
        Self { content, announced: 0, fragments: 0 }
    }

    /// Counts one more fragment of `length` bytes against the limits. Nothing is reserved.
    pub(super) fn begin_fragment(
        &mut self,
        length: usize,
        limits: MessageLimits,
    ) -> Result<(), Violation> {
        self.announced = self.announced.saturating_add(length);
        self.fragments += 1;
        if self.announced > limits.bytes_max || self.fragments > limits.fragments_max {
            return Err(Violation::TooBig);
        }
        Ok(())
    }

    /// Appends unmasked payload, of whose frame `remaining` bytes are still to come.
    pub(super) fn push(&mut self, piece: &[u8], remaining: usize) -> Result<(), Violation> {
        match &mut self.content {
            Content::Text { text, cut } => {
                if let Some(more) = growth(text.len(), text.capacity(), piece.len(), remaining) {
                    text.reserve_exact(more);
                }
                push_text(text, cut, piece)
            }
            Content::Binary(bytes) => {
                if let Some(more) = growth(bytes.len(), bytes.capacity(), piece.len(), remaining) {
                    bytes.reserve_exact(more);
                }
                bytes.extend_from_slice(piece);
                Ok(())
            }
        }
    }

    /// Returns the memory that the message takes, in bytes.
    pub(super) fn held_bytes(&self) -> usize {
        match &self.content {
            Content::Text { text, cut } => text.capacity() + cut.capacity(),
            Content::Binary(bytes) => bytes.capacity(),
        }
    }

    /// Returns the message; the last fragment is complete.
    pub(super) fn finish<'a>(self) -> Result<Received<'a>, Violation> {
        match self.content {
            Content::Text { text, cut } if cut.is_empty() => Ok(Received::Text(Cow::Owned(text))),
            Content::Text { .. } => Err(Violation::InvalidText),
            Content::Binary(bytes) => Ok(Received::Binary(Cow::Owned(bytes))),
        }
    }
}

/// Returns how much to reserve: doubling, but never past what the frame has announced.
fn growth(length: usize, capacity: usize, piece: usize, remaining: usize) -> Option<usize> {
    (capacity - length < piece).then(|| piece + remaining.min(length))
}

/// Appends the characters in `piece` and keeps the one that is cut at its end.
fn push_text(text: &mut String, cut: &mut Vec<u8>, piece: &[u8]) -> Result<(), Violation> {
    let mut piece = piece;
    while !cut.is_empty() {
        let Some((next, rest)) = piece.split_first() else { return Ok(()) };
        cut.push(*next);
        piece = rest;
        match std::str::from_utf8(cut) {
            Ok(character) => {
                text.push_str(character);
                *cut = Vec::new();
            }
            Err(error) if error.error_len().is_some() => return Err(Violation::InvalidText),
            Err(_incomplete) => {}
        }
    }
    match std::str::from_utf8(piece) {
        Ok(whole) => text.push_str(whole),
        Err(error) if error.error_len().is_some() => return Err(Violation::InvalidText),
        Err(error) => {
            let (whole, rest) = piece.split_at(error.valid_up_to());
            text.push_str(std::str::from_utf8(whole).map_err(|_invalid| Violation::InvalidText)?);
            cut.extend_from_slice(rest);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: MessageLimits = MessageLimits { bytes_max: 16, fragments_max: 8 };

    #[test]
    fn a_character_may_be_cut_anywhere() {
        for text in ["aé", "a€b", "😀😀", "z"] {
            for cut in 0..=text.len() {
                let mut message = Assembly::new(true);
                let (head, tail) = text.as_bytes().split_at(cut);
                assert_eq!(message.push(head, tail.len()), Ok(()));
                assert_eq!(message.push(tail, 0), Ok(()));
                assert_eq!(message.finish(), Ok(Received::Text(text.into())));
            }
        }
    }

    #[test]
    fn bad_text_is_refused_at_the_byte_that_breaks_it() {
        let mut message = Assembly::new(true);
        assert_eq!(message.push(b"ok \xF0\x9F", 10), Ok(()));
        assert_eq!(message.push(b"x", 9), Err(Violation::InvalidText));
        let mut surrogate = Assembly::new(true);
        assert_eq!(surrogate.push(b"\xED\xA0", 1), Err(Violation::InvalidText));
    }

    #[test]
    fn a_message_that_ends_inside_a_character_is_refused() {
        let mut message = Assembly::new(true);
        assert_eq!(message.push(b"\xE2\x82", 0), Ok(()));
        assert_eq!(message.finish(), Err(Violation::InvalidText));
    }

    #[test]
    fn limits_count_what_was_announced_over_all_fragments() {
        let mut message = Assembly::new(false);
        assert_eq!(message.begin_fragment(16, LIMITS), Ok(()));
        assert_eq!(message.begin_fragment(1, LIMITS), Err(Violation::TooBig));
        let mut empty = Assembly::new(false);
        for _ in 0..8 {
            assert_eq!(empty.begin_fragment(0, LIMITS), Ok(()));
        }
        assert_eq!(empty.begin_fragment(0, LIMITS), Err(Violation::TooBig));
    }
}
