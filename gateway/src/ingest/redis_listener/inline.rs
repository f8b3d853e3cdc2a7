//! A command as a person types it: words apart by blanks, quoted where they hold some.

use bytes::Bytes;

/// Splits a line into its words, as `redis-cli` and Redis do: `"…"` with `\n \r \t \b \a \xHH` and
/// `\` before anything else, `'…'` with `\'`. Returns none when a quote is left open, or is followed
/// by something else than a blank.
pub(super) fn split(line: &[u8]) -> Option<Vec<Bytes>> {
    let mut words = Vec::new();
    let mut rest = line.trim_ascii_start();
    while !rest.is_empty() {
        let (word, after) = word(rest)?;
        words.push(word.into());
        rest = after.trim_ascii_start();
    }
    Some(words)
}

fn word(mut rest: &[u8]) -> Option<(Vec<u8>, &[u8])> {
    let mut word = Vec::new();
    loop {
        rest = match rest {
            [] => return Some((word, rest)),
            [blank, ..] if blank.is_ascii_whitespace() => return Some((word, rest)),
            [quote @ (b'"' | b'\''), inside @ ..] => {
                let after = quoted(*quote, inside, &mut word)?;
                let ends = after.first().is_none_or(u8::is_ascii_whitespace);
                return ends.then_some((word, after));
            }
            [byte, after @ ..] => {
                word.push(*byte);
                after
            }
        }
    }
}

fn quoted<'a>(quote: u8, mut rest: &'a [u8], word: &mut Vec<u8>) -> Option<&'a [u8]> {
    loop {
        let (byte, after) = match rest {
            [] => return None,
            [byte, after @ ..] if *byte == quote => return Some(after),
            [b'\\', b'\'', after @ ..] if quote == b'\'' => (b'\'', after),
            [b'\\', b'x', high, low, after @ ..] if quote == b'"' && hex(*high, *low).is_some() => {
                (hex(*high, *low)?, after)
            }
            [b'\\', escaped, after @ ..] if quote == b'"' => (unescaped(*escaped), after),
            [byte, after @ ..] => (*byte, after),
        };
        word.push(byte);
        rest = after;
    }
}

fn hex(high: u8, low: u8) -> Option<u8> {
    let digit = |byte: u8| char::from(byte).to_digit(16);
    u8::try_from(digit(high)? * 16 + digit(low)?).ok()
}

const fn unescaped(byte: u8) -> u8 {
    match byte {
        b'n' => b'\n',
        b'r' => b'\r',
        b't' => b'\t',
        b'b' => 8,
        b'a' => 7,
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_apart_by_blanks_and_whole_in_quotes() {
        for (line, expected) in [
            ("  a  b ", Some(vec!["a", "b"])),
            (r#"set 'it\'s' "a\"\x42\t\z" "#, Some(vec!["set", "it's", "a\"B\tz"])),
            (r#"'a\n' "\xg1""#, Some(vec![r"a\n", "xg1"])),
            ("''", Some(vec![""])),
            ("", Some(vec![])),
            ("'a'b", None),
            ("\"a", None),
            ("\"a\\", None),
        ] {
            let words =
                expected.map(|words| words.into_iter().map(Bytes::from).collect::<Vec<_>>());
            assert_eq!(split(line.as_bytes()), words, "{line}");
        }
    }
}
