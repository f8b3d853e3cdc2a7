//! The agents that are connected: their sockets, what they said there, and whether their node lives.
//!
//! A node writes a row for each socket of an agent, and a heartbeat each second. An attempt whose
//! socket is gone is an orphan from then on; whether it is lost is for the owner of its task to say.

use std::collections::{BTreeSet, HashMap};

use super::NODE_DEAD_MS;
use crate::{
    StoreError,
    engine::SqlSession,
    sql::{Column, Param, Statement, both, each},
};

/// What an agent said on one of its sockets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AgentSocket {
    /// The connection, unlike any other's on any node.
    pub connection: Box<str>,
    /// The agent.
    pub agent: Box<str>,
    /// Its status: online, idle, busy, offline.
    pub status: Box<str>,
    /// What it can do.
    pub capabilities: Vec<Box<str>>,
    /// How many attempts it takes at a time.
    pub slots: u32,
    /// Whether it says when it begins.
    pub accepts: bool,
    /// Whether it wants to be told to stop.
    pub cancels: bool,
}

/// Attempts: tasks and numbers.
pub type Attempts = Vec<(Box<str>, u64)>;

/// Which status of its socket it is that an agent says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Said {
    /// The first one, with the attempts that it still runs, where it says so.
    First(Option<Attempts>),
    /// A later one.
    Later,
    /// The last one again: the node's sockets were taken for dead.
    Restored,
}

/// A connected agent: the socket whose first status came last.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConnectedAgent {
    /// The agent.
    pub agent: Box<str>,
    /// What it can do.
    pub capabilities: Vec<Box<str>>,
    /// How many attempts it takes at a time.
    pub slots: u32,
    /// How many of them are taken.
    pub taken: u32,
    /// Whether its status lets it have new ones.
    pub takes_work: bool,
    /// The node that its socket leads to.
    pub node: Box<str>,
}

impl ConnectedAgent {
    /// Returns how many more attempts it takes now.
    pub fn free(&self) -> u32 {
        if self.takes_work { self.slots.saturating_sub(self.taken) } else { 0 }
    }
}

/// An agent as an assignment finds it, locked.
#[derive(Clone, Debug)]
pub(crate) struct AgentSeat {
    pub(crate) connection: Box<str>,
    pub(crate) free: u32,
    pub(crate) accepts: bool,
    pub(crate) takes_work: bool,
}

const LOCK: Statement = each(
    "SELECT id FROM agent WHERE id = ANY ($1::text[]) ORDER BY id COLLATE \"C\" FOR UPDATE",
    "SELECT id FROM agent WHERE id IN (SELECT value ->> 0 FROM json_each($1))",
);

/// The columns of a socket with the slots of its agent: `$1` the age at which nodes are dead.
macro_rules! sockets {
    ($condition:literal) => {
        concat!(
            "SELECT s.agent, s.connection, s.capabilities, s.slots, s.status, s.accepts,
             (SELECT count(*) FROM attempt a WHERE a.agent = s.agent AND a.slot = 1),
             s.node FROM agent_socket s JOIN gateway_node n ON n.name = s.node
             AND n.heard_at > (SELECT ms FROM clock) - $1 ",
            $condition,
            " ORDER BY s.agent, s.opened, s.connection"
        )
    };
}

const SEATS: Statement = each(
    sockets!("WHERE s.agent = ANY ($2::text[])"),
    sockets!("WHERE s.agent IN (SELECT value ->> 0 FROM json_each($2))"),
);

const ALL: Statement = both(sockets!(""));

const SEE: Statement = both(
    "INSERT INTO agent (id, seen_at) SELECT $1, ms FROM clock WHERE true
     ON CONFLICT (id) DO UPDATE SET seen_at = excluded.seen_at",
);

// Later sockets of an agent are greater, whatever the clock does.
const SEAT: Statement = both(
    "INSERT INTO agent_socket (connection, agent, node, opened, status, capabilities, slots, accepts,
     cancels)
     SELECT $1, $2, $3, CASE WHEN c.ms > coalesce(o.opened, 0) THEN c.ms ELSE o.opened + 1 END,
     $4, $5, $6, $7, $8
     FROM clock c, (SELECT max(opened) AS opened FROM agent_socket WHERE agent = $2) AS o WHERE true
     ON CONFLICT (connection) DO UPDATE SET status = excluded.status,
     capabilities = excluded.capabilities, slots = excluded.slots, accepts = excluded.accepts,
     cancels = excluded.cancels",
);

const MOVED: Statement = both("DELETE FROM agent_socket WHERE connection = $1 AND agent <> $2");

const OPEN: Statement = both(
    "SELECT a.task, a.number, a.written_at, a.orphaned_at FROM attempt a
     WHERE a.agent = $1 AND a.ended_at IS NULL AND a.slot = 1 ORDER BY a.task, a.number",
);

