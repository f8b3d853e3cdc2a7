//! What the `data` of a type must look like: checked at every door, and told as JSON Schema.
//!
//! Schemas ask for little and let everything else through (contract §3).

use serde_json::{Map, Value, json};

use super::{rejection::Rejection, state::State};
use crate::id;

/// The most repositories of one event: what it may write is bounded like what it may weigh.
pub const REPOS_MAX: usize = 5000;

/// What a type asks of its `data`.
#[derive(Clone, Copy, Debug, Default)]
pub struct Schema {
    /// Members that are looked at wherever they stand.
    pub members: &'static [Member],
    /// One of these has to be there.
    pub any_of: &'static [&'static str],
    /// The first of these that is there is the one that counts; one has to be there.
    pub first_of: &'static [Member],
}

/// A member of `data`.
#[derive(Clone, Copy, Debug)]
pub struct Member {
    /// Its key.
    pub key: &'static str,
    /// What it must be.
    pub shape: Shape,
    /// Whether it may be absent.
    pub required: bool,
}

/// What a member must be.
#[derive(Clone, Copy, Debug)]
pub enum Shape {
    /// A string.
    Text,
    /// A string that is not empty.
    FilledText,
    /// One of a few words.
    Word(&'static [&'static str]),
    /// An array of strings.
    Texts,
    /// An array of repositories, each with `id`, `path` and `name`.
    Repos,
}

/// Schema of a type that takes any object.
pub const ANY: Schema = Schema { members: &[], any_of: &[], first_of: &[] };

/// A member that has to be there.
pub const fn required(key: &'static str, shape: Shape) -> Member {
    Member { key, shape, required: true }
}

/// A member that may be absent.
pub const fn optional(key: &'static str, shape: Shape) -> Member {
    Member { key, shape, required: false }
}

impl Schema {
    /// Checks a body.
    ///
    /// # Errors
    /// [`Rejection`] with the first member that is wrong.
    pub fn check(&self, body: &State) -> Result<(), Rejection> {
        if let [first, rest @ ..] = self.any_of
            && !self.any_of.iter().any(|key| body.contains_key(*key))
        {
            let message = format!("is required, or {}", rest.join(", "));
            return Err(Rejection::new(format!("data.{first}"), message));
        }
        for member in self.members {
            match body.get(member.key) {
                Some(value) => member.check(value)?,
                None if member.required => return Err(member.missing()),
                None => {}
            }
        }
        let given = self.first_of.iter().find_map(|m| body.get(m.key).map(|value| (m, value)));
        match (given, self.first_of) {
            (Some((member, value)), _) => member.check(value),
            (None, [first, ..]) => Err(first.missing()),
            (None, []) => Ok(()),
        }
    }

    /// Writes the schema as a JSON Schema 2020-12 document.
    pub fn document(&self, id: &str, title: &str) -> Value {
        let mut document = json!({
            "$schema": "https://json-schema.org/draft/2020-12/schema",
            "$id": id,
            "title": title,
            "type": "object",
        });
        let properties: Map<String, Value> =
            self.members.iter().map(|m| (m.key.to_owned(), m.shape.document())).collect();
        if !properties.is_empty() {
            document["properties"] = properties.into();
        }
        let required: Vec<&str> =
            self.members.iter().filter(|m| m.required).map(|m| m.key).collect();
        if !required.is_empty() {
            document["required"] = required.into();
        }
        if !self.any_of.is_empty() {
            let each = self.any_of.iter().map(|key| json!({ "required": [key] }));
            document["anyOf"] = each.collect();
        }
        if let Some(choice) = choice(self.first_of) {
            document["allOf"] = json!([choice]);
        }
        document
    }
}

/// The first member that is there counts: `if` it is required, `then` its shape, `else` the next.
fn choice(members: &[Member]) -> Option<Value> {
    let (member, rest) = members.split_first()?;
    let then = json!({ "properties": { member.key: member.shape.document() } });
    let mut last = then.clone();
    last["required"] = json!([member.key]);
    Some(match choice(rest) {
        Some(next) => json!({ "if": { "required": [member.key] }, "then": then, "else": next }),
        None => last,
    })
}

