//! The outbox: written with the alert, taken by one sender at a time, gone with the delivery.

use std::time::Duration;

use store::{
    DeadLetterFilter, DeadLetterOrigin, DeadReason, DeliveryEnd, Judged, NewDelivery, Outcome,
    WebhookDelivery,
};

use crate::bench::{AGENTS, Bench, entry, id, on_both_engines};

on_both_engines! {
    a_delivery_is_written_with_its_alert_and_gone_when_it_is_done,
    an_alert_that_is_not_recorded_leaves_nothing_to_deliver,
    an_acknowledgement_stops_what_waits_for_one_and_nothing_else,
    an_acknowledgement_in_the_same_batch_stops_only_what_came_before_it,
    a_delivery_is_taken_by_one_sender_until_its_time_is_over,
    a_delivery_that_failed_is_a_dead_letter_and_can_be_redriven,
    what_nobody_serves_becomes_a_dead_letter,
}

const MINUTE: Duration = Duration::from_secs(60);
const NOW: Option<Duration> = None;
const LATER: Option<Duration> = Some(Duration::from_millis(1));

fn raised(ms: u64, alert: &str, routes: &[(&str, Option<Duration>)]) -> Judged {
    let data = r#"{"severity":"critical","title":"Down"}"#;
    let judged = entry(AGENTS, ms, &[("type", "alert"), ("id", alert), ("data", data)]);
    let delivery = |(route, after): &(&str, Option<Duration>)| NewDelivery {
        route: (*route).to_owned(),
        after: *after,
    };
    Judged { deliveries: routes.iter().map(delivery).collect(), ..judged }
}

fn acknowledged(ms: u64, alert: &str) -> Judged {
    entry(AGENTS, ms, &[("type", "alert_acknowledged"), ("id", alert)])
}

async fn claim(bench: &Bench, route: &str) -> Vec<WebhookDelivery> {
    bench.store.claim_deliveries(route, 10, MINUTE).await.unwrap()
}

