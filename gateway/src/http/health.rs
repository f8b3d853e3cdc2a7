//! `GET /health`: that the process serves, in the words of seeds 000 and 003 (contract §6).

use axum::Json;
use domain::time::iso;
use serde_json::{Value, json};

/// Answers whatever is up or down behind the process.
pub async fn health() -> Json<Value> {
    let time = iso(jiff::Timestamp::now().as_millisecond());
    let version = env!("CARGO_PKG_VERSION");
    let body =
        json!({ "status": "healthy", "service": "fanfare", "version": version, "time": time });
    Json(body)
}
