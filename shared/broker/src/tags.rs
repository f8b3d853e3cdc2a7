//! Hash tags: which keys live together when a cluster spreads them.
//!
//! There are 128 tags whose slots lie evenly over the 16,384 of a cluster, so that any number of
//! primaries gets its share; what belongs together (head and history of a channel) has one tag.

/// Tag k is the two-letter text whose slot lies nearest to the middle of the k-th 128th.
const TAGS: [&str; 128] = [
    "7g", "7c", "k6", "k2", "cg", "cc", "co", "ck", "4n", "4j", "ov", "or", "36", "ps", "x7", "x3",
    "69", "jd", "61", "ut", "zh", "zl", "ex", "b5", "ii", "im", "2q", "q4", "ya", "ye", "a8", "fu",
    "bm", "bi", "9u", "z0", "6m", "6i", "mu", "mq", "ad", "y1", "al", "y9", "5d", "qh", "i5", "i1",
    "c3", "c7", "dr", "dv", "kj", "kn", "0r", "s7", "xk", "xo", "xc", "xg", "hc", "hg", "42", "ww",
    "mo", "mk", "6w", "u2", "9o", "9k", "bw", "bs", "nf", "nb", "27", "5z", "av", "ar", "f7", "f3",
    "0h", "0l", "l9", "kt", "dh", "dl", "89", "dd", "3a", "3e", "hy", "o4", "ga", "ge", "xq", "xu",
    "8e", "8a", "d4", "d0", "le", "la", "04", "7y", "g5", "g1", "4e", "g9", "ol", "oh", "4t", "39",
    "eb", "ef", "93", "zv", "1b", "1f", "jz", "m7", "fk", "fo", "fc", "fg", "2k", "2o", "is", "iw",
];

/// The tag of everything about `name`.
pub(crate) fn of(name: &str) -> &'static str {
    TAGS[index(name)]
}

/// The number of the tag of everything about `name`.
pub(crate) fn index(name: &str) -> usize {
    crc32fast::hash(name.as_bytes()) as usize % TAGS.len()
}

/// The last tag that a condition holds for.
pub(crate) fn last_where(holds: impl Fn(&str) -> bool) -> Option<&'static str> {
    TAGS.iter().rev().find(|tag| holds(tag)).copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_spread_over_all_tags() {
        let mut counts = std::collections::HashMap::new();
        for n in 0..12_800 {
            *counts.entry(of(&format!("deployment:{n}"))).or_insert(0) += 1;
        }
        assert_eq!(counts.len(), TAGS.len());
        assert!(counts.values().all(|count| (50..200).contains(count)));
    }
}
