//! Which database it is: a number never means two things. And the schema's beginning.

use domain::position::Epoch;
use services::{Postgres, Scratch, unique};
use store::{Options, StoreError, connect};

use crate::bench::{Bench, DEPLOYMENTS, id, on_both_engines, update};

on_both_engines! {
    the_epoch_is_the_same_for_everybody_and_after_a_restart,
    migrating_again_changes_nothing,
    rule_6_a_new_epoch_is_begun_once_and_raises_the_generation_before_anything_is_recorded,
}

async fn rule_6_a_new_epoch_is_begun_once_and_raises_the_generation_before_anything_is_recorded(
    bench: Bench,
) {
    let mut owner = bench.owner(DEPLOYMENTS).await;
    let (store, before) = (&bench.store, bench.store.epoch());
    store.regenerate(DEPLOYMENTS, owner.fence, 1, "r", id(0)).await.unwrap();
    owner.record(vec![update(1, "d", "{}")]).await;
    let epoch = store.begin_epoch(before).await.unwrap();
    assert_ne!(epoch, before);
    assert_eq!(store.begin_epoch(before).await.unwrap(), epoch, "another process did already");
    let refused = owner.try_record(vec![update(2, "d", "{}")]).await;
    assert!(matches!(refused, Err(StoreError::Fenced(_))), "{refused:?}");
    let row = store.regenerate(DEPLOYMENTS, owner.fence, 2, "r", id(1)).await.unwrap();
    assert_eq!((row.epoch, row.database_epoch, row.generation), (epoch, epoch, 2));
    assert_eq!(owner.record(vec![update(2, "d", "{}")]).await.epoch, epoch);
}

async fn the_epoch_is_the_same_for_everybody_and_after_a_restart(bench: Bench) {
    let other = connect(&bench.url, &Options::default()).await.unwrap();
    other.check().await.unwrap();
    assert_ne!(other.epoch(), Epoch(0));
    assert_eq!(other.epoch(), bench.store.epoch());
}

async fn migrating_again_changes_nothing(bench: Bench) {
    let mut owner = bench.owner(DEPLOYMENTS).await;
    owner.record(vec![update(1, "d", "{}")]).await;
    let epoch = bench.store.epoch();
    bench.store.migrate().await.unwrap();
    assert_eq!(bench.store.epoch(), epoch);
    assert_eq!(bench.all("deployments").await.publications.len(), 1);
}

async fn several_migrate_at_once(url: &str) {
    let migrate = async || {
        let store = connect(url, &Options::default()).await.unwrap();
        store.migrate().await.unwrap();
        store.epoch()
    };
    let epochs = futures_util::future::join_all((0..6).map(|_| migrate())).await;
    assert!(epochs.iter().all(|epoch| *epoch == epochs[0]));
}

#[tokio::test]
async fn processes_that_migrate_a_file_at_once_all_succeed() {
    let scratch = Scratch::new("migrate");
    for round in 0..5 {
        let path = scratch.path().join(format!("{round}.db"));
        several_migrate_at_once(&format!("sqlite://{}", path.display())).await;
    }
}

#[tokio::test]
async fn processes_that_migrate_a_postgres_at_once_all_succeed() {
    several_migrate_at_once(&Postgres::shared().url("migrate")).await;
}

#[tokio::test]
async fn a_new_file_is_another_epoch() {
    let scratch = Scratch::new("epoch");
    let path = scratch.path().join("fanfare.db");
    let mut epochs = Vec::new();
    for _ in 0..2 {
        let bench = Bench::at(format!("sqlite://{}", path.display()), None).await;
        epochs.push(bench.store.epoch());
        drop(bench);
        for end in ["", "-wal", "-shm"] {
            drop(std::fs::remove_file(format!("{}{end}", path.display())));
        }
    }
    assert_ne!(epochs[0], epochs[1]);
}

#[tokio::test]
async fn a_schema_made_anew_is_another_epoch_even_on_the_same_connections() {
    let bench = Bench::postgres().await;
    let before = bench.store.epoch();
    bench.sql("DROP SCHEMA public CASCADE; CREATE SCHEMA public").await;
    bench.store.migrate().await.unwrap();
    assert_ne!(bench.store.epoch(), before);
}

#[tokio::test]
async fn another_database_of_the_same_server_is_another_epoch() {
    let (one, other) = (Bench::postgres().await, Bench::postgres().await);
    assert_ne!(one.store.epoch(), other.store.epoch());
}