const ADOPT: Statement = both(
    "UPDATE attempt SET connection = $3, orphaned_at = NULL, lost = 0
     WHERE task = $1 AND number = $2 AND ended_at IS NULL",
);

const RETURN: Statement = both(
    "UPDATE attempt SET connection = $3, orphaned_at = (SELECT ms FROM clock)
     WHERE task = $1 AND number = $2 AND ended_at IS NULL",
);

const RESTORE: Statement =
    both("UPDATE attempt SET orphaned_at = NULL WHERE connection = $1 AND ended_at IS NULL");

const LOSE: Statement =
    both("UPDATE attempt SET lost = 1 WHERE task = $1 AND number = $2 AND ended_at IS NULL");

const LOSE_ALL: Statement =
    both("UPDATE attempt SET lost = 1 WHERE agent = $1 AND slot = 1 AND ended_at IS NULL");

const FREE: Statement = both(
    "UPDATE attempt SET slot = 0, tell = NULL
     WHERE agent = $1 AND slot = 1 AND ended_at IS NOT NULL",
);

const ORPHAN: Statement = both(
    "UPDATE attempt SET orphaned_at = (SELECT ms FROM clock)
     WHERE connection = $1 AND ended_at IS NULL AND orphaned_at IS NULL AND slot = 1
     AND agent = (SELECT agent FROM agent_socket WHERE connection = $1)",
);

const UNSEAT: Statement = both("DELETE FROM agent_socket WHERE connection = $1");

const BEAT: Statement = both(
    "INSERT INTO gateway_node (name, heard_at) SELECT $1, ms FROM clock WHERE true
     ON CONFLICT (name) DO UPDATE SET heard_at = excluded.heard_at",
);

const HOLDERS: Statement = both(
    "SELECT DISTINCT a.connection FROM attempt a JOIN agent_socket s ON s.connection = a.connection
     WHERE s.node = $1 AND a.slot = 1 AND a.ended_at IS NULL AND a.written_at IS NOT NULL",
);

const COUNT: Statement = both("SELECT count(*) FROM agent_socket WHERE node = $1");

const ORPHAN_OF_DEAD: Statement = both(
    "UPDATE attempt SET orphaned_at = (SELECT n.heard_at + $1 FROM agent_socket s
         JOIN gateway_node n ON n.name = s.node WHERE s.connection = attempt.connection)
     WHERE ended_at IS NULL AND orphaned_at IS NULL AND slot = 1 AND connection IN (
         SELECT s.connection FROM agent_socket s JOIN gateway_node n ON n.name = s.node
         WHERE n.heard_at <= (SELECT ms FROM clock) - $1)",
);

const UNSEAT_OF_DEAD: Statement = both(
    "DELETE FROM agent_socket WHERE node IN (
         SELECT name FROM gateway_node WHERE heard_at <= (SELECT ms FROM clock) - $1)",
);

const FORGET_DEAD: Statement =
    both("DELETE FROM gateway_node WHERE heard_at < (SELECT ms FROM clock) - 3600000");

/// Locks agents until the transaction ends; those that are connected.
pub(crate) async fn lock(
    session: &mut SqlSession,
    agents: &BTreeSet<&str>,
) -> Result<HashMap<Box<str>, AgentSeat>, StoreError> {
    let table = [Column::Texts(agents.iter().copied().collect())];
    session.rows(&LOCK, &[Param::Table(&table)]).await?;
    let params = [Param::Int(NODE_DEAD_MS), Param::Table(&table)];
    let mut seats = HashMap::new();
    for row in session.rows(&SEATS, &params).await? {
        let (agent, connection) = (row.text(0)?.into(), row.text(1)?.into());
        let read = connected(&row)?;
        let seat = AgentSeat {
            connection,
            free: read.free(),
            accepts: row.int(5)? != 0,
            takes_work: read.takes_work,
        };
        // The one that came last counts.
        seats.insert(agent, seat);
    }
    Ok(seats)
}

fn connected(row: &crate::engine::Row) -> Result<ConnectedAgent, StoreError> {
    let count = |at| row.int(at).map(|count| u32::try_from(count).unwrap_or(u32::MAX));
    Ok(ConnectedAgent {
        agent: row.text(0)?.into(),
        capabilities: serde_json::from_str(row.text(2)?).unwrap_or_default(),
        slots: count(3)?,
        taken: count(6)?,
        takes_work: matches!(row.text(4)?, "online" | "idle"),
        node: row.text(7)?.into(),
    })
}

