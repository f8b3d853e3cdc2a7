//! Pure tests: what comes in, what goes out.

use auth::Authenticator;
use domain::event::{Event, EventKind};
use serde_json::{Value, value::RawValue};

use super::{super::test_support, *};

const FULL: &str = r#"{"type":"LOG","containerID":"c1","timestamp":"t","data":{"message":"x"}}"#;

fn decode(encoding: Encoding, text: &str) -> Vec<Command> {
    test_support::decode(&test_support::containers(), encoding, None, Message::Text(text))
}

#[test]
fn a_wrong_frame_is_told_in_the_case_of_its_sender_and_never_without_json() {
    for (text, container) in [
        ("pong", ""),
        ("[]", ""),
        (r#"["LOG","c1","t",{}]"#, ""),
        ("{}", ""),
        (r#"{"type":"LOG","containerID":"c1"}"#, "c1"),
        (r#"{"type":"LOG","containerID":"c1","timestamp":"","data":{"message":"x"}}"#, "c1"),
        (r#"{"type":"LOG","containerID":"c1","timestamp":"t","data":[]}"#, "c1"),
        (r#"{"type":"LOG","containerID":"a*","timestamp":"t","data":{"message":"x"}}"#, "a*"),
        (r#"{"type":"DANCE","containerID":"c1","timestamp":"t","data":{}}"#, "c1"),
    ] {
        let frame = test_support::only_frame(&decode(UPPER, text));
        assert_eq!(frame["type"], "ERROR", "{text}");
        assert_eq!(frame["containerID"], container, "{text}");
        assert_eq!(frame["data"]["code"], "INVALID_MESSAGE", "{text}");
    }
}

#[test]
fn a_frame_goes_along_byte_for_byte_and_an_empty_line_is_a_line() {
    for text in [FULL, &FULL.replace(r#""x""#, r#""""#), &FULL.replace("}}", r#"},"more":[1, 2]}"#)]
    {
        let commands = decode(UPPER, text);
        let [Command::Append(append)] = &commands[..] else { panic!("{text}: {commands:?}") };
        assert_eq!(append.fields.get(field::FRAME), Some(text.as_bytes()));
        assert_eq!(append.fields.get(field::TYPE), Some(&b"log"[..]));
        assert!(matches!(&append.condition, Some(Condition::Attends(id)) if &**id == "c1"));
    }
}

#[test]
fn who_writes_in_lower_case_is_written_to_in_lower_case() {
    let commands = decode(UPPER, r#"{"type":"subscribe","containerID":"c1"}"#);
    assert!(matches!(
        &commands[..],
        [Command::Encode(of), Command::Attend(_), Command::Subscribe(_)] if *of == LOWER
    ));
    let wrong = r#"{"type":"subscribe","containerID":"c1","auth":{"token":"no"}}"#;
    let frame = test_support::only_frame(&decode(LOWER, wrong));
    assert_eq!((&frame["type"], &frame["data"]["code"]), (&"error".into(), &"UNAUTHORIZED".into()));
}

#[test]
fn a_heartbeat_is_answered_and_not_recorded() {
    let text = FULL.replace("LOG", "HEARTBEAT");
    let commands = decode(UPPER, &text);
    let [Command::Attend(_), Command::Send(frame)] = &commands[..] else { panic!("{commands:?}") };
    assert_eq!(test_support::json(frame)["type"], "HEARTBEAT");
}

#[test]
fn only_the_case_of_the_type_is_adapted() {
    let own =
        r#"{"x":"LOG", "type" : "LOG","containerID":"c1","timestamp":1,"data":{"message":"LOG"}}"#;
    let mut event = Event::new(EventKind::ContainerLog, Some("c1"), r#"{"message":"LOG"}"#);
    event.frame = RawValue::from_string(own.to_owned()).ok();
    let publication = test_support::publication("container:c1", event);
    let position = test_support::position("container:c1");
    let text = |of: Encoding| {
        let frame = of.event(&publication, &position).unwrap();
        String::from_utf8(frame.payload().to_vec()).unwrap()
    };
    assert_eq!(text(UPPER), own);
    assert_eq!(text(LOWER), own.replace(r#""type" : "LOG""#, r#""type" : "log""#));
    let published = Event::new(EventKind::ContainerComplete, Some("c1"), r#"{"exitCode":0}"#);
    let published = test_support::publication("container:c1", published);
    let frame = UPPER.event(&published, &position).unwrap();
    let frame: Value = test_support::json(&frame);
    assert_eq!((&frame["type"], &frame["containerID"]), (&"COMPLETE".into(), &"c1".into()));
    assert_eq!(frame["timestamp"], "1970-01-01T00:00:00.000Z");
}

#[test]
fn a_wrong_token_is_401_and_the_right_one_opens_any_path() {
    let config = test_support::config();
    let auth = Authenticator::new(&config.access).unwrap();
    let context = OpenContext {
        auth: &auth,
        config: &config,
        node: "n",
        degraded: None,
        partitions: 1,
        connection: "n-1",
        now: 0,
    };
    let open = |query| {
        let request = Request::of("/any/path", Some(query), &http::HeaderMap::new());
        assert!(test_support::containers().recognizes(&request, &config));
        test_support::containers().open(&request, &context)
    };
    let refusal = open("token=wrong").err();
    assert!(matches!(
        refusal,
        Some(Refusal::Http { status: StatusCode::UNAUTHORIZED, body: "Unauthorized" })
    ));
    assert!(open("token=default-token").unwrap().commands.is_empty());
    assert_eq!(open("token=default-token&containerID=c1").unwrap().commands.len(), 2);
}
