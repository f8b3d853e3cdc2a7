//! Ids of what events are about: 1–200 bytes of `A-Za-z0-9._:@+=~-` (contract §3).

/// The longest id, in bytes.
pub const ID_BYTES_MAX: usize = 200;

/// Why a text is no id.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum IdError {
    /// Nothing there.
    #[error("must not be empty")]
    Empty,
    /// Longer than [`ID_BYTES_MAX`].
    #[error("must be at most 200 bytes long, not {0}")]
    TooLong(usize),
    /// A character outside the set.
    #[error("must hold only A-Z a-z 0-9 . _ : @ + = ~ -, not {0:?}")]
    Character(char),
}

/// Checks an id.
///
/// # Errors
/// [`IdError`] with what is wrong.
pub fn check(id: &str) -> Result<(), IdError> {
    if id.is_empty() {
        return Err(IdError::Empty);
    }
    if id.len() > ID_BYTES_MAX {
        return Err(IdError::TooLong(id.len()));
    }
    let legal = |c: char| c.is_ascii_alphanumeric() || "._:@+=~-".contains(c);
    id.chars().find(|c| !legal(*c)).map_or(Ok(()), |c| Err(IdError::Character(c)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_bounded_and_of_a_small_set() {
        assert_eq!(check("A.z_0:@+=~-"), Ok(()));
        assert_eq!(check(""), Err(IdError::Empty));
        assert_eq!(check(&"x".repeat(201)), Err(IdError::TooLong(201)));
        assert_eq!(check("a b"), Err(IdError::Character(' ')));
        assert_eq!(check("ä"), Err(IdError::Character('ä')));
    }
}
