//! A viewer that leaves, is thrown out, and comes back to either node with its position.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use rand::RngExt as _;
use rand::rngs::StdRng;
use serde_json::{Value, json};
use tokio::sync::watch;
use tokio::time::{Instant, sleep};

use super::judge::{History, Sighting};
use crate::client::{Frame, Socket};
use crate::cluster::token;

/// How far the run is.
#[derive(Debug, Clone)]
pub(super) enum Ending {
    /// Events are published.
    Open,
    /// The publishers send no more.
    PublishersStop,
    /// The last number of each channel is known.
    ReadTo(BTreeMap<String, u64>),
}

/// Views one channel until it has seen the last event.
pub(super) async fn view(
    gateways: Vec<String>,
    history: Arc<Mutex<History>>,
    mut random: StdRng,
    end: watch::Receiver<Ending>,
) {
    let token = token("viewer", &["*"]);
    let channel = history.lock().unwrap().channel.clone();
    // Some come late.
    sleep(Duration::from_millis(random.random_range(0..3000))).await;
    let mut since = None;
    while !is_done(&end, &history) {
        let gateway = &gateways[random.random_range(0..gateways.len())];
        let stays = Duration::from_millis(random.random_range(100..4000));
        if let Some(mut socket) =
            Socket::attempt(&format!("{gateway}/v1/connect?token={token}")).await
        {
            let leaves = Instant::now() + stays;
            listen(&mut socket, &channel, &mut since, &history, leaves, &end).await;
        }
        sleep(Duration::from_millis(random.random_range(10..200))).await;
    }
}

fn is_done(end: &watch::Receiver<Ending>, history: &Mutex<History>) -> bool {
    let history = history.lock().unwrap();
    match &*end.borrow() {
        Ending::Open | Ending::PublishersStop => false,
        Ending::ReadTo(last) => last.get(&history.channel) == Some(&history.head()),
    }
}

async fn listen(
    socket: &mut Socket,
    channel: &str,
    since: &mut Option<String>,
    history: &Mutex<History>,
    leaves: Instant,
    end: &watch::Receiver<Ending>,
) {
    let mut subscribe = json!({"type": "subscribe", "channel": channel});
    if let Some(since) = &since {
        subscribe["since"] = since.as_str().into();
    }
    if socket.try_send(subscribe).await.is_err() {
        return;
    }
    while Instant::now() < leaves && !is_done(end, history) {
        let Some(frame) = socket.poll(Duration::from_millis(100)).await else { continue };
        let Frame::Json(frame) = frame else { return };
        if let Some(sighting) = sighting(&frame, since.as_deref()) {
            history.lock().unwrap().sightings.push(sighting);
            if let Some(position) = frame["position"].as_str() {
                *since = Some(position.to_owned());
            }
        }
    }
}

/// What a frame says about the channel; `since` is the position that was last seen, if any.
fn sighting(frame: &Value, since: Option<&str>) -> Option<Sighting> {
    let position = frame["position"].as_str().unwrap_or_default();
    let offset = position.rsplit_once('-').and_then(|(_, offset)| offset.parse().ok());
    match frame["type"].as_str()? {
        "subscribed" if since.is_none() => {
            let number = frame["state"]["n"].as_u64().unwrap_or(0);
            Some(Sighting::Began { offset: offset?, number })
        }
        "subscribed" if since == Some(position) => None,
        "event" => {
            let number = frame["data"]["n"].as_u64().unwrap_or(0);
            Some(Sighting::Event { offset: offset?, number })
        }
        "welcome" | "status" | "bye" => None,
        _ => Some(Sighting::Wrong(frame.to_string())),
    }
}
