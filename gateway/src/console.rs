//! The web console and the browser client: built files that are part of the executable.
//!
//! `console/check` keeps them true to their source, so that a plain `cargo run` needs no Node.

use std::borrow::Cow;

use axum::{
    body::Body,
    extract::Path,
    response::{IntoResponse, Redirect, Response},
};
use base64::{Engine, engine::general_purpose::STANDARD_NO_PAD as BASE64};
use bytes::Bytes;
use http::{HeaderMap, HeaderValue, StatusCode, header};
use rust_embed::RustEmbed;
use sha1::{Digest, Sha1};

use crate::http::routes::Routes;

/// What `npm run build` makes in `gateway/console`.
#[derive(RustEmbed)]
#[folder = "console/dist/"]
struct Console;

/// The browser client as one file.
const CLIENT: &[u8] = include_bytes!("../sdk/typescript/dist/fanfare.js");

/// Nothing inline, nothing from elsewhere: a string from an event that should ever become markup
/// still could not run or fetch anything.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; \
                      connect-src 'self'; base-uri 'none'; form-action 'none'; \
                      frame-ancestors 'none'; require-trusted-types-for 'script'";

/// Names with a hash in them never change their content.
const FOR_EVER: &str = "public, max-age=31536000, immutable";
/// Asked for each time, and answered by 304 while unchanged.
const ASK_AGAIN: &str = "no-cache";

/// `GET /console`, everything below it, and `GET /sdk.js`.
///
/// Paths below `/console` that name no file are pages of the console itself. Routes that other
/// parts own there (`/console/session`) win, because they are exact.
pub fn routes<S: Clone + Send + Sync + 'static>() -> Routes<S> {
    Routes::default()
        .get("/console", |headers: HeaderMap| async move { page(&headers) })
        .get("/console/", || async { Redirect::permanent("/console") })
        .get("/console/{*path}", file)
        .get("/sdk.js", client)
}

/// The console's page, also for `GET /` of a browser.
pub fn page(headers: &HeaderMap) -> Response {
    let Some(index) = Console::get("index.html") else {
        return StatusCode::NOT_FOUND.into_response();
    };
    let mut response = answer(headers, index.data, "text/html; charset=utf-8", ASK_AGAIN);
    let policy = HeaderValue::from_static(POLICY);
    response.headers_mut().insert(header::CONTENT_SECURITY_POLICY, policy);
    response
}

async fn file(Path(path): Path<String>, headers: HeaderMap) -> Response {
    match Console::get(&path) {
        Some(file) if path != "index.html" => answer(&headers, file.data, media(&path), FOR_EVER),
        None if path.starts_with("assets/") => StatusCode::NOT_FOUND.into_response(),
        _ => page(&headers),
    }
}

/// The client may be imported by pages of any origin: it is public, and holds no secret.
async fn client(headers: HeaderMap) -> Response {
    let mut response = answer(&headers, CLIENT.into(), media("fanfare.js"), ASK_AGAIN);
    let any = HeaderValue::from_static("*");
    response.headers_mut().insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, any);
    response
}

/// A file, or 304 when the browser has it already.
fn answer(
    asked: &HeaderMap,
    file: Cow<'static, [u8]>,
    media: &'static str,
    caching: &'static str,
) -> Response {
    let tag = format!("\"{}\"", BASE64.encode(Sha1::digest(&file)));
    let known = asked.get_all(header::IF_NONE_MATCH).iter().any(|given| {
        given.to_str().is_ok_and(|tags| tags.split(',').any(|one| one.trim().ends_with(&tag)))
    });
    let builder = Response::builder()
        .header(header::ETAG, &tag)
        .header(header::CACHE_CONTROL, caching)
        .header(header::X_CONTENT_TYPE_OPTIONS, "nosniff")
        .header(header::REFERRER_POLICY, "no-referrer");
    let response = if known {
        builder.status(StatusCode::NOT_MODIFIED).body(Body::empty())
    } else {
        let bytes = match file {
            Cow::Borrowed(bytes) => Bytes::from_static(bytes),
            Cow::Owned(bytes) => bytes.into(),
        };
        builder.header(header::CONTENT_TYPE, media).body(Body::from(bytes))
    };
    response.unwrap_or_else(|_| StatusCode::INTERNAL_SERVER_ERROR.into_response())
}

/// The media types of the files that a build can contain.
fn media(path: &str) -> &'static str {
    match path.rsplit('.').next() {
        Some("js") => "text/javascript; charset=utf-8",
        Some("css") => "text/css; charset=utf-8",
        Some("svg") => "image/svg+xml",
        Some("html") => "text/html; charset=utf-8",
        _ => "application/octet-stream",
    }
}

#[cfg(test)]
mod tests {
    use axum::body::to_bytes;
    use http::Request;
    use tower::ServiceExt;

    use super::*;

    async fn get(path: &str, tag: Option<&str>) -> (StatusCode, HeaderMap, String) {
        let mut request = Request::get(path);
        if let Some(tag) = tag {
            request = request.header(header::IF_NONE_MATCH, tag);
        }
        let request = request.body(Body::empty()).unwrap();
        let response = routes::<()>().into_router().oneshot(request).await.unwrap();
        let (parts, body) = response.into_parts();
        let body = to_bytes(body, 1 << 20).await.unwrap();
        (parts.status, parts.headers, String::from_utf8_lossy(&body).into_owned())
    }

    #[tokio::test]
    async fn every_path_of_the_console_is_the_page_and_its_files_are_cached_for_ever() {
        let (status, headers, page) = get("/console/deployments/d1", None).await;
        assert_eq!(status, StatusCode::OK);
        assert!(headers[header::CONTENT_SECURITY_POLICY].to_str().unwrap().contains("'none'"));
        assert!(!page.contains("<style") && !page.contains("<script>"), "nothing inline");
        for quoted in page.split('"').filter(|text| text.starts_with("/console/assets/")) {
            let (status, headers, body) = get(quoted, None).await;
            assert_eq!(status, StatusCode::OK, "{quoted}");
            assert_eq!(headers[header::CACHE_CONTROL], FOR_EVER);
            assert!(!body.is_empty());
        }
        assert_eq!(get("/console/assets/gone.js", None).await.0, StatusCode::NOT_FOUND);
    }

    #[tokio::test]
    async fn the_client_is_one_file_for_any_origin_and_not_sent_twice() {
        let (status, headers, body) = get("/sdk.js", None).await;
        assert_eq!(status, StatusCode::OK);
        assert!(body.contains("export{"));
        assert_eq!(headers[header::ACCESS_CONTROL_ALLOW_ORIGIN], "*");
        let tag = headers[header::ETAG].to_str().unwrap();
        let (status, _, body) = get("/sdk.js", Some(tag)).await;
        assert_eq!((status, body.as_str()), (StatusCode::NOT_MODIFIED, ""));
    }
}
