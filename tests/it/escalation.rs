//! Alerts leave by `ALERT_ROUTES`: to a server that behaves like the real ones, well or badly.

mod receiver;

use std::time::Duration;

use serde_json::{Value, json};
use services::Scratch;
use tokio::time::{Instant, sleep};

use self::receiver::{Receiver, Reply};
use crate::client::PATIENCE;
use crate::cluster::{Cluster, Plan, fanfare, token};

const SECRET: &str = "a-secret-that-nobody-may-see";

/// A cluster whose alerts take these routes; `HOOK` holds the receiver's URL, `KEY` a secret.
fn plan(plan: Plan, scratch: &Scratch, url: &str, routes: &str) -> Plan {
    let file = scratch.path().join("routes.toml");
    std::fs::write(&file, routes).unwrap();
    plan.set("ALERT_ROUTES", file.to_str().unwrap())
        .set("HOOK", url)
        .set("KEY", SECRET)
        .set("WEBHOOK_ALLOW", "127.0.0.1")
        .set("WEBHOOK_BACKOFF_MS", "100")
}

async fn start(receiver: &Receiver, routes: &str) -> (Cluster, Scratch) {
    let scratch = Scratch::new("routes");
    let cluster = plan(Cluster::embedded(), &scratch, &receiver.url(), routes).start().await;
    (cluster, scratch)
}

async fn raise(cluster: &Cluster, id: &str) {
    let data = json!({"severity": "critical", "title": "Disk & co", "message": "99 %", "source": "agent:gpu-1"});
    cluster.publish(json!({"stream": "agents", "type": "alert", "id": id, "data": data})).await;
}

/// Waits until so many webhooks are dead, and returns them.
async fn dead(cluster: &Cluster, count: usize) -> Vec<Value> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let page = cluster.get("/v1/dead?stream=webhooks").await.expect(200).json();
        let list = page["dead"].as_array().unwrap().clone();
        if list.len() >= count {
            assert_eq!(list.len(), count, "{list:#?}");
            return list;
        }
        assert!(Instant::now() < deadline, "only {list:#?}");
        sleep(Duration::from_millis(20)).await;
    }
}

const WEBHOOK: &str = "[[route]]\nname = \"hook\"\nwebhook = \"HOOK\"\nsecret = \"KEY\"\n";

#[tokio::test]
async fn an_alert_goes_to_slack_discord_and_a_signed_webhook() {
    let receiver = Receiver::start(&[]).await;
    let routes = format!(
        "{WEBHOOK}\
         [[route]]\nname = \"slack\"\nslack = \"HOOK\"\nseverity = [\"critical\"]\n\
         [[route]]\nname = \"discord\"\ndiscord = \"HOOK\"\nagent = \"gpu-*\"\n\
         [[route]]\nname = \"nobody\"\nwebhook = \"HOOK\"\nseverity = [\"info\"]\n"
    );
    let (cluster, _scratch) = start(&receiver, &routes).await;
    raise(&cluster, "a1").await;
    let posts = receiver.posts(3).await;
    let find = |key: &str| posts.iter().find(|post| post.body.get(key).is_some()).unwrap();
    let path = format!("/v1/alerts?token={}", token("reader", &["*"]));
    let listed = cluster.get(&path).await.expect(200).json()["alerts"][0].clone();
    let hook = find("type");
    assert_eq!(hook.body, json!({"type": "alert", "alert": listed}));
    assert!(hook.is_signed_with(SECRET), "{hook:?}");
    assert_eq!(find("blocks").body["text"], "[critical] Disk &amp; co");
    assert_eq!(find("embeds").body["embeds"][0]["title"], "Disk & co");
    assert_eq!(find("embeds").body["allowed_mentions"]["parse"], json!([]));
    receiver.expect_silence(Duration::from_millis(700)).await;
    let metrics = cluster.get("/metrics").await.expect(200).body;
    for route in ["hook", "slack", "discord"] {
        let line = format!(
            "fanfare_webhook_deliveries_total{{outcome=\"delivered\",route=\"{route}\"}} 1"
        );
        assert!(metrics.contains(&line), "{line} is not in the metrics");
    }
}

#[tokio::test]
async fn what_is_not_taken_is_sent_again_with_the_same_id_and_a_pause_that_is_asked_for_is_kept() {
    let replies = [
        Reply::status(500),
        Reply::retry_after(429, "1"),
        Reply::status(408),
        Reply::retry_after(503, "1"),
    ];
    let receiver = Receiver::start(&replies).await;
    let (cluster, _scratch) = start(&receiver, WEBHOOK).await;
    raise(&cluster, "a1").await;
    let posts = receiver.posts(5).await;
    assert!(posts.iter().all(|post| post.id() == posts[0].id()), "{posts:?}");
    assert!(posts.iter().all(|post| post.is_signed_with(SECRET)), "{posts:?}");
    let pause = |at: usize| posts[at].at.duration_since(posts[at - 1].at);
    assert!(pause(2) >= Duration::from_secs(1), "429 was asked again after {:?}", pause(2));
    assert!(pause(4) >= Duration::from_secs(1), "503 was asked again after {:?}", pause(4));
    receiver.expect_silence(Duration::from_millis(700)).await;
}

