//! Text is found in the archive of a channel, however long that is, in bounded steps that lead on.

use serde_json::{Value, json};

use crate::cluster::Cluster;

/// Events that one call looks through.
const SEARCHED_MAX: usize = 10_000;

async fn say(cluster: &Cluster, id: &str, lines: &[String]) {
    for slice in lines.chunks(1000) {
        let events: Vec<Value> = slice
            .iter()
            .map(|line| json!({"stream": "deployments", "type": "deployment_log", "id": id, "data": {"lines": [line]}}))
            .collect();
        cluster.publish(events.into()).await;
    }
}

/// The offsets of the events of a page, and where the next one begins.
fn read(page: &Value) -> (Vec<u64>, Option<String>) {
    let events = page["events"].as_array().unwrap().iter();
    let offset = |event: &Value| {
        let position = event["position"].as_str().unwrap();
        position.rsplit_once('-').unwrap().1.parse().unwrap()
    };
    (events.map(offset).collect(), page["next"].as_str().map(str::to_owned))
}

#[tokio::test]
async fn text_is_found_without_regard_to_case_and_through_escapes() {
    let cluster = Cluster::embedded().start().await;
    let lines = ["Linking", "ERROR: no Such file", "GRÜN \"quoted\"", "\u{1b}[31mred\u{1b}[0m"];
    say(&cluster, "d1", &lines.map(str::to_owned)).await;
    for (text, found) in [
        ("such%20FILE", vec![2]),
        ("gr%C3%BCn", vec![3]),
        ("n%20%22quoted%22", vec![3]),
        ("RED", vec![4]),
        ("%22lines%22", vec![1, 2, 3, 4]),
        ("nowhere", vec![]),
    ] {
        for (order, found) in
            [("", found.clone()), ("&reverse=true", found.iter().rev().copied().collect())]
        {
            let page = cluster.archive("deployment:d1", &format!("q={text}{order}")).await;
            assert_eq!(read(&page), (found, None), "{text} {order}");
        }
    }
}

#[tokio::test]
async fn a_search_goes_on_where_a_call_ended_also_after_a_page_without_a_hit() {
    let cluster = Cluster::embedded().set("PUBLISH_PER_SECOND", "100000").start().await;
    let whole = SEARCHED_MAX + 500;
    let lines: Vec<String> = (1..=whole)
        .map(|n| if n == 3 || n == 4 || n == whole { format!("needle {n}") } else { n.to_string() })
        .collect();
    say(&cluster, "long", &lines).await;
    let last = u64::try_from(whole).unwrap();
    for (order, wanted) in [("", vec![3, 4, last]), ("&reverse=true", vec![last, 4, 3])] {
        let (mut found, mut since, mut calls) = (Vec::new(), String::new(), 0);
        loop {
            let page = cluster
                .archive("deployment:long", &format!("q=needle&limit=1{order}{since}"))
                .await;
            let (offsets, next) = read(&page);
            assert!(offsets.len() <= 1, "{page}");
            found.extend(offsets);
            calls += 1;
            let Some(next) = next else { break };
            since = format!("&since={next}");
        }
        assert_eq!(found, wanted, "{order}");
        assert!((3..=6).contains(&calls), "{calls} calls");
    }
}
