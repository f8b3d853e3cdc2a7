//! What somebody wrote, as far as it is shown again: in answers, frames and logs.

use std::borrow::Cow;

/// The most characters of a given text that are ever shown again.
pub const EXCERPT_CHARS_MAX: usize = 200;

/// Returns a text that somebody gave, cut to [`EXCERPT_CHARS_MAX`] characters; `…` stands for the rest.
///
/// Whoever is told what was wrong knows what was sent: more of it would only cost, many times over
/// where it is escaped.
pub fn excerpt(text: &str) -> Cow<'_, str> {
    match text.char_indices().nth(EXCERPT_CHARS_MAX) {
        None => Cow::Borrowed(text),
        Some((end, _)) => Cow::Owned(format!("{}…", &text[..end])),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_given_is_shown_beyond_200_characters() {
        assert_eq!(excerpt("short"), "short");
        assert_eq!(excerpt(&"é".repeat(200)), "é".repeat(200));
        assert_eq!(excerpt(&"\u{200b}".repeat(4 << 20)), format!("{}…", "\u{200b}".repeat(200)));
    }
}
