//! What the measure is held against: floors, dialects, tiers of crates, words.

use std::collections::BTreeMap;

use serde::Deserialize;

/// The plan of the house.
#[derive(Debug)]
pub struct Plan {
    /// The crate that has floors.
    pub crate_name: &'static str,
    /// Rooms (first part of a module's path; `lib` for the root) by floor, from the top.
    pub floors: &'static [&'static [&'static str]],
    /// Rooms that may name no dialect.
    pub silent: &'static [&'static str],
    /// Modules of the dialects.
    pub dialects: &'static [&'static str],
    /// Dialects whose names are also plain words: counted as parts of a path and as strings only.
    pub plain_words: &'static [&'static str],
    /// Dialects whose names are also kinds of channels: their strings are not counted.
    pub channel_kinds: &'static [&'static str],
    /// Which crate may depend on which.
    pub crates: Crates,
    /// Words that are private or odd.
    pub words: Words,
}

/// Which crate may depend on which, and who alone may name what.
#[derive(Debug)]
pub struct Crates {
    /// Crates by tier, from the top: a crate depends on lower tiers only.
    pub tiers: &'static [&'static [&'static str]],
    /// Crates on which only some may depend: (dependency, who may).
    pub reserved: &'static [(&'static str, &'static [&'static str])],
    /// Crates that may spawn tasks or threads.
    pub spawners: &'static [&'static str],
}

/// Words that are private or odd, read from TOML.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Words {
    /// Phrases that documentation does not use.
    pub english: Vec<String>,
    /// Private words and the field's words for them.
    #[serde(rename = "word")]
    pub private: Vec<PrivateWords>,
}

/// Private words of one kind, and the words of the field.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PrivateWords {
    /// Where such a word stands.
    pub kind: WordKind,
    /// Parts of a path, one of which must occur in a file's; none: every file.
    #[serde(default)]
    pub within: Vec<String>,
    /// The field's word by the private one.
    pub say: BTreeMap<String, String>,
}

/// Where a private word stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum WordKind {
    /// Name of a file.
    Module,
    /// Name that a declaration brings up.
    Declared,
    /// A whole text between quotes or tags of a web page.
    Page,
    /// A phrase in README.md or docs/.
    Documentation,
}

impl Words {
    /// Reads the words out of a TOML text.
    ///
    /// # Errors
    /// Names what is no such list.
    pub fn parse(text: &str) -> anyhow::Result<Self> {
        Ok(toml::from_str(text)?)
    }
}
