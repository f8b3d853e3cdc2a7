-- Webhooks about alerts that are still to be delivered: an outbox, written with the alert.
CREATE TABLE delivery (
    id        BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    webhook   TEXT   NOT NULL,                    -- what the receiver knows it by, in every try
    route     TEXT   NOT NULL,
    alert     TEXT   NOT NULL,
    escalates BIGINT NOT NULL,                    -- 1: an acknowledgement stops it
    due       BIGINT NOT NULL,                    -- of one that is being sent: when it counts as lost
    tries     BIGINT NOT NULL DEFAULT 0
);
CREATE INDEX delivery_due ON delivery (route, due);
CREATE INDEX delivery_alert ON delivery (alert) WHERE escalates = 1;
