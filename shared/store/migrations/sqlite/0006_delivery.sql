-- Webhooks about alerts that are still to be delivered: an outbox, written with the alert.
CREATE TABLE delivery (
    id        INTEGER PRIMARY KEY AUTOINCREMENT,
    webhook   TEXT    NOT NULL,                   -- what the receiver knows it by, in every try
    route     TEXT    NOT NULL,
    alert     TEXT    NOT NULL,
    escalates INTEGER NOT NULL,                   -- 1: an acknowledgement stops it
    due       INTEGER NOT NULL,                   -- of one that is being sent: when it counts as lost
    tries     INTEGER NOT NULL DEFAULT 0
) STRICT;
CREATE INDEX delivery_due ON delivery (route, due);
CREATE INDEX delivery_alert ON delivery (alert) WHERE escalates = 1;