#[tokio::test]
async fn a_slow_receiver_is_a_failed_try_and_holds_up_no_other_route() {
    let slow = Receiver::start(&[Reply::after(Duration::from_secs(3))]).await;
    let quick = Receiver::start(&[]).await;
    let routes = format!("{WEBHOOK}[[route]]\nname = \"quick\"\nwebhook = \"QUICK\"\n");
    let scratch = Scratch::new("routes");
    let plan = plan(Cluster::embedded(), &scratch, &slow.url(), &routes);
    let plan = plan.set("QUICK", &quick.url()).set("WEBHOOK_TIMEOUT_MS", "1500");
    let cluster = plan.start().await;
    raise(&cluster, "a1").await;
    let delivered = quick.posts(1).await.remove(0).at;
    let posts = slow.posts(2).await;
    assert!(posts[1].at.duration_since(posts[0].at) >= Duration::from_millis(1500), "{posts:?}");
    assert!(delivered < posts[1].at, "the quick route did not wait");
}

#[tokio::test]
async fn what_fails_for_good_is_a_dead_letter_and_a_redrive_sends_it_again() {
    let replies = [Reply::status(404), Reply::redirect("/elsewhere")];
    let receiver = Receiver::start(&replies).await;
    let (cluster, _scratch) = start(&receiver, WEBHOOK).await;
    raise(&cluster, "a1").await;
    let letter = dead(&cluster, 1).await.remove(0);
    assert!(letter["reason"].as_str().unwrap().contains("404"), "{letter:#}");
    assert_eq!(letter["fields"]["route"], "hook");
    raise(&cluster, "a2").await;
    let letters = dead(&cluster, 2).await;
    assert!(letters[0]["reason"].as_str().unwrap().contains("307"), "{letters:#?}");
    let failed = receiver.posts(2).await;
    assert!(failed.iter().all(|post| post.path != "/elsewhere"), "redirects are not followed");
    let id = letter["id"].as_str().unwrap();
    cluster.post(&format!("/v1/dead/{id}/redrive"), &json!({})).await.expect(200);
    let again = receiver.posts(3).await;
    assert_eq!(again[2].id(), failed[0].id(), "the same webhook");
    let bulk = cluster.post("/v1/dead/redrive", &json!({"stream": "webhooks"})).await.expect(200);
    assert_eq!(bulk.json(), json!({"redriven": 1}));
    receiver.posts(4).await;
    dead(&cluster, 0).await;
}

#[tokio::test]
async fn tries_come_to_an_end() {
    let receiver =
        Receiver::start(&[Reply::status(500), Reply::status(502), Reply::status(500)]).await;
    let scratch = Scratch::new("routes");
    let plan = plan(Cluster::embedded(), &scratch, &receiver.url(), WEBHOOK);
    let cluster = plan.set("WEBHOOK_TRIES", "3").start().await;
    raise(&cluster, "a1").await;
    let letter = dead(&cluster, 1).await.remove(0);
    assert_eq!(letter["fields"]["tries"], "3", "{letter:#}");
    receiver.posts(3).await;
    receiver.expect_silence(Duration::from_millis(700)).await;
}

#[tokio::test]
async fn an_acknowledgement_stops_an_escalation_and_a_later_one_comes_too_late() {
    let receiver = Receiver::start(&[]).await;
    let routes = "[[route]]\nname = \"later\"\nwebhook = \"HOOK\"\nafter_ms = 1500\n";
    let (cluster, _scratch) = start(&receiver, routes).await;
    raise(&cluster, "seen").await;
    raise(&cluster, "unseen").await;
    let raised = Instant::now();
    cluster.post("/v1/alerts/seen/ack", &json!({})).await.expect(200);
    let posts = receiver.posts(1).await;
    assert_eq!(posts[0].body["alert"]["id"], "unseen");
    assert!(
        posts[0].at.duration_since(raised) >= Duration::from_millis(1300),
        "not before its time"
    );
    receiver.expect_silence(Duration::from_millis(1000)).await;
}

