//! Faults planted in made-up workspaces: the measure names each of them, and nothing in a sound one.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::path::{Path, PathBuf};

use house::{Crates, House, Measure, Plan, Words};

/// A workspace of a few files in a folder of its own, gone with it.
struct Planted(PathBuf);

impl Planted {
    /// Lays out a sound house: `start` looks down on `session`, and that on `channel`; `dialect` stands above both.
    fn new(test: &str) -> Self {
        let root = std::env::temp_dir().join(format!("house-{}-{test}", std::process::id()));
        let planted = Self(root);
        let members = r#"members = ["gateway", "broker", "domain"]"#;
        planted.write("Cargo.toml", &format!("[workspace]\n{members}\n"));
        planted.package("gateway", "domain.workspace = true\nbroker.workspace = true");
        planted.package("broker", "redis = \"1\"\ndomain.workspace = true");
        planted.package("domain", "");
        planted.write("broker/src/lib.rs", "pub struct Broker(pub domain::Event);");
        planted.write("domain/src/lib.rs", "pub struct Event;");
        let rooms = "mod channel;\nmod dialect;\nmod session;\nmod start;\n";
        planted.write("gateway/src/lib.rs", rooms);
        planted.write("gateway/src/start.rs", "fn run() { crate::session::Session::open(); }");
        planted.write("gateway/src/session.rs", SESSION);
        planted.write("gateway/src/session/outbox.rs", "pub struct Outbox;");
        planted.write("gateway/src/dialect.rs", "pub mod cockpit;");
        planted.write("gateway/src/dialect/cockpit.rs", "pub fn encode(_: domain::Event) {}");
        planted
            .write("gateway/src/channel.rs", "/// Fans out to all its listeners.\npub struct Hub;");
        planted
    }

    fn package(&self, name: &str, dependencies: &str) {
        let head = format!("[package]\nname = \"{name}\"\n");
        self.write(
            &format!("{name}/Cargo.toml"),
            &format!("{head}[dependencies]\n{dependencies}\n"),
        );
    }

    fn write(&self, path: &str, text: &str) {
        let path = self.0.join(path);
        std::fs::create_dir_all(path.parent().unwrap_or(Path::new("/"))).unwrap();
        std::fs::write(path, text).unwrap();
    }

    fn measure(&self) -> Measure {
        Measure::take(&House::read(&self.0).unwrap(), &plan())
    }
}

impl Drop for Planted {
    fn drop(&mut self) {
        let _gone = std::fs::remove_dir_all(&self.0);
    }
}

