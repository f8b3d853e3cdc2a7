//! Reading a channel: pages of its archive, and its newest state and position.
//!
//! Each is one statement, so what it says of rows, counters and states is of one moment. As the
//! offsets of a channel and source have no holes, a range of offsets is a limit too.

use std::sync::Arc;

use bytes::Bytes;
use domain::{
    channel::Channel,
    event::entity::Entity,
    position::{Offsets, Position},
    publication::Publication,
};

use super::{
    Page, Snapshot, StoreError,
    engine::{Row, SqlSession},
    entity, event, source,
    sql::{Column, Param, Statement, both, each},
};

/// A page in the words of one engine: `$1` channel, `$2` limit, `$3` bytes, then sources and
/// offsets as table `t`. The payloads end where the bytes are exceeded; the counters go on.
macro_rules! page {
    ($table:literal, $above:literal, $upto:literal, $order:literal) => {
        concat!(
            "SELECT epoch.value, c.source, c.head, c.floor, p.number,
             CASE WHEN sum(octet_length(e.payload)) OVER (ORDER BY e.recorded ",
            $order,
            ", c.source ",
            $order,
            ", e.seq ",
            $order,
            ") - octet_length(e.payload) < $3 THEN e.payload END
             FROM epoch
             LEFT JOIN channel c ON c.name = $1
             LEFT JOIN ",
            $table,
            " ON t.source = c.source
             LEFT JOIN publication p ON p.channel = c.id AND p.number > ",
            $above,
            " AND p.number <= ",
            $upto,
            " LEFT JOIN event e ON e.source = c.source AND e.seq = p.seq
             ORDER BY e.recorded ",
            $order,
            ", c.source ",
            $order,
            ", e.seq ",
            $order
        )
    };
}

const FORWARD: Statement = each(
    page!(
        "unnest($4::bigint[], $5::bigint[]) AS t (source, number)",
        "GREATEST(t.number, c.floor)",
        "GREATEST(t.number, c.floor) + $2",
        "ASC"
    ),
    page!(
        "(SELECT value ->> 0 AS source, value ->> 1 AS number FROM json_each($4)) AS t",
        "max(coalesce(t.number, 0), c.floor)",
        "max(coalesce(t.number, 0), c.floor) + $2",
        "ASC"
    ),
);

const BACKWARD: Statement = each(
    page!(
        "unnest($4::bigint[], $5::bigint[]) AS t (source, number)",
        "LEAST(coalesce(t.number, 0), c.head) - $2",
        "LEAST(coalesce(t.number, 0), c.head)",
        "DESC"
    ),
    page!(
        "(SELECT value ->> 0 AS source, value ->> 1 AS number FROM json_each($4)) AS t",
        "min(coalesce(t.number, 0), c.head) - $2",
        "min(coalesce(t.number, 0), c.head)",
        "DESC"
    ),
);

const NEWEST: Statement = each(
    page!("unnest($4::bigint[]) AS t (source)", "c.head - $2", "c.head", "DESC"),
    page!(
        "(SELECT value ->> 0 AS source FROM json_each($4)) AS t",
        "c.head - $2",
        "c.head",
        "DESC"
    ),
);

const SNAPSHOT: Statement = both(
    "SELECT epoch.value, (SELECT state FROM entity WHERE kind = $2 AND id = $3), c.source, c.head
     FROM epoch LEFT JOIN channel c ON c.name = $1",
);

/// What of a channel is asked for.
#[derive(Clone, Copy, Debug)]
pub(super) enum Part<'a> {
    /// What comes after.
    After(&'a Offsets),
    /// The newest up to there.
    UpTo(&'a Offsets),
    /// The newest publications there are.
    Newest,
}

/// A page of a channel: at most `limit` publications and about `bytes_max`, but one at least.
pub(super) async fn page(
    session: &mut SqlSession,
    channel: &Channel,
    part: Part<'_>,
    limit: usize,
    bytes_max: usize,
) -> Result<Page, StoreError> {
    let (statement, offsets) = match part {
        Part::After(offsets) => (&FORWARD, Some(offsets)),
        Part::UpTo(offsets) => (&BACKWARD, Some(offsets)),
        Part::Newest => (&NEWEST, None),
    };
    let pairs = || offsets.into_iter().flat_map(Offsets::iter);
    let sources = Column::Ints(pairs().map(|(from, _)| source::number(from)).collect());
    let numbers = Column::Ints(pairs().map(|(_, offset)| source::int(offset)).collect());
    let both = [sources, numbers];
    let table = if offsets.is_some() { both.as_slice() } else { &both[..1] };
    let limit = limit.max(1);
    let params = [
        Param::Text(channel.as_str()),
        Param::Int(i64::try_from(limit).unwrap_or(i64::MAX)),
        Param::Int(i64::try_from(bytes_max.max(1)).unwrap_or(i64::MAX)),
        Param::List(table),
    ];
    let rows = session.rows(statement, &params).await?;
    let mut page = read(channel, &rows, limit)?;
    if !matches!(part, Part::After(_)) {
        page.publications.reverse();
    }
    Ok(page)
}

/// Rows in the order asked for. Those of several sources may be more than `limit` together; what is
/// kept is contiguous for each source, because it is the beginning of an order that respects theirs.
fn read(channel: &Channel, rows: &[Row], limit: usize) -> Result<Page, StoreError> {
    let epoch = rows.first().map_or(Ok(0), |row| row.int(0))?;
    let mut head = Position::start(source::epoch(epoch));
    let mut floor = Offsets::default();
    let mut publications = Vec::new();
    let mut full = false;
    for row in rows {
        let Some(from) = row.maybe_int(1)? else { continue };
        let from = source::of(from)?;
        head.offsets.set(from, row.count(2)?);
        floor.set(from, row.count(3)?);
        let Some(offset) = row.maybe_int(4)? else { continue };
        let Some(payload) = row.maybe_text(5)?.filter(|_| !full) else {
            full = true;
            continue;
        };
        let payload = Bytes::copy_from_slice(payload.as_bytes());
        let recorded = Arc::new(event::parse(from, &payload)?);
        let (channel, offset) = (channel.clone(), u64::try_from(offset).unwrap_or(0));
        let epoch = head.epoch;
        publications.push(Publication { channel, epoch, source: from, offset, recorded, payload });
        full = publications.len() == limit;
    }
    Ok(Page { publications, floor, head })
}

/// Position and state of a channel at one moment.
pub(super) async fn snapshot(
    session: &mut SqlSession,
    channel: &Channel,
) -> Result<Snapshot, StoreError> {
    let entity = Entity::of(channel);
    let params = [
        Param::Text(channel.as_str()),
        Param::MaybeText(entity.as_ref().map(|entity| entity.kind.name())),
        Param::MaybeText(entity.as_ref().map(|entity| &*entity.id)),
    ];
    let rows = session.rows(&SNAPSHOT, &params).await?;
    let epoch = rows.first().map_or(Ok(0), |row| row.int(0))?;
    let mut position = Position::start(source::epoch(epoch));
    for row in &rows {
        if let Some(from) = row.maybe_int(2)? {
            position.offsets.set(source::of(from)?, row.count(3)?);
        }
    }
    let state = rows.first().map_or(Ok(None), |row| row.maybe_text(1))?;
    let state = state.map(entity::state).transpose()?.map(Arc::new);
    Ok(Snapshot { position, state })
}
