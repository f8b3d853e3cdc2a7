//! Facts about the whole installation: `/v1/overview` and `/v1/nodes`, in calm and in trouble.

use std::time::Duration;

use serde_json::{Value, json};
use services::{Postgres, Redis};
use tokio::time::{Instant, sleep};

use crate::client::PATIENCE;
use crate::cluster::Cluster;

/// How long an answer may take while a service is away.
const ANSWER_MAX: Duration = Duration::from_secs(4);

/// Asks gateway `node` until the answer fits.
async fn until(cluster: &Cluster, node: usize, path: &str, fits: impl Fn(&Value) -> bool) -> Value {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let asked = Instant::now();
        let url = cluster.gateways[node].http(path);
        let answer = cluster.http.get(&url).await.expect(200).json();
        assert!(asked.elapsed() < ANSWER_MAX, "{path} took {:?}", asked.elapsed());
        if fits(&answer) {
            return answer;
        }
        assert!(Instant::now() < deadline, "{path}: {answer:#}");
        sleep(Duration::from_millis(100)).await;
    }
}

/// The nodes of a role.
fn of_role<'a>(answer: &'a Value, role: &str) -> Vec<&'a Value> {
    answer["nodes"].as_array().unwrap().iter().filter(|node| node["role"] == role).collect()
}

#[tokio::test]
async fn every_gateway_knows_every_node_with_what_it_owns_and_who_is_connected() {
    let mut cluster = Cluster::of(2, 1).set("NODE_NAME", "pod.7").start().await;
    let _first = cluster.watcher(0).await;
    let _second = cluster.watcher(1).await;
    for node in [0, 1] {
        let answer = until(&cluster, node, "/v1/nodes", |answer| {
            let connected = |node: &&Value| node["connections"]["native"] == 1;
            let gateways = of_role(answer, "gateway");
            let workers = of_role(answer, "worker");
            gateways.len() == 2
                && gateways.iter().all(connected)
                && workers.len() == 1
                && workers[0]["leases"].as_array().is_some_and(|leases| leases.len() == 6)
                && workers[0]["lag"]["tasks"]["entries"] == 0
        });
        let answer = answer.await;
        let worker = of_role(&answer, "worker")[0];
        assert_eq!(worker["leases"][0], "deployments", "{worker}");
        assert_eq!((&worker["connections"], &worker["slow"]), (&Value::Null, &Value::Null));
        let gateway = of_role(&answer, "gateway")[0];
        assert_eq!((&gateway["leases"], &gateway["lag"]), (&json!([]), &Value::Null));
        assert_eq!((&gateway["slow"], &gateway["draining"]), (&json!(0), &json!(false)));
        for node in answer["nodes"].as_array().unwrap() {
            assert!(node["node"].as_str().unwrap().starts_with("pod-7-"), "{node}");
            assert_eq!((&node["degraded"], &node["version"]), (&Value::Null, &json!("0.1.0")));
            assert!(node["heard_at"].as_i64() >= node["since"].as_i64(), "{node}");
        }
    }
    // Who dies owns nothing any more, and is on the list no longer.
    cluster.workers[0].kill();
    let lost = |answer: &Value| of_role(answer, "worker").is_empty();
    until(&cluster, 0, "/v1/nodes", lost).await;
    let unknown = json!({ "entries": null, "seconds": null });
    let lag = until(&cluster, 1, "/v1/overview", |answer| answer["lag"]["tasks"] == unknown).await;
    assert_eq!(lag["rates"]["recorded"], Value::Null, "nobody measures it: {lag:#}");
    cluster.workers.clear();
}

