-- Work: tasks for one agent, as a queue hands them out. The row of a task is the fence: its last
-- attempt and who holds it are checked in the transaction that records a step.
CREATE TABLE work (
    id         TEXT   PRIMARY KEY,
    source     BIGINT NOT NULL,
    created    BIGINT NOT NULL,
    status     TEXT   NOT NULL,                  -- pending, assigned, running, completed …
    lane       TEXT   NOT NULL,                  -- [only agent, [capabilities]]: who can do it
    priority   BIGINT NOT NULL,
    group_id   TEXT,
    ready_at   BIGINT NOT NULL,                  -- not assigned before
    waits      BIGINT NOT NULL,                  -- tasks that it depends on and that did not complete
    rejections BIGINT NOT NULL,                  -- agents that do not want it
    attempt    BIGINT NOT NULL,
    due_at     BIGINT,                           -- when it expires, or its attempt has run too long
    reason     TEXT,
    ended      BIGINT,
    life       TEXT   NOT NULL                   -- all of it, JSON
);
CREATE INDEX work_pending ON work (source, lane, priority DESC, created, id)
    WHERE status = 'pending' AND waits = 0;
CREATE INDEX work_rejected ON work (source) WHERE status = 'pending' AND rejections > 0;
CREATE INDEX work_due ON work (source, due_at) WHERE due_at IS NOT NULL;
CREATE INDEX work_open ON work (source) WHERE ended IS NULL;
CREATE INDEX work_status ON work (status, source);
CREATE INDEX work_of_group ON work (group_id, status) WHERE group_id IS NOT NULL;
CREATE INDEX work_ended ON work (ended) WHERE ended IS NOT NULL;

-- Every time that a task was given to an agent.
CREATE TABLE attempt (
    task        TEXT   NOT NULL,
    number      BIGINT NOT NULL,
    source      BIGINT NOT NULL,                 -- of the task
    agent       TEXT   NOT NULL,
    connection  TEXT   NOT NULL,                 -- by which the agent has it
    accepts     BIGINT NOT NULL,                 -- whether the agent says when it begins
    assigned_at BIGINT NOT NULL,
    written_at  BIGINT,                          -- the frame was claimed by a node, to be written once
    accepted_at BIGINT,
    orphaned_at BIGINT,                          -- since when its connection is gone
    lost        BIGINT NOT NULL DEFAULT 0,       -- its agent says that it does not have it
    ended_at    BIGINT,
    ending      TEXT,                             -- completed, failed, lost, timeout, rejected, cancelled
    slot        BIGINT NOT NULL DEFAULT 1,       -- whether it takes a slot of its agent
    tell        TEXT,                             -- why the agent is told to stop
    PRIMARY KEY (task, number)
);
CREATE INDEX attempt_open ON attempt (source) WHERE ended_at IS NULL;
CREATE INDEX attempt_slot ON attempt (agent) WHERE slot = 1;
CREATE INDEX attempt_assigned ON attempt (assigned_at);

-- Which tasks must complete before another one.
CREATE TABLE dependency (
    task  TEXT   NOT NULL,
    place BIGINT NOT NULL,
    on_id TEXT   NOT NULL,
    PRIMARY KEY (task, on_id)
);
CREATE INDEX dependency_on ON dependency (on_id);

CREATE TABLE work_group (
    id     TEXT   PRIMARY KEY,
    closed BIGINT,
    asked  TEXT                                  -- JSON: by, reason
);

-- What the owner of a source has to look at: a task whose dependencies changed, a group that closed.
CREATE TABLE work_signal (
    id     BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    source BIGINT NOT NULL,
    kind   TEXT   NOT NULL,                      -- check, cycle, revive, group
    task   TEXT   NOT NULL                       -- or the group
);
CREATE INDEX work_signal_source ON work_signal (source, id);

-- The agents that were ever connected; locked by whoever takes one of their slots.
CREATE TABLE agent (
    id      TEXT   PRIMARY KEY,
    seen_at BIGINT NOT NULL
);

-- The sockets of agents, and what they said there.
CREATE TABLE agent_socket (
    connection   TEXT   PRIMARY KEY,
    agent        TEXT   NOT NULL,
    node         TEXT   NOT NULL,
    opened       BIGINT NOT NULL,                -- ms of its first status, later ones are greater
    status       TEXT   NOT NULL,
    capabilities TEXT   NOT NULL,                -- JSON array
    slots        BIGINT NOT NULL,
    accepts      BIGINT NOT NULL,
    cancels      BIGINT NOT NULL
);
CREATE INDEX agent_socket_agent ON agent_socket (agent);
CREATE INDEX agent_socket_node ON agent_socket (node);

-- The gateways that agents are connected to, by the clock of this database.
CREATE TABLE gateway_node (
    name     TEXT   PRIMARY KEY,
    heard_at BIGINT NOT NULL
);
