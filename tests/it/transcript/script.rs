//! The text of a transcript as steps.

use std::time::Duration;

use serde_json::Value;

/// Name and value of each header.
pub(crate) type Headers = Vec<(String, String)>;

/// One line.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Step {
    Connect { name: String, node: Option<usize>, path: String, headers: Headers },
    Refused { status: u16, path: String, headers: Headers, body: Body },
    Send { name: String, text: String, binary: bool },
    Expect { name: String, pattern: Value },
    Closed { name: String, code: u16, reason: Option<String> },
    Leave { name: String },
    Silence { name: String, time: Duration },
    Request(Box<Request>),
    Append { stream: String, fields: Vec<String> },
    Pause(Duration),
}

/// An HTTP request and what must be answered.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Request {
    /// Asked again until it is answered as expected.
    pub(crate) patient: bool,
    pub(crate) method: String,
    pub(crate) path: String,
    pub(crate) headers: Headers,
    pub(crate) body: Option<String>,
    pub(crate) status: u16,
    pub(crate) answer_headers: Headers,
    pub(crate) answer: Body,
}

/// What a body must be.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Body {
    Any,
    Json(Value),
    Text(String),
}

/// A whole file.
#[derive(Debug, Default)]
pub(crate) struct Script {
    pub(crate) settings: Vec<(String, String)>,
    /// The number of its line in the file, the line, and what it means.
    pub(crate) steps: Vec<(usize, String, Step)>,
}

impl Script {
    /// Reads a transcript; the error names the line.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let mut script = Self::default();
        for (number, line) in joined(text) {
            let at = |error: String| format!("line {number}: {error}: {line}");
            if let Some(setting) = line.strip_prefix("set ") {
                let (name, value) = setting.split_once('=').ok_or_else(|| at("no `=`".into()))?;
                script.settings.push((name.trim().to_owned(), value.trim().to_owned()));
            } else {
                let step = step(&line).map_err(at)?;
                script.steps.push((number, line, step));
            }
        }
        Ok(script)
    }
}

/// The lines that say something, each with those that go on from it.
fn joined(text: &str) -> Vec<(usize, String)> {
    let mut lines: Vec<(usize, String)> = Vec::new();
    for (index, line) in text.lines().enumerate() {
        let content = line.trim_end();
        match lines.last_mut() {
            _ if content.is_empty() || content.starts_with('#') => {}
            Some((_, before)) if content.starts_with(' ') => {
                before.push(' ');
                before.push_str(content.trim_start());
            }
            _ => lines.push((index + 1, content.to_owned())),
        }
    }
    lines
}

fn step(line: &str) -> Result<Step, String> {
    let (verb, rest) = word(line);
    match verb {
        "==" => opening(rest),
        ">" | ">b" => {
            let (name, text) = word(rest);
            Ok(Step::Send { name: name.to_owned(), text: text.to_owned(), binary: verb == ">b" })
        }
        "<" => {
            let (name, text) = word(rest);
            Ok(Step::Expect { name: name.to_owned(), pattern: json(text)? })
        }
        "!" => ending(rest),
        "XADD" => {
            let mut words = quoted(rest)?.into_iter();
            let stream = words.next().ok_or("no stream")?;
            Ok(Step::Append { stream, fields: words.collect() })
        }
        "pause" => Ok(Step::Pause(duration(rest)?)),
        "eventually" => request(rest, true),
        method if method.bytes().all(|byte| byte.is_ascii_uppercase()) => request(line, false),
        _ => Err("unknown verb".to_owned()),
    }
}

fn opening(text: &str) -> Result<Step, String> {
    let (verb, rest) = word(text);
    let (first, rest) = word(rest);
    let (path, rest) = word(rest);
    let (headers, rest) = headers(rest);
    match verb {
        "connect" if rest.is_empty() => {
            let (name, node) = match first.split_once('@') {
                Some((name, node)) => (name, Some(number(node)?)),
                None => (first, None),
            };
            Ok(Step::Connect { name: name.to_owned(), node, path: path.to_owned(), headers })
        }
        "refused" => {
            let body = body(rest.trim_start_matches("=>").trim())?;
            Ok(Step::Refused { status: number(first)?, path: path.to_owned(), headers, body })
        }
        _ => Err("neither `connect NAME PATH` nor `refused STATUS PATH`".to_owned()),
    }
}

fn ending(text: &str) -> Result<Step, String> {
    let (name, rest) = word(text);
    let name = name.to_owned();
    match word(rest) {
        ("leaves", "") => Ok(Step::Leave { name }),
        ("close", rest) => {
            let (code, reason) = word(rest);
            let reason = (!reason.is_empty()).then(|| reason.to_owned());
            Ok(Step::Closed { name, code: number(code)?, reason })
        }
        ("hears", rest) => {
            let time = rest.strip_prefix("nothing for ").ok_or("`hears nothing for TIME`")?;
            Ok(Step::Silence { name, time: duration(time)? })
        }
        _ => Err("neither `close`, `leaves` nor `hears nothing for`".to_owned()),
    }
}

