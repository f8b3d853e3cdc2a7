//! Counts what is answered over HTTP, by the route that answered.

use std::sync::Arc;

use axum::{
    extract::{MatchedPath, Request, State},
    middleware::Next,
    response::Response,
};

use crate::metrics::GatewayMetrics;

/// The route of what no route answers: ids in paths would make labels without end.
const NO_ROUTE: &str = "none";

/// Serves a request, and counts its answer.
pub async fn count(
    State(metrics): State<Arc<GatewayMetrics>>,
    request: Request,
    next: Next,
) -> Response {
    let route = request.extensions().get::<MatchedPath>().cloned();
    let response = next.run(request).await;
    let route = route.as_ref().map_or(NO_ROUTE, MatchedPath::as_str);
    metrics.http_requests.with_label_values(&[route, response.status().as_str()]).inc();
    response
}
