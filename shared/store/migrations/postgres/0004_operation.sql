-- What each process did in each of the last minutes, for the overview. Rows of a few hours.
CREATE TABLE activity (
    minute      BIGINT NOT NULL,                  -- its beginning
    node        TEXT   NOT NULL,
    recorded    BIGINT,                           -- events; NULL: this process records none
    delivered   BIGINT,                           -- frames of publications
    connections BIGINT,                           -- open at its end
    deliveries  TEXT   NOT NULL,                  -- JSON array: how many by the time that they took
    PRIMARY KEY (minute, node)
);

-- What operators did.
CREATE TABLE audit (
    id      BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    at      BIGINT NOT NULL,
    who     TEXT   NOT NULL,
    action  TEXT   NOT NULL,
    target  TEXT   NOT NULL,
    node    TEXT   NOT NULL,                      -- the process that did it
    details TEXT   NOT NULL                       -- JSON object
);
