-- Users whom an operator keeps out for a while, whatever token they bring.
CREATE TABLE denial (
    user_id TEXT    PRIMARY KEY,
    until   INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
