//! The command line as people meet it: help, near misses, completions, `--url`, replay, the banner.

use std::time::{Duration, Instant};

use serde_json::json;

use crate::cluster::{Cluster, fanfare, token};

/// The commands that a help lists.
fn listed(help: &str) -> Vec<String> {
    let lines = help.lines().skip_while(|line| *line != "Commands:").skip(1);
    let names = lines.take_while(|line| !line.is_empty()).filter_map(|line| {
        let is_name = line.starts_with("  ") && !line.starts_with("   ");
        is_name.then(|| line.split_whitespace().next()).flatten()
    });
    names.filter(|name| *name != "help").map(str::to_owned).collect()
}

/// The words of every command, `dead list` included.
async fn commands() -> Vec<Vec<String>> {
    let mut found = Vec::new();
    let mut open = vec![Vec::new()];
    while let Some(words) = open.pop() {
        let mut arguments = vec!["help".to_owned()];
        arguments.extend(words.clone());
        let arguments: Vec<_> = arguments.iter().map(String::as_str).collect();
        let help = fanfare(&arguments, &[]).await.expect(0).stdout;
        open.extend(listed(&help).into_iter().map(|name| [words.clone(), vec![name]].concat()));
        found.push(words);
    }
    found
}

#[tokio::test]
async fn every_help_has_an_example_and_the_exit_codes() {
    let commands = commands().await;
    assert!(commands.len() >= 15, "{commands:?}");
    for words in commands {
        let mut arguments: Vec<_> = words.iter().map(String::as_str).collect();
        arguments.push("--help");
        let help = fanfare(&arguments, &[]).await.expect(0).stdout;
        assert!(help.contains("Examples:\n  "), "an example of {words:?}:\n{help}");
        assert!(help.contains("Exit codes:\n  0"), "exit codes of {words:?}:\n{help}");
        let of_a_server = ["publish", "watch", "dead", "explain", "demo", "healthcheck"];
        if words.first().is_some_and(|name| of_a_server.contains(&name.as_str())) {
            assert!(help.contains("--url <URL>") && help.contains("--token <TOKEN>"), "{help}");
        }
    }
}

#[tokio::test]
async fn who_is_close_is_told_the_right_word() {
    let misses: [(&[&str], &str); 4] = [
        (&["publsh"], "publish"),
        (&["dead", "lst"], "list"),
        (&["watch", "deployments", "--sinc", "x"], "--since"),
        (&["publish", "deployment", "deployment_update", "d"], "deployments"),
    ];
    for (arguments, right) in misses {
        let outcome = fanfare(arguments, &[]).await.expect(64);
        assert!(outcome.stderr.contains(&format!("'{right}'")), "{outcome:#?}");
    }
}

#[tokio::test]
async fn shells_complete_whatever_the_settings_say() {
    let wrong = [("PORT", "eighty")];
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let script = fanfare(&["completions", shell], &wrong).await.expect(0).stdout;
        assert!(script.contains("healthcheck") && script.contains("replay"), "{shell}:\n{script}");
    }
    let line = format!(
        "source <({} completions bash); COMP_WORDS=(fanfare pub); COMP_CWORD=1; _fanfare fanfare pub fanfare; echo \"${{COMPREPLY[@]}}\"",
        env!("CARGO_BIN_EXE_fanfare")
    );
    let said = tokio::process::Command::new("bash").args(["-c", &line]).output().await.unwrap();
    assert_eq!(String::from_utf8_lossy(&said.stdout).trim(), "publish", "{said:?}");
}

#[tokio::test]
async fn a_server_is_named_on_the_command_line_and_so_is_who_we_are() {
    let cluster = Cluster::of(1, 1).set("ENVIRONMENT", "production").start().await;
    let url = cluster.gateways[0].http("");
    let token = crate::cluster::token_with(
        json!({"sub": "ci", "channels": ["*"], "publish": ["*"], "role": "admin"}),
    );
    // What is said here counts before the settings.
    let settings = [("FANFARE_URL", "http://127.0.0.1:1"), ("FANFARE_TOKEN", "wrong")];
    let end = r#"{"status":"success"}"#;
    let commands: [&[&str]; 5] = [
        &["publish", "deployments", "deployment_update", "d", end],
        &["watch", "deployment:d"],
        &["dead", "list"],
        &["demo", "--for", "1s"],
        &["healthcheck"],
    ];
    for words in commands {
        let arguments = [words, &["--url", &url, "--token", &token]].concat();
        fanfare(&arguments, &settings).await.expect(0);
        // Also in front of what the command takes.
        let arguments = [&words[..1], &["--url", &url, "--token", &token], &words[1..]].concat();
        fanfare(&arguments, &settings).await.expect(0);
    }
    fanfare(&["watch", "deployment:d", "--url", "ftp://x"], &[]).await.expect(64);
    fanfare(&["watch", "deployment:d", "--url", "http://127.0.0.1:1"], &[]).await.expect(69);
}