/// The agents that are connected, each once.
pub(crate) async fn all(session: &mut SqlSession) -> Result<Vec<ConnectedAgent>, StoreError> {
    let mut agents: Vec<ConnectedAgent> = Vec::new();
    for row in session.rows(&ALL, &[Param::Int(NODE_DEAD_MS)]).await? {
        let read = connected(&row)?;
        match agents.last_mut() {
            Some(last) if last.agent == read.agent => *last = read,
            _ => agents.push(read),
        }
    }
    Ok(agents)
}

/// Writes what an agent said on a socket. Answers which of the attempts that it says it runs are not
/// its own any more.
pub(crate) async fn seat(
    session: &mut SqlSession,
    node: &str,
    socket: &AgentSocket,
    said: &Said,
) -> Result<Attempts, StoreError> {
    let (agent, connection) = (Param::Text(&socket.agent), Param::Text(&socket.connection));
    session.run(&SEE, &[agent]).await?;
    session.run(&MOVED, &[connection, agent]).await?;
    let capabilities = serde_json::to_string(&socket.capabilities).unwrap_or_default();
    let params = [
        connection,
        agent,
        Param::Text(node),
        Param::Text(&socket.status),
        Param::Text(&capabilities),
        Param::Int(socket.slots.into()),
        Param::Int(socket.accepts.into()),
        Param::Int(socket.cancels.into()),
    ];
    session.run(&SEAT, &params).await?;
    let mut stale = Vec::new();
    match said {
        Said::First(running) => {
            stale = come_back(session, socket, running.as_deref()).await?;
            session.run(&FREE, &[agent]).await?;
        }
        Said::Later if &*socket.status == "idle" => drop(session.run(&FREE, &[agent]).await?),
        Said::Later => {}
        Said::Restored => drop(session.run(&RESTORE, &[connection]).await?),
    }
    if &*socket.status == "offline" {
        session.run(&LOSE_ALL, &[agent]).await?;
    }
    Ok(stale)
}

/// Sorts out what an agent had when it comes by another socket.
async fn come_back(
    session: &mut SqlSession,
    socket: &AgentSocket,
    running: Option<&[(Box<str>, u64)]>,
) -> Result<Attempts, StoreError> {
    let mut current = Vec::new();
    for row in session.rows(&OPEN, &[Param::Text(&socket.agent)]).await? {
        let (task, number) = (row.text(0)?, row.int(1)?);
        let (is_written, is_orphan) = (row.maybe_int(2)?.is_some(), row.maybe_int(3)?.is_some());
        let attempt: (Box<str>, u64) = (task.into(), u64::try_from(number).unwrap_or(0));
        let is_listed = running.is_some_and(|running| running.contains(&attempt));
        let params = [Param::Text(task), Param::Int(number), Param::Text(&socket.connection)];
        // What was never written goes to the socket that is there now.
        if is_listed || !is_written {
            session.run(&ADOPT, &params).await?;
        } else if running.is_some() {
            session.run(&LOSE, &params[..2]).await?;
        } else if is_orphan {
            session.run(&RETURN, &params).await?;
        }
        current.push(attempt);
    }
    let listed = running.into_iter().flatten();
    Ok(listed.filter(|attempt| !current.contains(attempt)).cloned().collect())
}

/// Removes a socket that is gone; what its agent had by it is an orphan.
pub(crate) async fn unseat(session: &mut SqlSession, connection: &str) -> Result<(), StoreError> {
    session.run(&ORPHAN, &[Param::Text(connection)]).await?;
    session.run(&UNSEAT, &[Param::Text(connection)]).await.map(drop)
}

/// What the database knows of a node that says that it lives.
#[derive(Clone, Debug, Default)]
pub struct Beat {
    /// How many sockets of agents it has.
    pub sockets: u64,
    /// Those that hold an attempt.
    pub holders: Vec<Box<str>>,
}

/// Says that a node lives.
pub(crate) async fn beat(session: &mut SqlSession, node: &str) -> Result<Beat, StoreError> {
    session.run(&BEAT, &[Param::Text(node)]).await?;
    let row = session.row(&COUNT, &[Param::Text(node)]).await?;
    let sockets = row.as_ref().map_or(Ok(0), |row| row.count(0))?;
    let rows = session.rows(&HOLDERS, &[Param::Text(node)]).await?;
    let holders = rows.iter().map(|row| row.text(0).map(Into::into));
    Ok(Beat { sockets, holders: holders.collect::<Result<_, _>>()? })
}

/// Removes the sockets of nodes that are dead; what their agents had is orphaned.
pub(crate) async fn reap(session: &mut SqlSession) -> Result<(), StoreError> {
    let age = [Param::Int(NODE_DEAD_MS)];
    session.run(&ORPHAN_OF_DEAD, &age).await?;
    session.run(&UNSEAT_OF_DEAD, &age).await?;
    session.run(&FORGET_DEAD, &[]).await.map(drop)
}