#[tokio::test]
async fn rule_6_a_standby_is_refused_and_its_promotion_records_nothing_until_it_was_judged() {
    let postgres = Postgres::options().fsync(false).start();
    let bench = Bench::at(postgres.url("store"), None).await;
    let before = bench.store.epoch();
    let mut owner = bench.owner(DEPLOYMENTS).await;
    owner.record(vec![update(1, "d", "{}")]).await;
    postgres.stop();
    std::fs::write(postgres.socket_folder().join("data/standby.signal"), "").unwrap();
    postgres.restart();
    let refused = loop {
        match bench.store.check().await {
            Err(StoreError::Unavailable(text)) if text.contains("standby") => break text,
            Err(StoreError::Unavailable(_)) => {}
            other => panic!("{other:?}"),
        }
    };
    assert!(refused.contains("the server is a standby"), "{refused}");
    postgres.sql("postgres", "SELECT pg_promote()");
    while let Err(error) = bench.store.check().await {
        assert!(matches!(error, StoreError::Unavailable(_)), "{error}");
    }
    assert_eq!(bench.store.epoch(), before, "a timeline alone proves nothing");
    assert!(bench.row(DEPLOYMENTS).await.promoted);
    let refused = owner.try_record(vec![update(2, "d", "{}")]).await;
    assert!(matches!(refused, Err(StoreError::Fenced(_))), "{refused:?}");
    bench.store.accept_promotion().await.unwrap();
    assert!(!bench.row(DEPLOYMENTS).await.promoted);
    owner.record(vec![update(2, "d", "{}")]).await;
    assert_eq!(bench.store.epoch(), before);
}

#[tokio::test]
async fn a_copy_played_back_into_the_same_server_is_another_epoch() {
    let postgres = Postgres::shared();
    let url = postgres.url("store");
    let bench = Bench::at(url.clone(), None).await;
    let before = bench.store.epoch();
    bench.owner(DEPLOYMENTS).await.record(vec![update(1, "d", "{}")]).await;
    let dump = postgres.dump(&url);
    drop(bench);
    let name = url.rsplit('/').next().unwrap();
    for sql in [format!("DROP DATABASE \"{name}\" (FORCE)"), format!("CREATE DATABASE \"{name}\"")]
    {
        postgres.sql("postgres", &sql);
    }
    postgres.play(&url, &dump);
    let restored = Bench::at(url, None).await;
    assert_ne!(restored.store.epoch(), before);
    assert_eq!(restored.all("deployments").await.publications.len(), 1);
    let again = connect(&restored.url, &Options::default()).await.unwrap();
    again.check().await.unwrap();
    assert_eq!(again.epoch(), restored.store.epoch(), "the same for everybody");
}

/// Migrations 1 and 2, as an earlier release left them.
async fn an_earlier_release(postgres: &Postgres, url: &str) -> String {
    let earlier = ["0001_record", "0002_denial"].map(|name| {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/migrations/postgres");
        std::fs::read_to_string(format!("{folder}/{name}.sql")).unwrap()
    });
    let bench = Bench::at(url.to_owned(), None).await;
    bench.sql("DROP SCHEMA public CASCADE; CREATE SCHEMA public").await;
    for sql in earlier {
        postgres.sql(url, &sql);
    }
    postgres.sql(url, "SELECT value FROM epoch")
}

#[tokio::test]
async fn an_upgrade_keeps_the_epoch() {
    let postgres = Postgres::shared();
    let url = postgres.url("store");
    let before = an_earlier_release(postgres, &url).await;
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/migrations/postgres");
    let sql = std::fs::read_to_string(format!("{folder}/0003_lineage.sql")).unwrap();
    postgres.sql(&url, &sql);
    assert_eq!(postgres.sql(&url, "SELECT value FROM epoch"), before);
    assert_eq!(postgres.sql(&url, "SELECT promoted FROM lineage"), "0");
}

/// A role that owns its database and nothing else.
fn plain_role(postgres: &Postgres) -> String {
    let role = unique("plain");
    postgres.sql("postgres", &format!("CREATE ROLE {role} LOGIN"));
    postgres.sql("postgres", &format!("CREATE DATABASE {role} OWNER {role}"));
    format!("postgres://{role}@127.0.0.1:{}/{role}", postgres.port())
}

#[tokio::test]
async fn a_plain_role_sees_cluster_and_timeline() {
    let bench = Bench::at(plain_role(Postgres::shared()), None).await;
    let told = bench.ask("SELECT current_setting('fanfare.cluster') FROM epoch").await.unwrap();
    let (system, timeline) = told.trim_start_matches('-').split_once(' ').unwrap();
    assert!(system.parse::<u64>().is_ok(), "{told}");
    assert_eq!(timeline, "00000001");
}

#[tokio::test]
async fn a_role_that_may_ask_nothing_still_has_an_epoch() {
    let postgres = Postgres::options().fsync(false).start();
    let url = plain_role(&postgres);
    for function in ["pg_control_system()", "pg_walfile_name(pg_lsn)", "pg_current_wal_lsn()"] {
        let database = url.rsplit('/').next().unwrap();
        postgres.sql(database, &format!("REVOKE EXECUTE ON FUNCTION {function} FROM PUBLIC"));
    }
    let bench = Bench::at(url, None).await;
    assert_ne!(bench.store.epoch(), Epoch(0));
    bench.owner(DEPLOYMENTS).await.record(vec![update(1, "d", "{}")]).await;
}