const SESSION: &str = "
pub mod outbox;
pub use self::outbox::Outbox;
use crate::channel::Hub;
pub struct Session(Hub);
impl Session { pub fn open() { tracing::warn!(id = 1, \"session: not opened, the client connects anew\"); } }
#[cfg(test)]
mod tests { use crate::start; use crate::dialect::cockpit; }
";

fn plan() -> Plan {
    Plan {
        crate_name: "gateway",
        floors: &[&["start", "lib"], &["dialect"], &["session"], &["channel"]],
        silent: &["session", "channel"],
        dialects: &["cockpit", "native"],
        plain_words: &["native"],
        channel_kinds: &[],
        crates: Crates {
            tiers: &[&["gateway"], &["broker"], &["domain"]],
            reserved: &[("redis", &["broker"])],
            spawners: &["domain"],
        },
        words: Words::parse(
            "english = ['for ever']
            [[word]]
            kind = 'declared'
            say.Doors = 'OpenContext'
            [[word]]
            kind = 'module'
            say.enquiries = 'cluster_query'",
        )
        .unwrap(),
    }
}

fn names(list: &[String], parts: &[&str]) {
    let found = list.iter().any(|line| parts.iter().all(|part| line.contains(part)));
    assert!(found, "no line with {parts:?} in {list:#?}");
}

#[test]
fn a_sound_house_is_blameless() {
    let measure = Planted::new("sound").measure();
    let lists = [
        &measure.circles,
        &measure.room_circles,
        &measure.up,
        &measure.without_floor,
        &measure.crates,
        &measure.spawns,
        &measure.dialects,
        &measure.names,
        &measure.words,
        &measure.english,
        &measure.docs,
        &measure.logs,
    ];
    for list in lists {
        assert!(list.is_empty(), "{list:#?}");
    }
    names(&measure.edges, &["gateway/src/session.rs -> gateway/src/channel.rs"]);
    names(&measure.edges, &["gateway/src/dialect/cockpit.rs -> domain/src/lib.rs"]);
    assert_eq!(measure.edges.len(), 4, "{:#?}", measure.edges);
}

#[test]
fn an_arrow_to_a_higher_floor_is_named() {
    let planted = Planted::new("upward");
    planted.write(
        "gateway/src/channel.rs",
        "use crate::session::Session as Anything;\npub struct Hub;",
    );
    names(&planted.measure().up, &["channel -> session", "gateway/src/channel.rs"]);
}

#[test]
fn a_room_on_no_floor_is_named() {
    let planted = Planted::new("homeless");
    planted.write(
        "gateway/src/lib.rs",
        "mod attic; mod channel; mod dialect; mod session; mod start;",
    );
    planted.write("gateway/src/attic.rs", "");
    assert_eq!(planted.measure().without_floor, ["attic"]);
}

#[test]
fn a_circle_by_a_path_in_the_code_is_named() {
    let planted = Planted::new("inline");
    planted.write("gateway/src/session/outbox.rs", "pub struct Outbox(super::Session);");
    let session = SESSION.replace("Session(Hub)", "Session(Hub, outbox::Outbox)");
    planted.write("gateway/src/session.rs", &session);
    names(
        &planted.measure().circles,
        &["2: ", "gateway/src/session.rs", "gateway/src/session/outbox.rs"],
    );
}

#[test]
fn a_circle_by_a_path_in_a_macro_or_an_attribute_is_named() {
    for (test, outbox) in [
        ("macro", "pub fn outbox() { select! { _ = super::Session::open() => {} } }"),
        ("clap", "pub struct Outbox { #[arg(value_parser = super::Session::open)] size: u8 }"),
        ("serde", "pub struct Outbox { #[serde(default = \"super::Session::open\")] size: u8 }"),
    ] {
        let planted = Planted::new(test);
        planted.write("gateway/src/session/outbox.rs", outbox);
        planted.write(
            "gateway/src/session.rs",
            &format!("{SESSION}\nfn send() {{ outbox::outbox(); }}"),
        );
        names(&planted.measure().circles, &["2: ", "gateway/src/session/outbox.rs"]);
    }
}

#[test]
fn a_circle_through_a_re_export_is_named() {
    let planted = Planted::new("re-export");
    // `channel` names what `session` hands on: the file behind it, which names `channel`.
    planted.write("gateway/src/channel.rs", "use crate::session::Outbox;\npub struct Hub(Outbox);");
    planted.write("gateway/src/session/outbox.rs", "pub struct Outbox(Box<crate::channel::Hub>);");
    let circles = planted.measure().circles;
    assert_eq!(circles, ["2: gateway/src/channel.rs gateway/src/session/outbox.rs"]);
}

#[test]
fn a_circle_through_a_star_is_named() {
    let planted = Planted::new("star");
    planted.write("gateway/src/session.rs", "pub mod outbox;\npub use self::outbox::*;");
    planted.write("gateway/src/start.rs", "");
    planted.write("gateway/src/channel.rs", "use crate::session::*;\npub struct Hub(Outbox);");
    planted.write("gateway/src/session/outbox.rs", "pub struct Outbox(Box<crate::channel::Hub>);");
    names(&planted.measure().circles, &["gateway/src/channel.rs", "gateway/src/session/outbox.rs"]);
}

#[test]
fn a_dialect_named_under_its_floor_is_named() {
    for (test, hub, what) in [
        ("path", "use crate::dialect::cockpit::encode;\npub struct Hub;", "cockpit"),
        ("plain-word", "pub struct Hub;\nfn send() { native::encode(); }", "native::encode"),
        ("identifier", "pub struct Hub;\nfn cockpit_frame() {}", "cockpit_frame"),
        (
            "variant",
            "pub struct Hub;\nfn is() { matches!(e, Encoding::Native) }",
            "Encoding::Native",
        ),
        ("string", "pub struct Hub;\nconst NAME: &str = \"cockpit\";", "cockpit"),
    ] {
        let planted = Planted::new(test);
        planted.write("gateway/src/channel.rs", hub);
        names(&planted.measure().dialects, &["gateway/src/channel.rs:", what]);
    }
    let planted = Planted::new("plain");
    planted.write("gateway/src/channel.rs", "/// Not cockpit's.\npub struct Hub { native: bool }");
    assert_eq!(planted.measure().dialects, Vec::<String>::new());
}

#[test]
fn a_private_word_is_named_with_the_word_of_the_field() {
    let planted = Planted::new("word");
    planted.write("gateway/src/channel.rs", "pub struct Hub;\npub struct Doors;");
    planted.write("gateway/src/session/enquiries.rs", "");
    let words = planted.measure().words;
    names(&words, &["Doors", "gateway/src/channel.rs:2", "OpenContext"]);
    names(&words, &["module enquiries", "gateway/src/session/enquiries.rs", "cluster_query"]);
}

#[test]
fn a_crate_that_looks_up_or_takes_what_is_reserved_is_named() {
    let planted = Planted::new("crates");
    planted.package("domain", "broker.workspace = true\nredis = \"1\"");
    let crates = planted.measure().crates;
    names(&crates, &["domain -> broker"]);
    names(&crates, &["domain -> redis"]);
}

#[test]
fn a_task_spawned_outside_the_lifecycle_is_named() {
    let planted = Planted::new("spawn");
    planted.write("gateway/src/start.rs", "fn run() { tokio::task::spawn_blocking(work); }");
    names(&planted.measure().spawns, &["gateway/src/start.rs:1", "spawn_blocking"]);
}

#[test]
fn a_type_name_with_two_bearers_is_named() {
    let planted = Planted::new("bearers");
    planted.write("gateway/src/start.rs", "enum Hub {}\nstruct Error;");
    planted.write("gateway/src/session/outbox.rs", "struct Error;");
    assert_eq!(planted.measure().names, ["Hub x2: gateway/src/channel.rs gateway/src/start.rs"]);
}

#[test]
fn docs_that_say_too_little_or_oddly_are_named() {
    let planted = Planted::new("docs");
    let text = "/// The hub.\npub struct Hub;\n/// Keeps the text for ever, or for everything.\nfn keep() {}";
    planted.write("gateway/src/channel.rs", text);
    let measure = planted.measure();
    assert_eq!(measure.docs, ["gateway/src/channel.rs:1 The hub."]);
    names(&measure.english, &["gateway/src/channel.rs:3 for ever"]);
}

#[test]
fn a_warning_without_a_component_is_named() {
    let planted = Planted::new("logs");
    for (message, odd) in [
        ("\"not published yet\"", true),
        ("\"a request of ours failed: tried again\"", true),
        ("\"dead letters: not forgotten, tried again\"", false),
        ("%error, \"Redis: connection given up\"", true),
        ("%error, kind = \"a: b\"", true),
        ("%error, \"publisher: not published, tried again\"", false),
        ("target: \"x\", path = \"y\", \"token-expiry: closed late {}\", 1", false),
    ] {
        let start = format!("fn run() {{ tracing::error!({message}); info!(\"anything\"); }}");
        planted.write("gateway/src/start.rs", &start);
        assert_eq!(planted.measure().logs.len(), usize::from(odd), "{message}");
    }
}