#[tokio::test]
async fn plain_http_needs_no_certificates_of_authorities() {
    let cluster = Cluster::embedded().start().await;
    let url = cluster.gateways[0].http("");
    let bare = [("SSL_CERT_FILE", "/dev/null"), ("SSL_CERT_DIR", "/nowhere")];
    for command in [&["healthcheck"][..], &["publish", "topics", "x", "y"], &["dead", "list"]] {
        fanfare(&[command, &["--url", &url]].concat(), &bare).await.expect(0);
    }
    let outcome =
        fanfare(&["dead", "list", "--url", "https://127.0.0.1:1"], &bare).await.expect(69);
    assert!(outcome.stderr.contains("ca-certificates"), "{outcome:#?}");
}

#[tokio::test]
async fn a_finished_run_is_played_again_at_the_pace_that_is_asked_for() {
    let cluster = Cluster::embedded().start().await;
    let url = cluster.gateways[0].http("");
    let token = token("watcher", &["*"]);
    let settings = [("FANFARE_URL", url.as_str()), ("FANFARE_TOKEN", token.as_str())];
    let update = |data| json!({"stream": "deployments", "type": "deployment_update", "id": "d", "data": data});
    cluster.publish(update(json!({"status": "building", "message": "first"}))).await;
    tokio::time::sleep(Duration::from_millis(1500)).await; // The pause that is played again.
    cluster.publish(update(json!({"message": "second"}))).await;
    cluster.publish(update(json!({"status": "error", "message": "third"}))).await;
    let play = async |speed: &[&str]| {
        let began = Instant::now();
        let arguments = [&["watch", "deployment:d", "--replay"], speed].concat();
        let said = fanfare(&arguments, &settings).await.expect(1).stdout;
        let places = ["first", "second", "third"].map(|line| said.find(line).expect(line));
        assert!(places.is_sorted(), "{said}");
        began.elapsed()
    };
    assert!(play(&[]).await >= Duration::from_millis(1500));
    assert!(play(&["1000"]).await < Duration::from_millis(1500));
    fanfare(&["watch", "deployment:d", "--replay", "fast"], &settings).await.expect(64);
}

#[tokio::test]
async fn a_replay_of_what_goes_on_is_followed_to_its_end() {
    let cluster = Cluster::embedded().start().await;
    let url = cluster.gateways[0].http("");
    let settings = [("FANFARE_URL", url.as_str())];
    let update = |data| json!({"stream": "deployments", "type": "deployment_update", "id": "d", "data": data});
    cluster.publish(update(json!({"status": "building", "message": "before"}))).await;
    let watching = fanfare(&["watch", "deployment:d", "--replay", "100"], &settings);
    let ending = async {
        while cluster.get("/metrics").await.body.contains("fanfare_gateway_subscriptions 0") {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        cluster.publish(update(json!({"status": "success", "message": "after"}))).await;
    };
    let (outcome, ()) = tokio::join!(watching, ending);
    let said = outcome.expect(0).stdout;
    assert_eq!(said.matches("before").count(), 1, "{said}");
    assert!(said.contains("after"), "{said}");
}

#[tokio::test]
async fn what_the_banner_says_works_with_any_address() {
    let cluster = Cluster::embedded()
        .set("HOST", "::")
        .set("ALLOW_INSECURE", "true")
        .set("MOCK_STEP_MS", "50-100")
        .start()
        .await;
    let said = services::eventually(crate::client::PATIENCE, || {
        let said = cluster.gateways[0].log();
        said.contains("Development mode").then_some(said)
    });
    let said = said.expect("a banner");
    let port = cluster.gateways[0].http("").rsplit_once(':').unwrap().1.to_owned();
    assert!(said.contains(&format!("http://[::1]:{port}")), "{said}");
    assert!(!said.contains("[::]"), "an address that can be connected to:\n{said}");
    let program = format!("fanfare() {{ {} \"$@\"; }}", env!("CARGO_BIN_EXE_fanfare"));
    let lines = said.lines().map(str::trim);
    let tried: Vec<_> =
        lines.filter(|line| line.starts_with("curl ") || line.starts_with("fanfare ")).collect();
    assert_eq!(tried.len(), 2, "{said}");
    // The mock run first: somebody watches what goes on.
    let script = format!("{program}\n{}\n{}", tried[1], tried[0]);
    let output = tokio::process::Command::new("bash").args(["-c", &script]).output().await.unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(
        said.contains("Mock deployment started") && said.contains("Cloning repository"),
        "{output:?}"
    );
}

#[tokio::test]
async fn an_address_that_is_taken_ends_with_73_and_names_who_has_it() {
    let cluster = Cluster::embedded().start().await;
    let url = cluster.gateways[0].http("");
    let port = url.rsplit_once(':').unwrap().1;
    let outcome =
        fanfare(&[], &[("PORT", port), ("EMBEDDED_REDIS_LISTEN", "off")]).await.expect(73);
    let pid = format!("process {}", cluster.gateways[0].pid());
    assert!(outcome.stderr.contains(port) && outcome.stderr.contains(&pid), "{outcome:#?}");
}
