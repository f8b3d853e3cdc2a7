//! `POST /v1/tasks`, `GET /v1/tasks/{id}` and what is done with a task by hand (contract §8).

use auth::Identity;
use axum::{
    Json,
    extract::{FromRequest as _, Path, RawQuery, Request, State},
    http::HeaderMap,
    response::{IntoResponse as _, Response},
};
use domain::{
    channel::{Channel, ChannelKind},
    entry::Fields,
    event::{Rejection, submission::field},
    json,
    work::{TaskStatus, spec},
};
use http::StatusCode;
use serde_json::{Map, Value, json};
use store::Store;

use super::{
    access,
    body::Body,
    problem::Problem,
    task_door::{TaskDoor, asker, rejected},
    task_view,
};
use crate::http::address::ClientAddress;

/// The keys of a request that are fields of the entry.
const FIELDS: [&str; 4] = ["id", "user", "event_id", "lease_ms"];

/// The keys of a request that go into the task's `data` beside [`spec::KEYS`].
const DATA: [&str; 3] = ["title", "executor", "payload"];

/// What is wrong with a request: keys and messages.
type Wrong = Vec<(String, String)>;

/// Creates a task; for one agent unless it says `assign: "all"`.
pub async fn create(
    State(door): State<TaskDoor>,
    ClientAddress(address): ClientAddress,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
    body: Request,
) -> Result<Response, Problem> {
    let identity = access::identify(&door.auth, &headers, query.as_deref())?;
    if door.config.production() && !identity.is_known() {
        return Err(Problem::new(StatusCode::UNAUTHORIZED, "an API key or a token is required"));
    }
    let Body(body) = Body::from_request(body, &()).await?;
    let asked = object(&body)?;
    let (id, fields) = entry(&asked).map_err(|wrong| problems(&wrong))?;
    door.admit(&identity, address, &id)?;
    match door.record(fields).await? {
        Ok(Some(positions)) => {
            let own = Channel::entity(ChannelKind::Task, &id).to_string();
            let position = positions.into_iter().find(|(channel, _)| *channel == own);
            let status = status(&*door.store, &id).await;
            let position = position.map(|(_, position)| position);
            let body = json!({ "task": id, "status": status, "position": position });
            Ok((StatusCode::CREATED, Json(body)).into_response())
        }
        Ok(None) => Ok((StatusCode::ACCEPTED, Json(json!({ "task": id }))).into_response()),
        Err(rejection) if rejection.is_conflict() => Err(rejected(&rejection)),
        Err(rejection) => {
            let key = rejection.path.strip_prefix("data.").unwrap_or(&rejection.path);
            Err(problems(&[(key.to_owned(), rejection.message.clone())]))
        }
    }
}

/// How far a task is now: `pending` where nobody can say otherwise.
async fn status(store: &dyn Store, id: &str) -> &'static str {
    let view = store.work().task(id).await.ok().flatten();
    view.map_or(TaskStatus::Pending, |view| view.task.status).name()
}

fn object(body: &[u8]) -> Result<Map<String, Value>, Problem> {
    let bad = |detail: String| Problem::new(StatusCode::BAD_REQUEST, detail);
    match json::value(body) {
        Ok(Value::Object(asked)) => Ok(asked),
        Ok(_) => Err(bad(String::from("the body is a JSON object"))),
        Err(error) => Err(bad(format!("the body is no JSON: {error}"))),
    }
}

fn problems(wrong: &[(String, String)]) -> Problem {
    let list = wrong.iter().map(|(path, message)| json!({ "path": path, "message": message }));
    let detail = "nothing was created: see problems";
    Problem::new(StatusCode::BAD_REQUEST, detail).with("problems", list.collect())
}

