//! Settings: wrong ones name themselves and end with 78, secrets are never printed.

use services::free_port;

use crate::cluster::{Cluster, Outcome, fanfare};

const SECRET: &str = "a-secret-that-nobody-may-read-0123456789";

/// `fanfare config` with these settings must refuse and name one of them.
async fn wrong(settings: &[(&str, &str)], named: &str) -> Outcome {
    let outcome = fanfare(&["config"], settings).await.expect(78);
    let said = format!("{}{}", outcome.stdout, outcome.stderr).to_uppercase();
    assert!(said.contains(named), "it names {named}:\n{said}");
    outcome
}

#[tokio::test]
async fn every_setting_is_listed_with_its_value_and_origin() {
    let settings = [("PING_MS", "1234"), ("JWT_SECRET", SECRET)];
    let said = fanfare(&["config"], &settings).await.expect(0).stdout;
    for name in
        ["PORT", "REDIS_URL", "COCKPIT_PING_MS", "HISTORY_LENGTH", "MAX_DELIVERIES", "DRAIN_MS"]
    {
        assert!(said.contains(name), "{name} is missing:\n{said}");
    }
    let line = said.lines().find(|line| line.contains("PING_MS") && line.contains("1234")).unwrap();
    assert!(line.contains("env"), "where the value came from: {line}");
    assert!(!said.contains(SECRET), "secrets are masked:\n{said}");
}

#[tokio::test]
async fn a_password_in_a_url_is_masked() {
    let settings = [("REDIS_URL", "redis://:hunter2@127.0.0.1:1/")];
    let outcome = fanfare(&["config"], &settings).await.expect(0);
    assert!(!outcome.stdout.contains("hunter2"), "{outcome:#?}");
}

#[tokio::test]
async fn a_wrong_value_names_its_setting() {
    wrong(&[("PORT", "eighty")], "PORT").await;
    wrong(&[("PORT", "70000")], "PORT").await;
    wrong(&[("PING_MS", "-1")], "PING_MS").await;
    wrong(&[("ENVIRONMENT", "staging")], "ENVIRONMENT").await;
    wrong(&[("MOCK_STEP_MS", "9-1")], "MOCK_STEP_MS").await;
    wrong(&[("REDIS_URL", "http://127.0.0.1")], "REDIS_URL").await;
    wrong(&[("DATABASE_URL", "mysql://127.0.0.1/x")], "DATABASE_URL").await;
    wrong(&[("LISTEN", "127.0.0.1")], "LISTEN").await;
}

#[tokio::test]
async fn a_wrong_secret_names_its_setting_and_not_its_value() {
    let short = [("ENVIRONMENT", "production"), ("JWT_SECRET", "hunter2-is-short")];
    let outcome = wrong(&short, "JWT_SECRET").await;
    assert!(!format!("{outcome:?}").contains("hunter2"), "{outcome:#?}");
}

#[tokio::test]
async fn production_refuses_missing_and_well_known_secrets() {
    wrong(&[("ENVIRONMENT", "production")], "JWT_SECRET").await;
    let good = ("JWT_SECRET", SECRET);
    for known in ["secret", "changeme"] {
        wrong(&[("ENVIRONMENT", "production"), ("JWT_SECRET", known)], "JWT_SECRET").await;
    }
    let known = ("AUTH_TOKEN", "default-token");
    wrong(&[("ENVIRONMENT", "production"), good, known], "AUTH_TOKEN").await;
    fanfare(&["config"], &[("ENVIRONMENT", "production"), good]).await.expect(0);
}

#[tokio::test]
async fn development_stays_on_loopback_unless_told() {
    wrong(&[("HOST", "0.0.0.0")], "ALLOW_INSECURE").await;
    fanfare(&["config"], &[("HOST", "0.0.0.0"), ("ALLOW_INSECURE", "true")]).await.expect(0);
}

#[tokio::test]
async fn a_file_holds_settings_and_the_environment_wins() {
    let scratch = services::Scratch::new("settings");
    let file = scratch.path().join("fanfare.toml");
    std::fs::write(&file, "ping_ms = 4321\ndrain_ms = 1111\n").unwrap();
    let path = file.to_str().unwrap();
    let settings = [("FANFARE_CONFIG", path), ("DRAIN_MS", "2222")];
    let said = fanfare(&["config"], &settings).await.expect(0).stdout;
    assert!(said.contains("4321") && said.contains("2222") && !said.contains("1111"), "{said}");

    std::fs::write(&file, "pong_ms = 1\n").unwrap();
    let outcome = wrong(&[("FANFARE_CONFIG", path)], "PONG_MS").await;
    assert!(format!("{outcome:?}").contains("fanfare.toml"), "it names the file: {outcome:#?}");
}

#[tokio::test]
async fn the_roles_alone_need_both_services() {
    for role in ["gateway", "worker"] {
        let outcome = fanfare(&[role], &[]).await.expect(78);
        assert!(format!("{outcome:?}").contains("REDIS_URL"), "{outcome:#?}");
    }
}

#[tokio::test]
async fn a_service_that_does_not_come_up_ends_with_69() {
    let redis = format!("redis://127.0.0.1:{}", free_port());
    let database = format!("postgres://postgres@127.0.0.1:{}/x", free_port());
    let settings = [
        ("REDIS_URL", redis.as_str()),
        ("DATABASE_URL", database.as_str()),
        ("STARTUP_TIMEOUT_MS", "500"),
    ];
    fanfare(&["gateway"], &settings).await.expect(69);
    fanfare(&["worker"], &settings).await.expect(69);
}

#[tokio::test]
async fn wrong_usage_ends_with_64() {
    fanfare(&["dance"], &[]).await.expect(64);
    fanfare(&["gateway", "--louder"], &[]).await.expect(64);
    fanfare(&["token"], &[]).await.expect(64);
    fanfare(&["publish", "tasks"], &[]).await.expect(64);
}

#[tokio::test]
async fn tokens_and_secrets_stay_out_of_the_log() {
    let key = "internal-key-that-nobody-may-read-0123";
    let cluster =
        Cluster::embedded().set("INTERNAL_API_KEY", key).set("LOG_LEVEL", "debug").start().await;
    let token = crate::cluster::token("alice", &["*"]);
    for path in [format!("/v1/connect?token={token}"), "/v1/connect?token=wrong-token-7".to_owned()]
    {
        let mut socket = crate::client::Socket::connect(&cluster.gateways[0].ws(&path)).await;
        socket.next().await;
    }
    let header = [("Authorization".to_owned(), format!("Bearer {key}"))];
    let url = cluster.gateways[0].http("/internal/deployments/d/update");
    let body = Some(r#"{"status":{"message":"words-of-the-body"}}"#);
    cluster.http.send("POST", &url, &header, body).await.unwrap().expect(200);
    let said = cluster.gateways[0].log();
    for secret in [token.as_str(), "wrong-token-7", key, "words-of-the-body"] {
        assert!(!said.contains(secret), "{secret} is in the log:\n{said}");
    }
}
