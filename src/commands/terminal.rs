//! What an event says, made harmless: a terminal obeys control sequences, whoever wrote them.

/// What ends every style.
const RESET: &str = "\u{1b}[0m";

/// A text without control characters and sequences. Colours and styles (SGR) may stay, and end with
/// their line; so may tabs and line breaks.
pub(crate) fn harmless(text: &str) -> String {
    let mut clean = String::with_capacity(text.len());
    let mut is_styled = false;
    let mut rest = text.chars().peekable();
    while let Some(c) = rest.next() {
        match c {
            '\u{1b}' => {
                let sequence = sequence(&mut rest);
                if let Some(style) = sequence.strip_prefix('[').filter(|style| is_style(style)) {
                    clean.push_str("\u{1b}[");
                    clean.push_str(style);
                    is_styled = !matches!(style, "m" | "0m");
                }
            }
            // The same in one character: CSI, and the strings DCS, SOS, OSC, PM, APC.
            '\u{9b}' => skip_control(&mut rest, &mut String::new()),
            '\u{90}' | '\u{98}' | '\u{9d}' | '\u{9e}' | '\u{9f}' => skip_string(&mut rest),
            '\n' => {
                if std::mem::take(&mut is_styled) {
                    clean.push_str(RESET);
                }
                clean.push('\n');
            }
            '\t' => clean.push('\t'),
            c if c.is_control() => {}
            c => clean.push(c),
        }
    }
    if is_styled {
        clean.push_str(RESET);
    }
    clean
}

type Rest<'a> = std::iter::Peekable<std::str::Chars<'a>>;

/// Takes what follows an escape: of a control sequence all of it, of a string all of it unseen.
fn sequence(rest: &mut Rest<'_>) -> String {
    let mut taken = String::new();
    match rest.next() {
        Some('[') => {
            taken.push('[');
            skip_control(rest, &mut taken);
        }
        Some(']' | 'P' | 'X' | '^' | '_') => skip_string(rest),
        // A character set or the like: one more character belongs to it.
        Some(' '..='/') => drop(rest.next()),
        _ => {}
    }
    taken
}

/// Takes a control sequence, up to its final character.
fn skip_control(rest: &mut Rest<'_>, taken: &mut String) {
    while let Some(c) = rest.next_if(|c| (' '..='~').contains(c)) {
        taken.push(c);
        if ('@'..='~').contains(&c) {
            return;
        }
    }
}

/// Takes a string that is for the terminal alone, up to its end; one without an end takes the line.
fn skip_string(rest: &mut Rest<'_>) {
    while let Some(c) = rest.next_if(|c| *c != '\n') {
        match c {
            '\u{7}' | '\u{9c}' => return,
            '\u{1b}' => {
                rest.next_if_eq(&'\\');
                return;
            }
            _ => {}
        }
    }
}

/// Whether a control sequence only chooses colours and styles.
fn is_style(sequence: &str) -> bool {
    sequence.strip_suffix('m').is_some_and(|parameters| {
        parameters.bytes().all(|b| b.is_ascii_digit() || b == b';' || b == b':')
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_log_line_drives_no_clipboard_no_title_and_no_cursor() {
        for (said, seen) in [
            ("a\u{1b}]52;c;ZXZpbA==\u{7}b", "ab"),
            ("a\u{1b}]0;title\u{1b}\\b", "ab"),
            ("a\u{9d}52;c;ZXZpbA==\u{9c}b", "ab"),
            ("a\u{1b}Pq#0\u{1b}\\b", "ab"),
            ("a\u{1b}[2J\u{1b}[1;1Hb\u{9b}2Jc", "abc"),
            ("a\u{1b}[?1049hb", "ab"),
            ("a\rb\u{8}c\u{7f}d\u{85}e", "abcde"),
            ("a\u{1b}]52;c;no end", "a"),
            ("a\u{1b}", "a"),
            ("tab\tand\nline \u{e9} \u{1f600}", "tab\tand\nline \u{e9} \u{1f600}"),
        ] {
            assert_eq!(harmless(said), seen, "{said:?}");
        }
    }

    #[test]
    fn colours_stay_and_end_with_their_line() {
        assert_eq!(harmless("\u{1b}[31mred"), "\u{1b}[31mred\u{1b}[0m");
        assert_eq!(harmless("\u{1b}[31mred\u{1b}[0m"), "\u{1b}[31mred\u{1b}[0m");
        assert_eq!(harmless("\u{1b}[38:5:1mx\ny"), "\u{1b}[38:5:1mx\u{1b}[0m\ny");
        assert_eq!(harmless("\u{1b}[>4;2mx"), "x", "a private sequence is no style");
    }
}
