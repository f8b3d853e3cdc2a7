//! `GET /schemas/{stream}/{type}.json`: what the `data` of a type must look like, from the catalog.

use axum::{
    extract::Path,
    response::{IntoResponse as _, Response},
};
use domain::{event::catalog::schema_document, source::Stream};
use http::{StatusCode, header};

use super::problem::Problem;

/// Answers with the JSON Schema of a type; `any` is that of free types.
pub async fn schema(Path((stream, file)): Path<(String, String)>) -> Result<Response, Problem> {
    let stream = stream.parse::<Stream>().ok();
    let document = stream.zip(file.strip_suffix(".json"));
    let document = document.and_then(|(stream, name)| schema_document(stream, name));
    let Some(document) = document else {
        let detail = "no such type: expected /schemas/STREAM/TYPE.json";
        return Err(Problem::new(StatusCode::NOT_FOUND, detail));
    };
    let headers = [
        (header::CONTENT_TYPE, "application/schema+json"),
        (header::ACCESS_CONTROL_ALLOW_ORIGIN, "*"),
    ];
    Ok((headers, document.to_string()).into_response())
}
