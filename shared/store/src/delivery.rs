//! The outbox: webhooks about alerts, written in the transaction that records the alert and gone
//! with their delivery. Whoever sends one takes it for a while, so that one that was lost with its
//! sender is sent again: at least once.

use std::{collections::BTreeMap, time::Duration};

use domain::event::EventKind;

use super::{
    DeadLetter, DeliveryEnd, EntryBatch, EntryVerdict, NewDelivery, Outcome, StoreError,
    WebhookDelivery, dead_letter,
    engine::{Row, SqlSession},
    source::ms,
    sql::{Column, Param, Statement, both, each},
};

// The id is given by the database: no clock, position or counter could give it twice.
const INSERT: Statement = each(
    "INSERT INTO delivery (webhook, route, alert, escalates, due)
     SELECT 'msg_' || replace(gen_random_uuid()::text, '-', ''), *
     FROM unnest($1::text[], $2::text[], $3::bigint[], $4::bigint[])",
    "INSERT INTO delivery (webhook, route, alert, escalates, due)
     SELECT 'msg_' || lower(hex(randomblob(16))), value ->> 0, value ->> 1, value ->> 2, value ->> 3
     FROM json_each($1)",
);

const STOP: Statement = each(
    "DELETE FROM delivery WHERE escalates = 1 AND alert = ANY ($1::text[])",
    "DELETE FROM delivery WHERE escalates = 1 AND alert IN (SELECT value ->> 0 FROM json_each($1))",
);

const CLAIM: Statement = each(
    "UPDATE delivery d SET due = (SELECT ms FROM clock) + $2, tries = d.tries + 1
     FROM (SELECT id FROM delivery WHERE route = $1 AND due <= (SELECT ms FROM clock)
           ORDER BY due LIMIT $3 FOR UPDATE SKIP LOCKED) AS t
     WHERE d.id = t.id RETURNING d.id, d.webhook, d.route, d.alert, d.escalates, d.due, d.tries",
    "UPDATE delivery SET due = (SELECT ms FROM clock) + $2, tries = tries + 1
     WHERE id IN (SELECT id FROM delivery WHERE route = $1 AND due <= (SELECT ms FROM clock)
                  ORDER BY due LIMIT $3)
     RETURNING id, webhook, route, alert, escalates, due, tries",
);

// Whoever took it for too long finds another `due` and changes nothing.
const DONE: Statement = both("DELETE FROM delivery WHERE id = $1 AND due = $2");

const AGAIN: Statement =
    both("UPDATE delivery SET due = (SELECT ms FROM clock) + $3 WHERE id = $1 AND due = $2");

const UNSERVED: Statement = both(
    "SELECT id, webhook, route, alert, escalates, due, tries FROM delivery
     WHERE due < (SELECT ms FROM clock) - $1 ORDER BY due LIMIT $2",
);

const ANEW: Statement = both(
    "INSERT INTO delivery (webhook, route, alert, escalates, due)
     SELECT $1, $2, $3, 0, ms FROM clock",
);

const CLOCK: Statement = both("SELECT ms FROM clock");

/// Why one that no worker has a route for is given up.
const NO_ROUTE: &str = "no worker has a route of this name";

/// Writes what follows from the alerts of a batch: those that were recorded now. An acknowledgement
/// stops what waits for one.
pub(super) async fn insert(
    session: &mut SqlSession,
    recorded: i64,
    batch: &EntryBatch,
    outcomes: &[Outcome],
) -> Result<(), StoreError> {
    let (mut new, mut stopped) = (Vec::<(&str, &NewDelivery)>::new(), Vec::<&str>::new());
    for (judged, outcome) in batch.entries.iter().zip(outcomes) {
        let (EntryVerdict::Accepted(submission), Outcome::Recorded(_)) = (&judged.verdict, outcome)
        else {
            continue;
        };
        let alert = submission.event.id.as_deref().unwrap_or_default();
        if submission.event.kind == EventKind::AlertAcknowledged {
            new.retain(|(of, delivery)| *of != alert || delivery.after.is_none());
            stopped.push(alert);
        }
        new.extend(judged.deliveries.iter().map(|delivery| (alert, delivery)));
    }
    session.run(&STOP, &[Param::Table(&[Column::Texts(stopped)])]).await?;
    let due = |(_, new): &(&str, &NewDelivery)| recorded.saturating_add(ms(new.wait()));
    let table = [
        Column::Texts(new.iter().map(|(_, delivery)| delivery.route.as_str()).collect()),
        Column::Texts(new.iter().map(|(alert, _)| *alert).collect()),
        Column::Ints(new.iter().map(|(_, delivery)| delivery.after.is_some().into()).collect()),
        Column::Ints(new.iter().map(due).collect()),
    ];
    session.run(&INSERT, &[Param::Table(&table)]).await.map(drop)
}