impl Member {
    fn missing(&self) -> Rejection {
        let message = match self.shape {
            Shape::Word(words) => format!("is required: {}", words.join(", ")),
            Shape::Repos | Shape::Texts => String::from("is required and must be an array"),
            Shape::Text | Shape::FilledText => String::from("is required"),
        };
        Rejection::new(format!("data.{}", self.key), message)
    }

    fn check(&self, value: &Value) -> Result<(), Rejection> {
        let path = || format!("data.{}", self.key);
        match (self.shape, value) {
            (Shape::FilledText, Value::String(text)) if text.is_empty() => {
                Err(Rejection::new(path(), "must not be empty"))
            }
            (Shape::Text | Shape::FilledText, Value::String(_)) => Ok(()),
            (Shape::Text | Shape::FilledText, _) => Err(Rejection::new(path(), "must be a text")),
            (Shape::Word(words), Value::String(word)) if words.contains(&word.as_str()) => Ok(()),
            (Shape::Word(words), _) => {
                Err(Rejection::new(path(), format!("must be one of {}", words.join(", "))))
            }
            (Shape::Texts, Value::Array(items)) => {
                match items.iter().position(|item| !item.is_string()) {
                    Some(at) => Err(Rejection::new(format!("{}.{at}", path()), "must be a text")),
                    None => Ok(()),
                }
            }
            (Shape::Texts, _) => Err(Rejection::new(path(), "must be an array of texts")),
            (Shape::Repos, Value::Array(repos)) => check_repos(&path(), repos),
            (Shape::Repos, _) => Err(Rejection::new(path(), "is required and must be an array")),
        }
    }
}

fn check_repos(path: &str, repos: &[Value]) -> Result<(), Rejection> {
    if repos.len() > REPOS_MAX {
        let message = format!("must hold at most {REPOS_MAX} repositories, not {}", repos.len());
        return Err(Rejection::new(path, message));
    }
    for (at, repo) in repos.iter().enumerate() {
        for key in ["id", "path", "name"] {
            if repo.get(key).and_then(Value::as_str).is_none_or(str::is_empty) {
                let path = format!("{path}.{at}.{key}");
                return Err(Rejection::new(path, "is required and must be a text"));
            }
        }
        let repo_id = repo.get("id").and_then(Value::as_str).unwrap_or_default();
        if let Err(error) = id::check(repo_id) {
            return Err(Rejection::new(format!("{path}.{at}.id"), error.to_string()));
        }
    }
    Ok(())
}