#[tokio::test]
async fn the_overview_adds_up_the_whole_installation_and_remembers_the_last_hour() {
    let cluster = Cluster::of(2, 1).start().await;
    let mut viewers = [cluster.watcher(0).await, cluster.watcher(1).await];
    for viewer in &mut viewers {
        viewer.send(json!({"type": "subscribe", "channel": "tasks"})).await;
        viewer.wait_for(json!({"type": "subscribed", "...": ""})).await;
    }
    for n in 0..5 {
        let data = format!(r#"{{"title":"{n}"}}"#);
        cluster.xadd("tasks", &["type", "task_created", "id", &format!("t{n}"), "data", &data]);
    }
    cluster.xadd("tasks", &["type", "task_created", "id", "wrong", "data", "{}"]);
    for viewer in &mut viewers {
        viewer.wait_for(json!({"type": "event", "id": "t4", "...": ""})).await;
    }
    let known = |answer: &Value| {
        answer["rates"]["recorded"].as_f64() > Some(0.0)
            && answer["rates"]["delivered"].as_f64() > Some(0.0)
            && answer["connections"] == 2
    };
    let here = until(&cluster, 0, "/v1/overview", known).await;
    assert_eq!((&here["nodes"], &here["partitions"]), (&json!(3), &json!(1)), "{here:#}");
    assert_eq!(here["entities"]["tasks"], json!({ "pending": 5 }), "{here:#}");
    assert_eq!(here["entities"]["deployments"], json!({}), "none is a number that was counted");
    assert_eq!(here["dead"]["total"], 1, "{here:#}");
    assert_eq!(here["dead"]["by_reason"].as_object().unwrap().len(), 1, "{here:#}");
    assert_eq!(here["lag"]["tasks"]["entries"], 0, "{here:#}");
    assert_eq!(here["degraded"], Value::Null);
    let (p50, p99) = (&here["delivery_ms"]["p50"], &here["delivery_ms"]["p99"]);
    assert!(p50.as_f64() > Some(0.0) && p99.as_f64() >= p50.as_f64(), "{here:#}");
    let remembered = |answer: &Value| {
        let points = answer["history"].as_array().unwrap();
        let sum = |name: &str| {
            points.iter().filter_map(|point| point["rates"][name].as_f64()).sum::<f64>()
        };
        sum("recorded") > 0.0 && sum("delivered") > 0.0
    };
    let there = until(&cluster, 1, "/v1/overview", remembered).await;
    let points = there["history"].as_array().unwrap();
    assert!(points.len() <= 60 && points.iter().all(|point| point["at"].is_i64()), "{there:#}");
}

#[tokio::test]
async fn one_process_is_one_node_of_both_roles() {
    let cluster = Cluster::embedded().start().await;
    let answer = until(&cluster, 0, "/v1/nodes", |answer| {
        of_role(answer, "all").len() == 1 && answer["nodes"][0]["lag"]["tasks"]["entries"] == 0
    });
    let answer = answer.await;
    let node = &answer["nodes"][0];
    assert_eq!(node["leases"].as_array().unwrap().len(), 6, "{node}");
    assert!(node["connections"].is_object() && node["lag"].is_object(), "{node}");
}

#[tokio::test]
async fn without_redis_nothing_is_added_up_and_nodes_are_as_old_as_they_are() {
    let cluster = Cluster::of(2, 1).redis(Redis::start()).start().await;
    let all = |answer: &Value| answer["nodes"].as_array().is_some_and(|nodes| nodes.len() == 3);
    until(&cluster, 0, "/v1/nodes", all).await;
    cluster.redis().freeze();
    let unknown = |answer: &Value| {
        answer["connections"].is_null()
            && answer["nodes"].is_null()
            && answer["rates"]["recorded"].is_null()
            && answer["lag"]["tasks"]["entries"].is_null()
            && answer["degraded"] == "broker"
    };
    let overview = until(&cluster, 0, "/v1/overview", unknown).await;
    assert!(overview["entities"].is_object(), "what SQL knows is known: {overview:#}");
    let answer = until(&cluster, 0, "/v1/nodes", all).await;
    let heard = |node: &Value| node["heard_at"].as_i64().unwrap();
    let newest = answer["nodes"].as_array().unwrap().iter().map(heard).max().unwrap();
    let old = answer["nodes"].as_array().unwrap().iter().filter(|node| newest - heard(node) > 3000);
    assert_eq!(old.count(), 2, "all but the one that answers: {answer:#}");
    cluster.redis().thaw();
    until(&cluster, 0, "/v1/overview", |answer| answer["nodes"] == 3).await;
}

#[tokio::test]
async fn without_sql_what_the_record_holds_is_unknown() {
    let cluster =
        Cluster::of(1, 1).postgres(Postgres::options().fsync(false).start()).start().await;
    let known = |answer: &Value| answer["entities"].is_object() && answer["nodes"] == 2;
    until(&cluster, 0, "/v1/overview", known).await;
    cluster.postgres().kill();
    let unknown = |answer: &Value| {
        answer["entities"].is_null() && answer["dead"].is_null() && answer["history"].is_null()
    };
    let overview = until(&cluster, 0, "/v1/overview", unknown).await;
    assert_eq!(overview["nodes"], 2, "what Redis knows is known: {overview:#}");
    until(&cluster, 0, "/v1/nodes", |answer| answer["nodes"][0]["leases"].is_null()).await;
    cluster.postgres().restart();
    until(&cluster, 0, "/v1/overview", known).await;
}
