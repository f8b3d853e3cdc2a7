//! Who is kept out.

use std::time::Duration;

use crate::bench::{Bench, on_both_engines};

on_both_engines! {
    who_is_denied_is_on_the_list_until_the_time_is_over_or_they_are_let_in,
}

const HOUR: Duration = Duration::from_secs(3600);

async fn who_is_denied_is_on_the_list_until_the_time_is_over_or_they_are_let_in(bench: Bench) {
    let store = &bench.store;
    assert_eq!(store.denied().await.unwrap(), []);
    let short = store.deny("eve", HOUR).await.unwrap();
    let long = store.deny("mallory", 2 * HOUR).await.unwrap();
    assert!(long > short);
    let both = [("mallory".to_owned(), long), ("eve".to_owned(), short)];
    assert_eq!(store.denied().await.unwrap(), both);
    // What is said last counts.
    let longest = store.deny("eve", 3 * HOUR).await.unwrap();
    assert_eq!(store.denied().await.unwrap()[0], ("eve".to_owned(), longest));
    assert!(store.admit("mallory").await.unwrap());
    assert!(!store.admit("mallory").await.unwrap());
    bench.sql("UPDATE denial SET until = 1").await;
    assert_eq!(store.denied().await.unwrap(), []);
    assert!(!store.admit("eve").await.unwrap());
}