impl Shape {
    fn document(self) -> Value {
        match self {
            Self::Text => json!({ "type": "string" }),
            Self::FilledText => json!({ "type": "string", "minLength": 1 }),
            Self::Word(words) => json!({ "enum": words }),
            Self::Texts => json!({ "type": "array", "items": { "type": "string" } }),
            Self::Repos => json!({
                "type": "array",
                "maxItems": REPOS_MAX,
                "items": {
                    "type": "object",
                    "required": ["id", "path", "name"],
                    "properties": {
                        "id": { "type": "string", "minLength": 1, "maxLength": id::ID_BYTES_MAX },
                        "path": { "type": "string", "minLength": 1 },
                        "name": { "type": "string", "minLength": 1 },
                    },
                },
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SCHEMA: Schema = Schema {
        members: &[
            required("title", Shape::FilledText),
            optional("level", Shape::Word(&["low", "high"])),
            optional("note", Shape::Text),
        ],
        any_of: &["a", "b"],
        first_of: &[required("lines", Shape::Texts), required("message", Shape::Text)],
    };

    fn wrong(schema: Schema, body: &Value) -> Option<(String, String)> {
        let rejection = schema.check(body.as_object().unwrap()).err()?;
        Some((rejection.path, rejection.message))
    }

    #[test]
    fn the_first_member_that_is_wrong_is_named() {
        for (body, path, message) in [
            (json!({}), "data.a", "is required, or b"),
            (json!({ "a": 1 }), "data.title", "is required"),
            (json!({ "b": 1, "title": "" }), "data.title", "must not be empty"),
            (json!({ "b": 1, "title": 5 }), "data.title", "must be a text"),
            (
                json!({ "b": 1, "title": "t", "level": "mid" }),
                "data.level",
                "must be one of low, high",
            ),
            (json!({ "b": 1, "title": "t", "note": 1 }), "data.note", "must be a text"),
            (json!({ "b": 1, "title": "t" }), "data.lines", "is required and must be an array"),
            (
                json!({ "b": 1, "title": "t", "lines": 5 }),
                "data.lines",
                "must be an array of texts",
            ),
            (json!({ "b": 1, "title": "t", "lines": ["a", 5] }), "data.lines.1", "must be a text"),
            (json!({ "b": 1, "title": "t", "message": 5 }), "data.message", "must be a text"),
        ] {
            assert_eq!(wrong(SCHEMA, &body), Some((path.into(), message.into())), "{body}");
        }
        for body in [
            json!({ "a": 1, "title": "t", "lines": [], "message": 5 }),
            json!({ "b": 1, "title": "t", "message": "", "level": "low", "note": "" }),
        ] {
            assert_eq!(wrong(SCHEMA, &body), None, "{body}");
        }
        const WORD: &[Member] = &[required("w", Shape::Word(&["x", "y"]))];
        let word = Schema { members: WORD, ..ANY };
        let missing = Some(("data.w".to_owned(), "is required: x, y".to_owned()));
        assert_eq!(wrong(word, &json!({})), missing);
    }

    #[test]
    fn repositories_have_an_id_a_path_and_a_name_and_are_bounded() {
        const REPOS: &[Member] = &[required("repos", Shape::Repos)];
        let repos = Schema { members: REPOS, ..ANY };
        let repo = |id: &str| json!({ "id": id, "path": "/p", "name": "n" });
        assert_eq!(wrong(repos, &json!({ "repos": [repo("org/repo")] })), None);
        for (body, path) in [
            (json!({ "repos": {} }), "data.repos"),
            (json!({ "repos": [repo("a"), repo("")] }), "data.repos.1.id"),
            (json!({ "repos": [repo("a*")] }), "data.repos.0.id"),
            (json!({ "repos": [{ "id": "a", "name": "n" }] }), "data.repos.0.path"),
            (json!({ "repos": [{ "id": "a", "path": "/p", "name": 5 }] }), "data.repos.0.name"),
            (json!({ "repos": vec![repo("a"); REPOS_MAX + 1] }), "data.repos"),
        ] {
            assert_eq!(wrong(repos, &body).unwrap().0, path, "{path}");
        }
        assert_eq!(wrong(repos, &json!({ "repos": vec![repo("a"); REPOS_MAX] })), None);
    }

    #[test]
    fn the_document_says_what_the_check_asks() {
        let document = SCHEMA.document("/schemas/s/t.json", "t");
        assert_eq!(document["$schema"], "https://json-schema.org/draft/2020-12/schema");
        assert_eq!(document["$id"], "/schemas/s/t.json");
        assert_eq!(document["title"], "t");
        assert_eq!(document["type"], "object");
        assert_eq!(document["required"], json!(["title"]));
        assert_eq!(document["properties"]["title"], json!({ "type": "string", "minLength": 1 }));
        assert_eq!(document["properties"]["level"], json!({ "enum": ["low", "high"] }));
        assert_eq!(document["properties"]["note"], json!({ "type": "string" }));
        assert_eq!(document["anyOf"], json!([{ "required": ["a"] }, { "required": ["b"] }]));
        let texts = json!({ "type": "array", "items": { "type": "string" } });
        assert_eq!(
            document["allOf"],
            json!([{
                "if": { "required": ["lines"] },
                "then": { "properties": { "lines": texts } },
                "else": { "properties": { "message": { "type": "string" } }, "required": ["message"] },
            }])
        );
        let any = ANY.document("i", "t");
        assert_eq!(any.as_object().unwrap().len(), 4, "nothing but what it is: {any}");
        let repos = Shape::Repos.document();
        assert_eq!(repos["maxItems"], REPOS_MAX);
        assert_eq!(repos["items"]["required"], json!(["id", "path", "name"]));
    }
}