/// The entry of a task that is asked for, and its id.
fn entry(asked: &Map<String, Value>) -> Result<(String, Fields), Wrong> {
    let mut wrong = unknown_keys(asked);
    let given = |key: &str| asked.get(key).filter(|value| !value.is_null());
    let mut text = |key: &str| match given(key) {
        None => None,
        Some(Value::String(text)) => Some(text.clone()),
        Some(_) => {
            wrong.push((key.to_owned(), String::from("must be a text")));
            None
        }
    };
    let (id, event_id, user) = (text("id"), text("event_id"), text("user"));
    let _checked = text("executor");
    let id = id.unwrap_or_else(|| format!("task-{:032x}", rand::random::<u128>()));
    let mut data: Map<String, Value> = asked
        .iter()
        .filter(|(key, value)| !FIELDS.contains(&key.as_str()) && !value.is_null())
        .map(|(key, value)| (key.clone(), value.clone()))
        .collect();
    data.entry("assign").or_insert_with(|| "one".into());
    let mut fields = Fields::default();
    fields.push(field::TYPE, "task_created");
    fields.push(field::ID, &*id);
    fields.push(field::DATA, Value::Object(data).to_string());
    for (name, value) in [(field::EVENT_ID, event_id), (field::USER, user)] {
        if let Some(value) = value {
            fields.push(name, value);
        }
    }
    match given("lease_ms") {
        None => {}
        Some(Value::Number(ms)) if ms.as_u64().is_some_and(|ms| ms > 0) => {
            fields.push(field::LEASE_MS, ms.to_string());
        }
        Some(_) => {
            let message = "must be a whole number of milliseconds above zero";
            wrong.push((String::from("lease_ms"), message.to_owned()));
        }
    }
    if wrong.is_empty()
        && let Err(Rejection { path, message, .. }) = TaskDoor::check(&fields)
    {
        let key = path.strip_prefix("data.").unwrap_or(&path).to_owned();
        wrong.push((key, message));
    }
    if wrong.is_empty() { Ok((id, fields)) } else { Err(wrong) }
}

fn unknown_keys(asked: &Map<String, Value>) -> Wrong {
    let known =
        |key: &str| FIELDS.contains(&key) || DATA.contains(&key) || spec::KEYS.contains(&key);
    let unknown = |key: &str| (key.to_owned(), String::from("is no key of a task"));
    let mut wrong: Wrong = asked.keys().filter(|key| !known(key)).map(|key| unknown(key)).collect();
    if let Some(Value::Object(retry)) = asked.get("retry") {
        let beside = retry.keys().filter(|key| !spec::RETRY_KEYS.contains(&key.as_str()));
        wrong.extend(beside.map(|key| unknown(&format!("retry.{key}"))));
    }
    wrong
}

/// Shows a task for one with its attempts, and what it waits for.
pub async fn one(
    State(door): State<TaskDoor>,
    Path(id): Path<String>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Result<Json<Value>, Problem> {
    let channel = Channel::entity(ChannelKind::Task, &id);
    access::reader(&door.auth, &headers, query.as_deref(), &channel)?;
    task_view::of(&*door.store, &id).await.map(Json)
}

/// Ends a task that has not ended; one that was cancelled before is as good.
pub async fn cancel(
    State(door): State<TaskDoor>,
    ClientAddress(address): ClientAddress,
    Path(id): Path<String>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
    body: Request,
) -> Result<Json<Value>, Problem> {
    let identity = access::identify(&door.auth, &headers, query.as_deref())?;
    door.admit(&identity, address, &id)?;
    let Body(body) = Body::from_request(body, &()).await?;
    let reason = if body.is_empty() { None } else { object(&body)?.remove("reason") };
    if reason.as_ref().is_some_and(|reason| !reason.is_string() && !reason.is_null()) {
        return Err(problems(&[(String::from("reason"), String::from("must be a text"))]));
    }
    ask(&door, &identity, &id, "task_cancel", reason).await
}

/// Begins a task anew that has ended.
pub async fn retry(
    State(door): State<TaskDoor>,
    ClientAddress(address): ClientAddress,
    Path(id): Path<String>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Result<Json<Value>, Problem> {
    let identity = access::identify(&door.auth, &headers, query.as_deref())?;
    door.admit(&identity, address, &id)?;
    ask(&door, &identity, &id, "task_retry", None).await
}

async fn ask(
    door: &TaskDoor,
    identity: &Identity,
    id: &str,
    kind: &str,
    reason: Option<Value>,
) -> Result<Json<Value>, Problem> {
    let mut data = Map::new();
    data.extend(asker(identity).map(|by| (String::from("by"), by.into())));
    data.extend(reason.map(|reason| (String::from("reason"), reason)));
    let mut fields = Fields::default();
    fields.push(field::TYPE, kind);
    fields.push(field::ID, id);
    fields.push(field::DATA, Value::Object(data).to_string());
    let rejection = door.record(fields).await?.err();
    let now = status(&*door.store, id).await;
    match rejection {
        None => Ok(Json(json!({ "task": id, "status": now }))),
        Some(rejection) if rejection.word == Some("ended") && now == "cancelled" => {
            Ok(Json(json!({ "task": id, "status": now })))
        }
        Some(rejection) if rejection.word == Some("unknown") => {
            Err(Problem::new(StatusCode::NOT_FOUND, "there is no such task"))
        }
        Some(rejection) if rejection.word == Some("assign") || !rejection.is_conflict() => {
            Err(rejected(&rejection))
        }
        Some(rejection) => Err(rejected(&rejection).with("status", now.into())),
    }
}
