//! What the other end understands: the bodies for Slack, for Discord and for everybody else.

use domain::{event::State, time::iso};
use runtime::config::AlertDestination;
use serde_json::{Value, json};

/// Slack: the longest text of a section, in characters.
const SLACK_TEXT_CHARS_MAX: usize = 3000;

/// Discord: the longest content, title, description and value of a field, in characters.
const DISCORD_CONTENT_CHARS_MAX: usize = 2000;
const DISCORD_TITLE_CHARS_MAX: usize = 256;
const DISCORD_DESCRIPTION_CHARS_MAX: usize = 4096;
const DISCORD_FIELD_CHARS_MAX: usize = 1024;

/// Writes an alert for its destination.
pub fn write(destination: AlertDestination, alert: &State) -> String {
    let body = match destination {
        AlertDestination::Slack => slack(alert),
        AlertDestination::Discord => discord(alert),
        AlertDestination::Webhook => json!({ "type": "alert", "alert": alert }),
    };
    body.to_string()
}

fn text<'a>(alert: &'a State, key: &str) -> &'a str {
    alert.get(key).and_then(Value::as_str).unwrap_or_default()
}

/// `[critical] Title`
fn headline(alert: &State) -> String {
    format!("[{}] {}", text(alert, "severity"), text(alert, "title"))
}

/// A text that is no longer than `chars_max`; what is cut ends in an ellipsis.
fn cut(text: &str, chars_max: usize) -> String {
    if text.chars().count() <= chars_max {
        return text.to_owned();
    }
    text.chars().take(chars_max - 1).chain(['…']).collect()
}

/// Slack's three control characters, so that no alert mentions a channel or hides a link.
fn slack_text(text: &str, chars_max: usize) -> String {
    let mut escaped = String::new();
    let mut left = chars_max - 1;
    for c in text.chars() {
        let (entity, length) = match c {
            '&' => ("&amp;", 5),
            '<' => ("&lt;", 4),
            '>' => ("&gt;", 4),
            _ => ("", 1),
        };
        if length > left {
            escaped.push('…');
            break;
        }
        left -= length;
        if entity.is_empty() { escaped.push(c) } else { escaped.push_str(entity) }
    }
    escaped
}

/// An incoming webhook: a text for notifications, blocks for the channel.
fn slack(alert: &State) -> Value {
    let section =
        |text: String| json!({ "type": "section", "text": { "type": "mrkdwn", "text": text } });
    let headline = slack_text(&headline(alert), SLACK_TEXT_CHARS_MAX - 2);
    let mut blocks = vec![section(format!("*{headline}*"))];
    if !text(alert, "message").is_empty() {
        blocks.push(section(slack_text(text(alert, "message"), SLACK_TEXT_CHARS_MAX)));
    }
    let mut context = format!("{} · {}", text(alert, "id"), time(alert));
    if !text(alert, "source").is_empty() {
        context = format!("{} · {context}", text(alert, "source"));
    }
    let context = slack_text(&context, SLACK_TEXT_CHARS_MAX);
    blocks.push(json!({
        "type": "context", "elements": [{ "type": "mrkdwn", "text": context }],
    }));
    json!({ "text": headline, "blocks": blocks })
}

/// A webhook of Discord: a content for notifications, an embed for the channel; nobody is mentioned.
fn discord(alert: &State) -> Value {
    let color = match text(alert, "severity") {
        "critical" => 0x00e0_1e5a,
        "warning" => 0x00ec_b22e,
        _ => 0x0036_c5f0,
    };
    let field = |name: &str, value: &str| {
        let value = cut(value, DISCORD_FIELD_CHARS_MAX);
        json!({ "name": name, "value": value, "inline": true })
    };
    let given = [("severity", "severity"), ("source", "source"), ("alert", "id")];
    let given = given.map(|(name, key)| (name, text(alert, key)));
    let fields: Vec<Value> = given
        .into_iter()
        .filter(|(_, value)| !value.is_empty())
        .map(|(name, value)| field(name, value))
        .collect();
    let mut embed = json!({
        "title": cut(text(alert, "title"), DISCORD_TITLE_CHARS_MAX),
        "color": color,
        "timestamp": time(alert),
        "fields": fields,
    });
    if !text(alert, "message").is_empty() {
        embed["description"] = cut(text(alert, "message"), DISCORD_DESCRIPTION_CHARS_MAX).into();
    }
    json!({
        "content": cut(&headline(alert), DISCORD_CONTENT_CHARS_MAX),
        "embeds": [embed],
        "allowed_mentions": { "parse": [] },
    })
}

/// When the alert was raised, as ISO 8601 has it.
fn time(alert: &State) -> String {
    let seconds = alert.get("created_at").and_then(Value::as_i64).unwrap_or_default();
    iso(seconds.saturating_mul(1000))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn alert(title: &str, message: &str) -> State {
        let alert = json!({
            "id": "a1", "severity": "critical", "title": title, "message": message,
            "source": "agent:gpu-1", "created_at": 1_795_784_289, "acknowledged": 0,
        });
        alert.as_object().unwrap().clone()
    }

    fn written(destination: AlertDestination, alert: &State) -> Value {
        serde_json::from_str(&write(destination, alert)).unwrap()
    }

    #[test]
    fn slack_gets_a_text_and_blocks_that_mention_nobody() {
        let body = written(AlertDestination::Slack, &alert("Disk & co", "<!channel> at 99 %"));
        assert_eq!(body["text"], "[critical] Disk &amp; co");
        let text = |at: usize| body["blocks"][at]["text"]["text"].as_str().unwrap();
        assert_eq!((text(0), text(1)), ("*[critical] Disk &amp; co*", "&lt;!channel&gt; at 99 %"));
        let context = &body["blocks"][2]["elements"][0]["text"];
        assert_eq!(context, "agent:gpu-1 · a1 · 2026-11-27T12:58:09.000Z");
        let long = written(AlertDestination::Slack, &alert(&"<".repeat(9000), &"&".repeat(9000)));
        for at in [0, 1] {
            let text = long["blocks"][at]["text"]["text"].as_str().unwrap();
            assert!(text.chars().count() <= 3000 && text.contains('…'), "{}", text.len());
        }
    }

    #[test]
    fn discord_gets_an_embed_within_its_limits_that_mentions_nobody() {
        let body = written(AlertDestination::Discord, &alert("Disk", "@everyone"));
        assert_eq!(body["content"], "[critical] Disk");
        assert_eq!(body["allowed_mentions"], json!({ "parse": [] }));
        assert_eq!(body["embeds"][0]["description"], "@everyone");
        assert_eq!(body["embeds"][0]["fields"][1]["value"], "agent:gpu-1");
        assert_eq!(body["embeds"][0]["timestamp"], "2026-11-27T12:58:09.000Z");
        let long = written(AlertDestination::Discord, &alert(&"é".repeat(9000), &"é".repeat(9000)));
        let chars = |value: &Value| value.as_str().unwrap().chars().count();
        assert_eq!(chars(&long["content"]), 2000);
        assert_eq!(chars(&long["embeds"][0]["title"]), 256);
        assert_eq!(chars(&long["embeds"][0]["description"]), 4096);
    }

    #[test]
    fn everybody_else_gets_the_alert_as_it_is_listed() {
        let alert = alert("Disk", "full");
        let body = written(AlertDestination::Webhook, &alert);
        assert_eq!(body, json!({ "type": "alert", "alert": alert }));
    }
}
