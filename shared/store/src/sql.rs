//! What is asked of a database, in words that both engines share: statements, parameters, columns.
//!
//! Everything that is asked of a database is a [`Statement`] beside the code that asks it, in one
//! wording where both engines understand it and in two where they do not. So the rules of the
//! record are written once, and a difference between the engines can be seen at a glance.

/// What is asked of a database. Parameters are `$1`, `$2` … in both wordings.
#[derive(Clone, Copy, Debug)]
pub(super) struct Statement {
    pub(super) postgres: &'static str,
    pub(super) sqlite: &'static str,
}

/// One wording for both engines.
pub(super) const fn both(sql: &'static str) -> Statement {
    Statement { postgres: sql, sqlite: sql }
}

/// A wording for each.
pub(super) const fn each(postgres: &'static str, sqlite: &'static str) -> Statement {
    Statement { postgres, sqlite }
}

/// A value for `$1`, `$2` … of a statement.
#[derive(Clone, Copy, Debug)]
pub(super) enum Param<'a> {
    /// A signed 64-bit number.
    Int(i64),
    /// A number or NULL.
    MaybeInt(Option<i64>),
    /// A string without U+0000.
    Text(&'a str),
    /// A string or NULL.
    MaybeText(Option<&'a str>),
    /// Many rows at once, always the last parameter. PostgreSQL gets an array for each column, for
    /// `unnest($2, $3, …)`; SQLite one JSON array of rows, for `json_each($2)`. A table without
    /// rows says that there is nothing to do: the statement is not run and answers no rows.
    Table(&'a [Column<'a>]),
    /// The same for a list that may be empty.
    List(&'a [Column<'a>]),
}

/// A column of a [`Param::Table`]; all columns are equally long.
#[derive(Clone, Debug)]
pub(super) enum Column<'a> {
    /// Signed 64-bit numbers.
    Ints(Vec<i64>),
    /// Numbers and NULLs.
    MaybeInts(Vec<Option<i64>>),
    /// Strings without U+0000.
    Texts(Vec<&'a str>),
    /// Strings and NULLs.
    MaybeTexts(Vec<Option<&'a str>>),
}

impl Param<'_> {
    /// Whether it is a table without rows.
    pub(super) const fn is_nothing(&self) -> bool {
        matches!(self, Self::Table([column, ..]) if column.len() == 0)
    }
}

impl Column<'_> {
    /// How many rows.
    pub(super) const fn len(&self) -> usize {
        match self {
            Self::Ints(values) => values.len(),
            Self::MaybeInts(values) => values.len(),
            Self::Texts(values) => values.len(),
            Self::MaybeTexts(values) => values.len(),
        }
    }
}

/// What a session is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum SessionKind {
    /// Single statements that only read.
    Read,
    /// Single statements that write.
    Write,
    /// A transaction that writes.
    Transaction,
}