fn request(text: &str, patient: bool) -> Result<Step, String> {
    let (method, text) = word(text);
    let (asked, answered) = text.split_once(" => ").ok_or("no ` => `")?;
    let (path, rest) = word(asked);
    let (asked_headers, sent) = headers(rest);
    let (status, rest) = word(answered);
    let (answer_headers, answer) = headers(rest);
    Ok(Step::Request(Box::new(Request {
        patient,
        method: method.to_owned(),
        path: path.to_owned(),
        headers: asked_headers,
        body: (!sent.is_empty()).then(|| sent.to_owned()),
        status: number(status)?,
        answer_headers,
        answer: body(answer)?,
    })))
}

fn body(text: &str) -> Result<Body, String> {
    if text.is_empty() {
        Ok(Body::Any)
    } else if text.starts_with(['{', '[', '"']) {
        json(text).map(Body::Json)
    } else {
        Ok(Body::Text(text.to_owned()))
    }
}

/// Leading `[Name: value]`s; a JSON list looks different.
fn headers(mut text: &str) -> (Headers, &str) {
    let mut headers = Headers::new();
    while let Some((name, value, rest)) = header(text) {
        headers.push((name.to_owned(), value.to_owned()));
        text = rest.trim_start();
    }
    (headers, text)
}

fn header(text: &str) -> Option<(&str, &str, &str)> {
    let (inside, rest) = text.strip_prefix('[')?.split_once(']')?;
    let (name, value) = inside.split_once(':')?;
    let is_name = name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
    is_name.then(|| (name, value.trim(), rest))
}

/// The first word and what follows it.
fn word(text: &str) -> (&str, &str) {
    let text = text.trim_start();
    text.split_once(' ').map_or((text, ""), |(word, rest)| (word, rest.trim_start()))
}

/// Words as a shell splits them, with `'…'` around one that has spaces.
fn quoted(text: &str) -> Result<Vec<String>, String> {
    let mut words = Vec::new();
    let mut rest = text.trim();
    while !rest.is_empty() {
        let (word, after) = match rest.strip_prefix('\'') {
            Some(inside) => inside.split_once('\'').ok_or("a quote is not closed")?,
            None => word(rest),
        };
        words.push(word.to_owned());
        rest = after.trim_start();
    }
    Ok(words)
}

fn json(text: &str) -> Result<Value, String> {
    serde_json::from_str(text).map_err(|error| error.to_string())
}

fn number<N: std::str::FromStr>(text: &str) -> Result<N, String> {
    text.parse().map_err(|_| format!("{text:?} is not a number"))
}

fn duration(text: &str) -> Result<Duration, String> {
    let ms = text.strip_suffix("ms").ok_or("a time ends in `ms`")?;
    number(ms).map(Duration::from_millis)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn one(line: &str) -> Step {
        Script::parse(line).expect("it is well-formed").steps.remove(0).2
    }

    #[test]
    fn a_request_has_headers_and_a_body_on_both_sides() {
        let Step::Request(request) =
            one(r#"POST /x [A: b] [{"n":1}] => 201 [Vary: Origin] {"ok":true}"#)
        else {
            panic!("not a request");
        };
        assert_eq!(request.headers, [("A".to_owned(), "b".to_owned())]);
        assert_eq!(request.body.as_deref(), Some(r#"[{"n":1}]"#));
        assert_eq!(request.status, 201);
        assert_eq!(request.answer_headers, [("Vary".to_owned(), "Origin".to_owned())]);
        assert_eq!(request.answer, Body::Json(json!({"ok": true})));
    }

    #[test]
    fn lines_go_on_and_keep_the_number_of_the_first() {
        let script = Script::parse("# remark\n\n< a {\"b\":\n    1}\n").expect("well-formed");
        assert_eq!(script.steps[0].0, 3);
        assert_eq!(
            script.steps[0].2,
            Step::Expect { name: "a".to_owned(), pattern: json!({"b": 1}) }
        );
    }

    #[test]
    fn what_is_sent_is_taken_as_it_is() {
        let step = one("> agent {not json");
        let text = "{not json".to_owned();
        assert_eq!(step, Step::Send { name: "agent".to_owned(), text, binary: false });
    }

    #[test]
    fn values_of_an_entry_may_hold_spaces() {
        let Step::Append { stream, fields } = one("XADD tasks type t data '{\"a\": \"b c\"}'")
        else {
            panic!("not an XADD");
        };
        assert_eq!(stream, "tasks");
        assert_eq!(fields, ["type", "t", "data", "{\"a\": \"b c\"}"]);
    }

    #[test]
    fn endings_are_closes_leaves_and_silences() {
        let name = || "a".to_owned();
        let reason = Some("Stale connection".to_owned());
        assert_eq!(
            one("! a close 1000 Stale connection"),
            Step::Closed { name: name(), code: 1000, reason }
        );
        assert_eq!(one("! a leaves"), Step::Leave { name: name() });
        let time = Duration::from_millis(300);
        assert_eq!(one("! a hears nothing for 300ms"), Step::Silence { name: name(), time });
    }

    #[test]
    fn a_mistake_names_its_line() {
        let error = Script::parse("pause 5ms\n< a {").expect_err("the pattern is not JSON");
        assert!(error.starts_with("line 2: EOF"), "{error}");
    }
}
