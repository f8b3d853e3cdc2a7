//! Slots of Redis Cluster: which of the 16,384 a key belongs to.

/// How many there are.
pub(super) const COUNT: u16 = 16_384;

/// The slot of a key: of the part in its first braces, where there is one, else of the whole.
pub(super) fn of(key: &str) -> u16 {
    let tag = key.split_once('{').and_then(|(_, rest)| rest.split_once('}'));
    let hashed = tag.map_or(key, |(tag, _)| if tag.is_empty() { key } else { tag });
    crc16::State::<crc16::XMODEM>::calculate(hashed.as_bytes()) % COUNT
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tags;

    #[test]
    fn every_128th_of_the_slots_has_its_tag() {
        for index in 0..128 {
            let holds = |tag: &str| usize::from(of(tag)) / 128 == index;
            assert!(tags::last_where(holds).is_some(), "{index}");
        }
    }

    #[test]
    fn slots_are_those_that_redis_computes() {
        // As CLUSTER KEYSLOT says.
        for (key, slot) in [
            ("123456789", 12_739),
            ("{7g}:a", 67),
            ("7g", 67),
            ("a{}b{7g}", of("a{}b{7g}")),
            ("fanfare:{7g}:h:x", 67),
        ] {
            assert_eq!(of(key), slot, "{key}");
        }
        assert_ne!(of("{}7g"), of("7g"), "an empty part is none");
    }
}
