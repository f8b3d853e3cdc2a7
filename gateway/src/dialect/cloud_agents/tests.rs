//! Pure tests: what comes in, what goes out.

use std::collections::HashMap;

use auth::{Authenticator, Claims};
use runtime::config::{Config, Role};
use serde_json::json;

use super::{super::test_support, *};

fn decode(text: &str) -> Vec<Command> {
    test_support::decode(&CloudAgents, ENCODING, None, Message::Text(text))
}

fn greeting(config: &Config, auth: &Authenticator, token: &str) -> Value {
    let context = OpenContext {
        auth,
        config,
        node: "n",
        degraded: None,
        partitions: 1,
        connection: "n-1",
        now: 0,
    };
    let query = format!("token={token}");
    let request = Request::of("/ws", Some(&query), &http::HeaderMap::new());
    let opening = CloudAgents.open(&request, &context).unwrap();
    let greeted = opening.commands.into_iter().find_map(|command| match command {
        Command::Send(frame) => Some(test_support::json(&frame)["data"].clone()),
        _ => None,
    });
    greeted.unwrap()
}

#[test]
fn opaque_tokens_name_a_user_in_development_alone_and_true_tokens_everywhere() {
    let config = test_support::config();
    let auth = Authenticator::new(&config.access).unwrap();
    let claims = Claims { sub: Some("ann".into()), exp: 4_000_000_000, ..Claims::default() };
    let token = auth.sign(&claims).unwrap();
    let known = |user: &str| json!({ "success": true, "userId": user });
    assert_eq!(greeting(&config, &auth, "abc123"), known("user_abc123"));
    assert_eq!(greeting(&config, &auth, "bob456789xyz"), known("user_bob45678"));
    assert_eq!(greeting(&config, &auth, &token), known("ann"));
    let nobody = |error: &str| json!({ "success": false, "error": error });
    assert_eq!(greeting(&config, &auth, ""), nobody("No token provided"));
    assert_eq!(greeting(&config, &auth, "a.b.c"), nobody("invalid token"));
    let environment = HashMap::from([
        (String::from("ENVIRONMENT"), String::from("production")),
        (String::from("JWT_SECRET"), "a-secret-of-the-tests-that-is-long-enough".into()),
    ]);
    let (config, _) = Config::from_environment(Role::Whole, &environment).unwrap();
    let auth = Authenticator::new(&config.access).unwrap();
    assert_eq!(greeting(&config, &auth, "abc123"), nobody("invalid token"));
}

#[test]
fn every_message_is_life_and_what_is_none_is_told() {
    for text in [r#"{"type":"pong"}"#, r#"{"type":"dance"}"#, "[]", "5", r#""text""#] {
        assert!(matches!(decode(text)[..], [Command::Alive]), "{text}");
    }
    for text in ["this is not JSON", "null", ""] {
        let commands = decode(text);
        assert!(matches!(commands[..], [Command::Send(_)]), "{text}");
        assert_eq!(test_support::only_frame(&commands)["data"]["error"], "Invalid message format");
    }
    assert_eq!(test_support::only_frame(&decode(r#"{"type":"ping"}"#))["type"], "pong");
}

#[test]
fn presence_is_one_of_four_words() {
    let commands = decode(r#"{"type":"user_presence","data":"busy"}"#);
    assert!(matches!(&commands[..], [Command::Alive, Command::Presence(busy)] if busy == "busy"));
    let error = test_support::only_frame(&decode(r#"{"type":"user_presence","data":"dancing"}"#));
    assert_eq!(error["type"], "error");
}
