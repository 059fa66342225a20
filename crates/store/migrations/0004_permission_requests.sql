-- Only SQL that PostgreSQL reads too, as before.

-- What a model asked a person to allow a component. The number is the epoch of the change that wrote it, so that none is
-- ever used twice: a person approves what they saw under it, or nothing.
CREATE TABLE permission_request (
    number    BIGINT NOT NULL PRIMARY KEY,
    id        TEXT   NOT NULL,
    digest    TEXT   NOT NULL,
    policy    TEXT   NOT NULL CHECK (length(policy) <= 65536),
    reason    TEXT   NOT NULL CHECK (length(reason) <= 1000),
    asked_by  TEXT   NOT NULL CHECK (length(asked_by) <= 1000),
    asked_ms  BIGINT NOT NULL,
    denied_ms BIGINT
);