/// Waits until so many are due, as the database's clock goes on.
async fn claim_one(bench: &Bench, route: &str) -> WebhookDelivery {
    loop {
        if let Some(delivery) = claim(bench, route).await.pop() {
            return delivery;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

async fn a_delivery_is_written_with_its_alert_and_gone_when_it_is_done(bench: Bench) {
    let mut owner = bench.owner(AGENTS).await;
    owner.record(vec![raised(1, "a", &[("slack", NOW), ("discord", NOW)])]).await;
    let delivery = claim_one(&bench, "slack").await;
    assert_eq!((delivery.alert.as_str(), delivery.tries, delivery.escalates), ("a", 1, false));
    assert!(delivery.webhook.starts_with("msg_") && delivery.webhook.len() == 36, "{delivery:?}");
    assert!(claim(&bench, "slack").await.is_empty(), "it is taken");
    bench.store.settle_delivery(&delivery, &DeliveryEnd::Again(Duration::ZERO)).await.unwrap();
    let again = claim_one(&bench, "slack").await;
    assert_eq!((&again.webhook, again.tries), (&delivery.webhook, 2));
    bench.store.settle_delivery(&again, &DeliveryEnd::Done).await.unwrap();
    assert!(claim(&bench, "slack").await.is_empty());
    assert_ne!(claim_one(&bench, "discord").await.webhook, delivery.webhook);
}

async fn an_alert_that_is_not_recorded_leaves_nothing_to_deliver(bench: Bench) {
    let mut owner = bench.owner(AGENTS).await;
    owner.record(vec![raised(1, "a", &[("slack", NOW)])]).await;
    owner.set_back(id(0)).await;
    let committed = owner.record(vec![raised(1, "a", &[("slack", NOW)])]).await;
    assert_eq!(committed.outcomes, [Outcome::Known]);
    claim_one(&bench, "slack").await;
    assert!(claim(&bench, "slack").await.is_empty(), "one alert, one delivery");
}

async fn an_acknowledgement_stops_what_waits_for_one_and_nothing_else(bench: Bench) {
    let mut owner = bench.owner(AGENTS).await;
    owner.record(vec![raised(1, "a", &[("now", NOW), ("later", LATER)])]).await;
    owner.record(vec![raised(2, "b", &[("later", LATER)]), acknowledged(3, "a")]).await;
    assert_eq!(claim_one(&bench, "now").await.alert, "a");
    let left = claim_one(&bench, "later").await;
    assert_eq!((left.alert.as_str(), left.escalates), ("b", true));
    assert!(claim(&bench, "later").await.is_empty());
}

async fn an_acknowledgement_in_the_same_batch_stops_only_what_came_before_it(bench: Bench) {
    let mut owner = bench.owner(AGENTS).await;
    let raised = |ms, route| raised(ms, "a", &[(route, LATER)]);
    owner.record(vec![raised(1, "before"), acknowledged(2, "a"), raised(3, "after")]).await;
    claim_one(&bench, "after").await;
    assert!(claim(&bench, "before").await.is_empty());
}

async fn a_delivery_is_taken_by_one_sender_until_its_time_is_over(bench: Bench) {
    let mut owner = bench.owner(AGENTS).await;
    owner.record(vec![raised(1, "a", &[("slack", NOW)])]).await;
    let lost = loop {
        let taken = bench.store.claim_deliveries("slack", 10, Duration::from_millis(1)).await;
        if let Some(delivery) = taken.unwrap().pop() {
            break delivery;
        }
    };
    let taken = claim_one(&bench, "slack").await;
    assert_eq!((taken.id, taken.tries), (lost.id, 2));
    // Whoever was too slow changes nothing any more.
    bench.store.settle_delivery(&lost, &DeliveryEnd::Done).await.unwrap();
    bench.store.settle_delivery(&taken, &DeliveryEnd::Again(Duration::ZERO)).await.unwrap();
    assert_eq!(claim_one(&bench, "slack").await.id, lost.id);
}

async fn a_delivery_that_failed_is_a_dead_letter_and_can_be_redriven(bench: Bench) {
    let mut owner = bench.owner(AGENTS).await;
    owner.record(vec![raised(1, "a", &[("slack", LATER)])]).await;
    let delivery = claim_one(&bench, "slack").await;
    let reason = DeadReason { label: "answer", text: "answered 404".into() };
    let failed = DeliveryEnd::Failed(reason);
    bench.store.settle_delivery(&delivery, &failed).await.unwrap();
    bench.store.settle_delivery(&delivery, &failed).await.unwrap();
    let webhooks = DeadLetterOrigin::Webhooks;
    let letters = bench.store.dead_letters(Some(webhooks), None, 9).await.unwrap();
    let [letter] = letters.try_into().unwrap();
    assert_eq!((letter.origin, &letter.entry), (webhooks, &delivery.webhook));
    assert_eq!((letter.fields["route"].as_str(), letter.fields["alert"].as_str()), ("slack", "a"));
    let like = DeadLetterFilter { reason: Some("answer".into()), ..Default::default() };
    assert_eq!(bench.store.dead_letters_like(&like, 0, 9).await.unwrap().len(), 1);
    assert!(bench.store.redrive_delivery(&letter).await.unwrap());
    assert!(!bench.store.redrive_delivery(&letter).await.unwrap(), "once");
    let again = claim_one(&bench, "slack").await;
    assert_eq!((again.webhook, again.tries, again.escalates), (delivery.webhook, 1, false));
    assert!(bench.store.dead_letters(None, None, 9).await.unwrap().is_empty());
}

async fn what_nobody_serves_becomes_a_dead_letter(bench: Bench) {
    let mut owner = bench.owner(AGENTS).await;
    owner.record(vec![raised(1, "a", &[("gone", NOW)])]).await;
    assert_eq!(bench.store.give_up_deliveries(MINUTE, 9).await.unwrap(), 0);
    bench.sql("UPDATE delivery SET due = due - 3600000").await;
    assert_eq!(bench.store.give_up_deliveries(MINUTE, 9).await.unwrap(), 1);
    let letters = bench.store.dead_letters(Some(DeadLetterOrigin::Webhooks), None, 9).await;
    assert!(letters.unwrap()[0].reason.contains("no worker has a route"));
    assert!(claim(&bench, "gone").await.is_empty());
}
