//! The descriptions of the interfaces: `GET /openapi.json` and `GET /asyncapi.yaml`.
//!
//! Written by hand, as files beside this one, and held to what is served by the tests below.

use axum::response::{IntoResponse as _, Response};
use http::header;

/// OpenAPI 3.1 of our own HTTP.
const OPENAPI: &str = include_str!("openapi.json");

/// AsyncAPI 3 of our own frames.
const ASYNCAPI: &str = include_str!("asyncapi.yaml");

/// `GET /openapi.json`
pub async fn openapi() -> Response {
    ([(header::CONTENT_TYPE, "application/json")], OPENAPI).into_response()
}

/// `GET /asyncapi.yaml`
pub async fn asyncapi() -> Response {
    ([(header::CONTENT_TYPE, "application/yaml")], ASYNCAPI).into_response()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use serde_json::Value;

    use super::*;
    use crate::api::{admin_routes, native_routes, own_routes};

    fn document() -> Value {
        serde_json::from_str(OPENAPI).unwrap()
    }

    #[test]
    fn every_route_is_described_and_every_description_is_served() {
        let served: BTreeSet<(String, String)> = [own_routes(), admin_routes(), native_routes()]
            .into_iter()
            .flat_map(|routes| routes.doors().to_vec())
            .filter_map(|door| Some((door.path.to_owned(), door.method?.as_str().to_lowercase())))
            .collect();
        let document = document();
        let mut described = BTreeSet::new();
        for (path, item) in document["paths"].as_object().unwrap() {
            for method in item.as_object().unwrap().keys() {
                described.insert((path.clone(), method.clone()));
            }
        }
        assert_eq!(served, described);
    }

    #[test]
    fn every_reference_leads_somewhere_and_every_path_parameter_is_described() {
        fn references<'a>(value: &'a Value, found: &mut Vec<&'a str>) {
            match value {
                Value::Object(map) => {
                    found.extend(map.get("$ref").and_then(Value::as_str));
                    map.values().for_each(|value| references(value, found));
                }
                Value::Array(list) => list.iter().for_each(|value| references(value, found)),
                _ => {}
            }
        }
        let document = document();
        let mut found = Vec::new();
        references(&document, &mut found);
        assert!(!found.is_empty());
        for reference in found {
            let pointer = reference.strip_prefix('#').unwrap();
            assert!(document.pointer(pointer).is_some(), "{reference}");
        }
        for (path, item) in document["paths"].as_object().unwrap() {
            let wanted = path.split('/').filter_map(|part| part.strip_prefix('{')).count();
            for operation in item.as_object().unwrap().values() {
                let parameters = operation["parameters"].as_array().into_iter().flatten();
                let given = parameters.filter(|parameter| parameter["in"] == "path").count();
                assert_eq!(wanted, given, "{path}");
            }
        }
    }

    #[test]
    fn every_frame_is_described() {
        const SENT: [&str; 12] = [
            "welcome",
            "subscribed",
            "unsubscribed",
            "event",
            "state",
            "gap",
            "presence",
            "status",
            "pong",
            "token",
            "error",
            "bye",
        ];
        const SAID: [&str; 3] = ["subscribe", "unsubscribe", "ping"];
        for kind in SENT.into_iter().chain(SAID) {
            let constant = format!("type: {{ const: {kind} }}");
            assert!(ASYNCAPI.contains(&constant), "{kind}");
        }
    }
}
