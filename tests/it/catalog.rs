//! The catalog of events, and what is held to it: the documentation's table, the schemas that are served,
//! the descriptions of the API.

use std::collections::{BTreeMap, BTreeSet};

use domain::event::catalog::{CATALOG, Kept, Writer};
use domain::source::Stream;
use serde_json::{Value, json};

use crate::cluster::Cluster;

fn read(path: &str) -> String {
    std::fs::read_to_string(format!("{}/{path}", env!("CARGO_MANIFEST_DIR"))).unwrap()
}

/// The words in backquotes of a line.
fn quoted(line: &str) -> BTreeSet<String> {
    line.split('`').skip(1).step_by(2).map(str::to_owned).collect()
}

#[test]
fn the_table_of_the_documentation_has_a_row_for_each_stream_with_its_types_and_channels() {
    let page = read("docs/publish.md");
    for stream in Stream::ALL {
        let start = format!("| `fanfare:{stream}` |");
        let row = page.lines().find(|line| line.starts_with(&start));
        let row = row.unwrap_or_else(|| panic!("docs/publish.md: no row of {stream}"));
        let cells: Vec<&str> = row.split('|').map(str::trim).collect();
        let public: BTreeSet<String> = CATALOG
            .iter()
            .filter(|row| row.stream == stream && row.writer == Writer::Anyone)
            .map(|row| row.name.to_owned())
            .collect();
        assert_eq!(quoted(cells[2]), public, "docs/publish.md: the types of {stream}");
    }
}

#[test]
fn the_documentation_says_what_the_worker_alone_writes_and_what_is_a_request() {
    let page = read("docs/publish.md");
    for row in
        CATALOG.iter().filter(|row| row.writer == Writer::Worker || row.kept == Kept::Request)
    {
        assert!(page.contains(&format!("`{}`", row.name)), "docs/publish.md: {}", row.name);
    }
}

#[test]
fn the_descriptions_name_every_stream_and_the_schemas() {
    let openapi: Value = serde_json::from_str(&read("gateway/src/api/openapi.json")).unwrap();
    let streams = &openapi["components"]["schemas"]["Submission"]["properties"]["stream"]["enum"];
    let all: Vec<&str> = Stream::ALL.iter().map(|stream| stream.name()).collect();
    assert_eq!(streams, &json!(all));
    assert!(openapi["paths"]["/schemas/{stream}/{file}"].is_object());
    assert!(read("gateway/src/api/asyncapi.yaml").contains("/schemas/"));
}

#[tokio::test]
async fn every_type_has_its_schema_at_its_address_and_free_types_have_one_for_all() {
    let cluster = Cluster::embedded().start().await;
    let mut addresses = BTreeMap::new();
    for row in CATALOG {
        addresses.insert(format!("/schemas/{}/{}.json", row.stream, row.name), row.name);
    }
    for stream in ["messages", "topics"] {
        addresses.insert(format!("/schemas/{stream}/any.json"), "any");
    }
    for (address, title) in addresses {
        let answer = cluster.get(&address).await.expect(200);
        assert_eq!(answer.header("content-type"), Some("application/schema+json"), "{address}");
        let schema = answer.json();
        assert_eq!(schema["$schema"], "https://json-schema.org/draft/2020-12/schema");
        assert_eq!((&schema["$id"], &schema["title"]), (&json!(address), &json!(title)));
        assert_eq!(schema["type"], "object");
    }
    for address in ["/schemas/tasks/any.json", "/schemas/tasks/x.json", "/schemas/x/any.json"] {
        cluster.get(address).await.expect(404);
    }
}