/// Takes what is due on a route, for so long.
pub(super) async fn claim(
    session: &mut SqlSession,
    route: &str,
    limit: usize,
    time: Duration,
) -> Result<Vec<WebhookDelivery>, StoreError> {
    let limit = Param::Int(i64::try_from(limit).unwrap_or(i64::MAX));
    let params = [Param::Text(route), Param::Int(ms(time)), limit];
    session.rows(&CLAIM, &params).await?.iter().map(delivery).collect()
}

/// Notes how a try ended.
pub(super) async fn settle(
    session: &mut SqlSession,
    delivery: &WebhookDelivery,
    end: &DeliveryEnd,
) -> Result<(), StoreError> {
    let taken = [Param::Int(delivery.id), Param::Int(delivery.due)];
    match end {
        DeliveryEnd::Done => session.run(&DONE, &taken).await.map(drop),
        DeliveryEnd::Again(pause) => {
            let params = [&taken[..], &[Param::Int(ms(*pause))]].concat();
            session.run(&AGAIN, &params).await.map(drop)
        }
        DeliveryEnd::Failed(reason) => {
            if session.run(&DONE, &taken).await? == 0 {
                return Ok(());
            }
            let now = session.row(&CLOCK, &[]).await?;
            let now = now.as_ref().map_or(Ok(0), |row| row.int(0))?;
            let fields = BTreeMap::from([
                ("route", delivery.route.clone()),
                ("alert", delivery.alert.clone()),
                ("webhook_id", delivery.webhook.clone()),
                ("tries", delivery.tries.to_string()),
            ]);
            dead_letter::insert_webhook(session, now, &delivery.webhook, reason, &fields).await
        }
    }
}

/// Gives up what nobody has taken for so long: no worker knows its route.
pub(super) async fn give_up(
    session: &mut SqlSession,
    age: Duration,
    limit: usize,
) -> Result<usize, StoreError> {
    let limit = Param::Int(i64::try_from(limit).unwrap_or(i64::MAX));
    let rows = session.rows(&UNSERVED, &[Param::Int(ms(age)), limit]).await?;
    let reason = super::DeadReason { label: "route", text: NO_ROUTE.to_owned() };
    for row in &rows {
        settle(session, &delivery(row)?, &DeliveryEnd::Failed(reason.clone())).await?;
    }
    Ok(rows.len())
}

/// Puts a dead letter back into the outbox, corrected; whether it was there.
pub(super) async fn redrive(
    session: &mut SqlSession,
    letter: &DeadLetter,
) -> Result<bool, StoreError> {
    let field = |name: &str| letter.fields.get(name).map_or("", String::as_str);
    if !dead_letter::delete(session, letter.id).await? {
        return Ok(false);
    }
    let params = ["webhook_id", "route", "alert"].map(|name| Param::Text(field(name)));
    session.run(&ANEW, &params).await?;
    Ok(true)
}

fn delivery(row: &Row) -> Result<WebhookDelivery, StoreError> {
    Ok(WebhookDelivery {
        id: row.int(0)?,
        webhook: row.text(1)?.to_owned(),
        route: row.text(2)?.to_owned(),
        alert: row.text(3)?.to_owned(),
        escalates: row.int(4)? == 1,
        due: row.int(5)?,
        tries: u32::try_from(row.int(6)?).unwrap_or(u32::MAX),
    })
}
