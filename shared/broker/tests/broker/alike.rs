//! Memory, Redis and a cluster do the same when they are told the same.

use broker::{Broker, BrokerError, Topic};
use domain::channel::Channel;
use rand::{RngExt as _, SeedableRng as _, rngs::StdRng};

use crate::{
    bench::Place,
    events::{channel, publications},
};

/// What publishing answered, and what is left of the channel.
async fn outcome(
    broker: &dyn Broker,
    generation: u64,
    channel: &Channel,
    offsets: &[u64],
    after: u64,
) -> String {
    let given = publications(channel, offsets.iter().copied());
    let superseded = match broker.publish(generation, &given).await {
        Ok(()) => false,
        Err(BrokerError::Superseded(_)) => true,
        Err(error) => panic!("{error}"),
    };
    let head = broker.heads(&[(channel.clone(), channel.home())]).await.unwrap()[0];
    let history = broker.history(channel, channel.home(), after, 7).await.unwrap();
    let history: Vec<_> = history.iter().map(|publication| publication.offset).collect();
    format!("superseded: {superseded}, head: {head:?}, after {after}: {history:?}")
}

#[tokio::test(flavor = "multi_thread")]
async fn random_publishing_has_the_same_outcome_in_memory_and_on_redis() {
    publish_at_random(Place::Redis).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn random_publishing_has_the_same_outcome_in_memory_and_on_a_cluster() {
    publish_at_random(Place::Cluster).await;
}

async fn publish_at_random(place: Place) {
    let seed: u64 = rand::random();
    let mut random = StdRng::seed_from_u64(seed);
    let (memory, redis) = (Place::Memory.bench().await, place.bench().await);
    let (subscriber, heard_in_memory) = memory.subscriber("n1").await;
    let (other_subscriber, heard_on_redis) = redis.subscriber("n1").await;
    let channels = ["tasks", "user:u1", "container:c1"].map(channel);
    for channel in &channels {
        subscriber.subscribe(Topic::Channel(channel.clone())).await.unwrap();
        other_subscriber.subscribe(Topic::Channel(channel.clone())).await.unwrap();
    }
    let (mut generation, mut heads) = (2, [0_u64; 3]);
    for step in 0..2_000 {
        let which = random.random_range(0..3);
        generation += u64::from(random.random_ratio(1, 50));
        let mine = generation - u64::from(random.random_ratio(1, 20));
        let first =
            heads[which].saturating_sub(random.random_range(0..4)) + random.random_range(1..4);
        let mut offsets: Vec<u64> = (first..first + random.random_range(1..6)).collect();
        if random.random_ratio(1, 10) {
            offsets.remove(random.random_range(0..offsets.len()));
        }
        heads[which] = heads[which].max(offsets.last().copied().unwrap_or(0));
        let after = heads[which].saturating_sub(random.random_range(0..20));
        let channel = &channels[which];
        let expected = outcome(&*memory.broker, mine, channel, &offsets, after).await;
        let found = outcome(&*redis.broker, mine, channel, &offsets, after).await;
        assert_eq!(
            found, expected,
            "seed {seed}, step {step}, generation {mine}, {channel}, {offsets:?}"
        );
    }
    for channel in channels {
        let topic = Topic::Channel(channel);
        let expected = heard_in_memory.heard().offsets(&topic);
        heard_on_redis.until("heard alike", |heard| heard.offsets(&topic) == expected).await;
    }
    memory.finish().await;
    redis.finish().await;
}
