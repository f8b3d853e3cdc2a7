//! Reads paths and texts out of token streams: the insides of macros, which have no syntax of their own.

use proc_macro2::{Delimiter, TokenStream, TokenTree};

/// Something that a token stream names.
pub(crate) enum Mention {
    /// A path, or a single word that begins with a capital; with its line.
    Path(usize, Vec<String>),
    /// A string; with its line.
    Text(usize, String),
}

/// Lists what a token stream names, groups included.
pub(crate) fn scan(stream: &TokenStream) -> Vec<Mention> {
    let mut found = Vec::new();
    let tokens: Vec<_> = stream.clone().into_iter().collect();
    let mut at = 0;
    while at < tokens.len() {
        match &tokens[at] {
            TokenTree::Group(group) => found.extend(scan(&group.stream())),
            TokenTree::Literal(literal) => {
                if let Ok(text) = syn::parse_str::<syn::LitStr>(&literal.to_string()) {
                    found.push(Mention::Text(literal.span().start().line, text.value()));
                }
            }
            TokenTree::Ident(first) => {
                let line = first.span().start().line;
                let mut path = vec![first.to_string().trim_start_matches("r#").to_owned()];
                while let (true, Some(TokenTree::Ident(next))) =
                    (colons(&tokens, at + 1), tokens.get(at + 3))
                {
                    path.push(next.to_string().trim_start_matches("r#").to_owned());
                    at += 3;
                }
                if path.len() > 1 || path[0].starts_with(char::is_uppercase) {
                    found.push(Mention::Path(line, path));
                }
            }
            TokenTree::Punct(_) => {}
        }
        at += 1;
    }
    found
}

fn colons(tokens: &[TokenTree], at: usize) -> bool {
    let colon =
        |at: usize| matches!(tokens.get(at), Some(TokenTree::Punct(mark)) if mark.as_char() == ':');
    colon(at) && colon(at + 1)
}

/// Finds the message in the arguments of a log macro: the argument that is a string without a name before it.
pub(crate) fn message(stream: &TokenStream) -> Option<String> {
    let mut begins = true;
    for token in stream.clone() {
        match &token {
            TokenTree::Literal(literal) if begins => {
                if let Ok(text) = syn::parse_str::<syn::LitStr>(&literal.to_string()) {
                    return Some(text.value());
                }
                begins = false;
            }
            TokenTree::Punct(mark) => begins = mark.as_char() == ',',
            _ => begins = false,
        }
    }
    None
}

/// Says whether a `cfg` predicate names `test` outside a `not(…)`.
pub(crate) fn asks_for_test(stream: &TokenStream) -> bool {
    let mut negated = false;
    for token in stream.clone() {
        match token {
            TokenTree::Ident(name) if name == "test" => return true,
            TokenTree::Ident(name) => negated = name == "not",
            TokenTree::Group(group) if group.delimiter() == Delimiter::Parenthesis => {
                if !negated && asks_for_test(&group.stream()) {
                    return true;
                }
                negated = false;
            }
            _ => {}
        }
    }
    false
}