#[tokio::test]
async fn private_addresses_are_refused_unless_they_are_named() {
    let receiver = Receiver::start(&[]).await;
    let port = receiver.port();
    for host in ["127.0.0.1", "[::ffff:127.0.0.1]", "localhost", "127.0.0.2"] {
        let scratch = Scratch::new("routes");
        let url = format!("http://{host}:{port}/");
        let plan = plan(Cluster::embedded(), &scratch, &url, WEBHOOK);
        let cluster = plan.set("WEBHOOK_ALLOW", "10.0.0.0/8,example.com").start().await;
        raise(&cluster, "a1").await;
        let letter = dead(&cluster, 1).await.remove(0);
        assert!(letter["reason"].as_str().unwrap().contains("private"), "{host}: {letter:#}");
        assert!(!letter.to_string().contains(&port.to_string()), "no part of the URL: {letter:#}");
    }
    receiver.expect_silence(Duration::from_millis(100)).await;
    let scratch = Scratch::new("routes");
    let plan = plan(Cluster::embedded(), &scratch, &format!("http://localhost:{port}/"), WEBHOOK);
    let cluster = plan.set("WEBHOOK_ALLOW", "localhost").start().await;
    raise(&cluster, "a1").await;
    receiver.posts(1).await;
}

#[tokio::test]
async fn a_receiver_behind_tls_is_believed_by_its_certificate_alone() {
    let receiver = Receiver::start_tls(&[]).await;
    let scratch = Scratch::new("routes");
    let trusting = plan(Cluster::embedded(), &scratch, &receiver.url(), WEBHOOK)
        .set("SSL_CERT_FILE", &receiver.certificate());
    let cluster = trusting.start().await;
    raise(&cluster, "a1").await;
    assert!(receiver.posts(1).await[0].is_signed_with(SECRET));
    drop(cluster);
    let scratch = Scratch::new("routes");
    let doubting = plan(Cluster::embedded(), &scratch, &receiver.url(), WEBHOOK);
    let cluster = doubting.set("WEBHOOK_TRIES", "2").start().await;
    raise(&cluster, "a2").await;
    let letter = dead(&cluster, 1).await.remove(0);
    assert!(letter["reason"].as_str().unwrap().contains("2 tries"), "{letter:#}");
    receiver.posts(1).await;
}

#[tokio::test]
async fn a_worker_that_dies_while_it_sends_has_another_send_it_again() {
    let receiver = Receiver::start(&[Reply::after(Duration::from_secs(30))]).await;
    let scratch = Scratch::new("routes");
    let plan = plan(Cluster::of(1, 1), &scratch, &receiver.url(), WEBHOOK);
    let mut cluster = plan.set("WEBHOOK_TIMEOUT_MS", "1000").start().await;
    raise(&cluster, "a1").await;
    let first = receiver.posts(1).await.remove(0);
    cluster.workers[0].kill();
    let heir = cluster.spawn("worker", 2);
    heir.ready(&cluster.http).await;
    cluster.workers.push(heir);
    let posts = receiver.posts(2).await;
    assert_eq!(posts[1].id(), first.id());
}

#[tokio::test]
async fn routes_that_are_wrong_end_with_78_and_secrets_are_never_shown() {
    let scratch = Scratch::new("routes");
    let file = scratch.path().join("routes.toml");
    let path = file.to_str().unwrap();
    let url = "https://hooks.example/T000/B000/very-secret";
    let settings = [("ALERT_ROUTES", path), ("HOOK", url), ("KEY", SECRET)];
    for wrong in [
        "[[route]]\nname = \"a\"\nslack = \"UNSET_VARIABLE\"\n",
        "[[route]]\nname = \"a\"\nslack = \"HOOK\"\ndiscord = \"HOOK\"\n",
        "[[route]]\nname = \"a\"\nslack = \"https://hooks.example/T000/B000/very-secret\"\n",
        "[[rout]]\n",
    ] {
        std::fs::write(&file, wrong).unwrap();
        let outcome = fanfare(&["config"], &settings).await.expect(78);
        assert!(outcome.stderr.contains("ALERT_ROUTES"), "{outcome:#?}");
        assert!(!format!("{outcome:?}").contains("very-secret"), "{outcome:#?}");
    }
    std::fs::write(&file, WEBHOOK).unwrap();
    let outcome = fanfare(&["config"], &settings).await.expect(0);
    assert!(!format!("{outcome:?}").contains("very-secret"), "{outcome:#?}");
    let missing = [("ALERT_ROUTES", "/nowhere/routes.toml")];
    fanfare(&["config"], &missing).await.expect(78);
}

#[tokio::test]
async fn urls_and_secrets_stay_out_of_the_log() {
    let receiver = Receiver::start(&[Reply::status(500), Reply::status(410)]).await;
    let scratch = Scratch::new("routes");
    let url = format!("{}services/very-secret", receiver.url());
    let plan = plan(Cluster::embedded(), &scratch, &url, WEBHOOK);
    let cluster = plan.set("LOG_LEVEL", "debug").start().await;
    raise(&cluster, "a1").await;
    dead(&cluster, 1).await;
    let said = cluster.gateways[0].log();
    assert!(said.contains("webhook not delivered"), "{said}");
    for secret in ["very-secret", SECRET] {
        assert!(!said.contains(secret), "{secret} is in the log:\n{said}");
    }
}
