//! A real Redis Cluster: three masters, a replica of each, and what an operator does to it.

use std::ops::RangeInclusive;
use std::sync::OnceLock;
use std::time::Duration;

use crate::patience::eventually;
use crate::port::free_port;
use crate::redis::{Redis, RedisOptions};

const PATIENCE: Duration = Duration::from_secs(30);
const MASTERS: usize = 3;
const SLOTS: usize = 16_384;

/// How long the nodes wait before they take another for dead. A promotion takes about twice as long.
const NODE_TIMEOUT_MS: &str = "2500";

/// Three masters and a replica of each. All methods take `&self`, so that a test may break it while
/// others use it. A shard that is away does not stop the others (`cluster-require-full-coverage no`).
#[derive(Debug)]
pub struct RedisCluster {
    /// The masters of the beginning, then their replicas in the same order.
    nodes: Vec<Redis>,
}

impl RedisCluster {
    /// In memory only, for this test alone; every node sees all others.
    pub fn start() -> Self {
        Self::start_with(&Redis::options())
    }

    /// With an append-only file at each node: a master that was killed comes back with its data.
    pub fn durable() -> Self {
        Self::start_with(&Redis::options().appendonly())
    }

    /// One for the whole test process; take a key prefix from [`crate::unique`], and never break it.
    pub fn shared() -> &'static Self {
        static SHARED: OnceLock<RedisCluster> = OnceLock::new();
        SHARED.get_or_init(Self::start)
    }

    fn start_with(options: &RedisOptions) -> Self {
        let node = |_| {
            let bus = free_port().to_string();
            options
                .clone()
                .set("cluster-enabled", "yes")
                .set("cluster-port", &bus)
                .set("cluster-node-timeout", NODE_TIMEOUT_MS)
                .set("cluster-require-full-coverage", "no")
                .set("cluster-replica-validity-factor", "0")
                .set("repl-diskless-sync-delay", "0")
                .start()
        };
        let cluster = Self { nodes: (0..2 * MASTERS).map(node).collect() };
        cluster.introduce();
        cluster
    }

    fn introduce(&self) {
        for (at, node) in self.nodes.iter().enumerate() {
            node.cli(&["CLUSTER", "SET-CONFIG-EPOCH", &(at + 1).to_string()]);
            if at < MASTERS {
                let (first, last) = (SLOTS * at / MASTERS, SLOTS * (at + 1) / MASTERS - 1);
                node.cli(&["CLUSTER", "ADDSLOTSRANGE", &first.to_string(), &last.to_string()]);
            }
            let (port, bus) =
                (node.port().to_string(), node.cli(&["CONFIG", "GET", "cluster-port"]));
            let bus = bus.lines().last().unwrap_or_default().to_owned();
            self.nodes[0].cli(&["CLUSTER", "MEET", "127.0.0.1", &port, &bus]);
        }
        let met = |node: &Redis| node.cli(&["CLUSTER", "NODES"]).lines().count() == 2 * MASTERS;
        self.until("every node knows all", || self.nodes.iter().all(met));
        for (master, replica) in self.nodes.iter().zip(&self.nodes[MASTERS..]) {
            let id = master.cli(&["CLUSTER", "MYID"]);
            // Its master may have to be heard of first.
            let follows = || replica.try_cli(&["CLUSTER", "REPLICATE", &id]).is_ok();
            self.until("a replica knows its master", follows);
        }
        self.settle();
    }

    /// Waits until every node that runs sees a whole cluster, and every replica follows its master.
    ///
    /// # Panics
    /// When that does not happen, with the view of one that does not.
    pub fn settle(&self) {
        self.until("the cluster is whole", || {
            let running: Vec<_> = self.running().collect();
            running.iter().all(|node| {
                let whole = || {
                    let info = node.try_cli(&["CLUSTER", "INFO"]).ok()?;
                    let nodes = node.try_cli(&["CLUSTER", "NODES"]).ok()?;
                    let replication = node.try_cli(&["INFO", "replication"]).ok()?;
                    let follows = !replication.contains("master_link_status:down");
                    let dead = nodes.lines().filter(|line| line.contains("fail")).count();
                    let replicas = nodes.lines().filter(|line| line.contains("slave")).count();
                    let known = dead == self.nodes.len() - running.len() && replicas > 0;
                    let ok = info.contains("cluster_state:ok")
                        && info.contains(&format!("cluster_slots_ok:{SLOTS}"));
                    Some(ok && follows && known)
                };
                whole().unwrap_or(false)
            })
        });
    }

    /// `redis+cluster://` with three of its nodes; nobody listens at the first address, so that the
    /// others are asked as well.
    pub fn url(&self) -> String {
        let seeds = [&self.nodes[0], &self.nodes[1], &self.nodes[2 * MASTERS - 1]];
        let hosts: Vec<_> = seeds.iter().map(|node| format!("127.0.0.1:{}", node.port())).collect();
        format!("redis+cluster://127.0.0.1:{},{}", free_port(), hosts.join(","))
    }

    /// Every node, the masters of the beginning first.
    pub fn nodes(&self) -> &[Redis] {
        &self.nodes
    }

    /// Runs `redis-cli` with these arguments wherever the key lives, as soon as somebody holds it there:
    /// not every node knows at once that another has taken the place of a dead one.
    ///
    /// # Panics
    /// When no node answers, or Redis answers with an error.
    pub fn cli(&self, arguments: &[&str]) -> String {
        let answer = eventually(PATIENCE, || match self.try_cli(arguments) {
            Err(error) if error.contains("Connection refused") => None,
            answer => Some(answer),
        });
        let answer = answer.unwrap_or_else(|| Err("who holds it does not run".to_owned()));
        answer.unwrap_or_else(|error| panic!("redis-cli {arguments:?}: {error}"))
    }

    /// Like [`RedisCluster::cli`], with Redis's own error.
    ///
    /// # Errors
    /// What `redis-cli` says, or that no node runs.
    pub fn try_cli(&self, arguments: &[&str]) -> Result<String, String> {
        let node = self.running().next().ok_or("no node runs")?;
        node.try_cli(&[&["-c"], arguments].concat())
    }

    /// The slot of a key.
    pub fn slot(&self, key: &str) -> u16 {
        let slot = self.cli(&["CLUSTER", "KEYSLOT", key]);
        slot.parse().expect("a slot's number")
    }

    /// The master that holds a key, as the nodes that run see it.
    ///
    /// # Panics
    /// When nobody holds it.
    pub fn master_of(&self, key: &str) -> &Redis {
        let slot = usize::from(self.slot(key));
        let found = eventually(PATIENCE, || self.masters().into_iter().find(|m| holds(m, slot)));
        found.unwrap_or_else(|| panic!("nobody holds {key}"))
    }

    /// The nodes that run and are masters.
    pub fn masters(&self) -> Vec<&Redis> {
        let is_master =
            |node: &&Redis| node.try_cli(&["ROLE"]).is_ok_and(|role| role.starts_with("master"));
        self.running().filter(is_master).collect()
    }

    /// How many slots a master holds.
    pub fn slots_of(&self, master: &Redis) -> usize {
        ranges(master).into_iter().map(Iterator::count).sum()
    }

    /// The replica that follows a master.
    ///
    /// # Panics
    /// When there is none.
    pub fn replica_of(&self, master: &Redis) -> &Redis {
        let port = format!("master_port:{}", master.port());
        let follows = |node: &&Redis| {
            let said = node.try_cli(&["INFO", "replication"]);
            said.is_ok_and(|said| said.lines().any(|line| line.trim() == port))
        };
        self.running().find(follows).unwrap_or_else(|| panic!("{} has no replica", master.port()))
    }

    /// Moves so many slots with all their keys from one master to another, while clients use them.
    ///
    /// # Panics
    /// When `redis-cli` does not get it done.
    pub fn reshard(&self, from: &Redis, to: &Redis, slots: usize) {
        let (source, target) = (from.cli(&["CLUSTER", "MYID"]), to.cli(&["CLUSTER", "MYID"]));
        let entrance = format!("127.0.0.1:{}", from.port());
        let slots = slots.to_string();
        let arguments = [
            "--cluster",
            "reshard",
            &entrance,
            "--cluster-from",
            &source,
            "--cluster-to",
            &target,
            "--cluster-slots",
            &slots,
            "--cluster-yes",
        ];
        // It begins only when all nodes have heard of the last move.
        let moved = eventually(PATIENCE, || match from.try_cli(&arguments) {
            Err(error) if error.contains("Nodes don't agree") => None,
            outcome => Some(outcome),
        });
        moved.expect("the nodes agree").unwrap_or_else(|error| panic!("reshard: {error}"));
    }

    /// Begins to move the slot of a key, and leaves it half way: its keys are moved, the slot is not.
    /// Ends with [`RedisCluster::end_move`].
    pub fn begin_move(&self, key: &str, to: &Redis) {
        let (slot, from) = (self.slot(key).to_string(), self.master_of(key));
        let (source, target) = (from.cli(&["CLUSTER", "MYID"]), to.cli(&["CLUSTER", "MYID"]));
        to.cli(&["CLUSTER", "SETSLOT", &slot, "IMPORTING", &source]);
        from.cli(&["CLUSTER", "SETSLOT", &slot, "MIGRATING", &target]);
        let port = to.port().to_string();
        loop {
            let keys = from.cli(&["CLUSTER", "GETKEYSINSLOT", &slot, "100"]);
            let keys: Vec<_> = keys.lines().filter(|key| !key.is_empty()).collect();
            if keys.is_empty() {
                return;
            }
            let migrate = ["MIGRATE", "127.0.0.1", &port, "", "0", "5000", "KEYS"];
            from.cli(&[&migrate[..], &keys].concat());
        }
    }

    /// Gives the slot of a key to the master to which its keys were moved.
    pub fn end_move(&self, key: &str, to: &Redis) {
        let (slot, target) = (self.slot(key).to_string(), to.cli(&["CLUSTER", "MYID"]));
        let assign = ["CLUSTER", "SETSLOT", &slot, "NODE", &target];
        to.cli(&assign);
        for master in self.masters() {
            master.cli(&assign);
        }
    }

    /// Has the replica of a master take its place in order, so that nothing is lost.
    pub fn switch_over(&self, master: &Redis) {
        let replica = self.replica_of(master);
        replica.cli(&["CLUSTER", "FAILOVER"]);
        self.until_promoted(replica);
    }

    /// Waits until a replica was promoted.
    ///
    /// # Panics
    /// When it is not, with its log.
    pub fn until_promoted(&self, replica: &Redis) {
        let promoted = || replica.try_cli(&["ROLE"]).is_ok_and(|role| role.starts_with("master"));
        let done = eventually(PATIENCE, || promoted().then_some(()));
        assert!(done.is_some(), "the replica is not promoted:\n{}", replica.log());
    }

    fn running(&self) -> impl Iterator<Item = &Redis> {
        self.nodes.iter().filter(|node| node.runs())
    }

    fn until(&self, what: &str, condition: impl Fn() -> bool) {
        let done = eventually(PATIENCE, || condition().then_some(()));
        let view = || self.running().next().map(|node| node.try_cli(&["CLUSTER", "NODES"]));
        assert!(done.is_some(), "never: {what}\n{:?}", view());
    }
}

/// Whether a node says that a slot is its own.
fn holds(node: &Redis, slot: usize) -> bool {
    ranges(node).iter().any(|range| range.contains(&slot))
}

/// The slots that a node says are its own.
fn ranges(node: &Redis) -> Vec<RangeInclusive<usize>> {
    let Ok(nodes) = node.try_cli(&["CLUSTER", "NODES"]) else { return Vec::new() };
    let own = nodes.lines().find(|line| line.contains("myself")).unwrap_or_default();
    let held = own.split(' ').skip(8).filter(|range| !range.starts_with('['));
    let range = |range: &str| {
        let (first, last) = range.split_once('-').unwrap_or((range, range));
        Some(first.parse().ok()?..=last.parse().ok()?)
    };
    held.filter_map(range).collect()
}
