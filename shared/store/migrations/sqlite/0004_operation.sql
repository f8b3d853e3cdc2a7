-- What each process did in each of the last minutes, for the overview. Rows of a few hours.
CREATE TABLE activity (
    minute      INTEGER NOT NULL,                 -- its beginning
    node        TEXT    NOT NULL,
    recorded    INTEGER,                          -- events; NULL: this process records none
    delivered   INTEGER,                          -- frames of publications
    connections INTEGER,                          -- open at its end
    deliveries  TEXT    NOT NULL,                 -- JSON array: how many by the time that they took
    PRIMARY KEY (minute, node)
) STRICT, WITHOUT ROWID;

-- What operators did.
CREATE TABLE audit (
    id      INTEGER PRIMARY KEY AUTOINCREMENT,
    at      INTEGER NOT NULL,
    who     TEXT    NOT NULL,
    action  TEXT    NOT NULL,
    target  TEXT    NOT NULL,
    node    TEXT    NOT NULL,                     -- the process that did it
    details TEXT    NOT NULL                      -- JSON object
) STRICT;
