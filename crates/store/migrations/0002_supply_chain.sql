-- Only SQL that PostgreSQL reads too: no extensions, no sequences, no AUTOINCREMENT, no WITHOUT ROWID.
-- An index of PostgreSQL takes at most 2704 bytes a row, hence the lengths of what is in a key.

-- Where the bytes came from and who signed them; JSON that the store does not read.
ALTER TABLE component ADD COLUMN provenance TEXT NOT NULL DEFAULT '{}';

-- What a component was before its bytes were replaced. Never two rows with one id and digest.
CREATE TABLE component_version (
    id           TEXT   NOT NULL,
    epoch        BIGINT NOT NULL,
    digest       TEXT   NOT NULL,
    origin       TEXT   NOT NULL,
    policy       TEXT   NOT NULL,
    contract     TEXT   NOT NULL,
    provenance   TEXT   NOT NULL,
    installed_ms BIGINT NOT NULL,
    PRIMARY KEY (id, epoch)
);

-- What must not run, and who says so. Two sources may say it of one subject.
CREATE TABLE revocation (
    subject    TEXT   NOT NULL CHECK (length(subject) BETWEEN 1 AND 1024),
    source     TEXT   NOT NULL CHECK (length(source) BETWEEN 1 AND 1024),
    reason     TEXT   NOT NULL CHECK (length(reason) <= 1000),
    revoked_ms BIGINT NOT NULL,
    epoch      BIGINT NOT NULL,
    PRIMARY KEY (subject, source)
);

-- The last state of each feed of revocations; its revocations have its reference as their source.
CREATE TABLE feed (
    reference  TEXT   NOT NULL PRIMARY KEY CHECK (length(reference) BETWEEN 1 AND 1024),
    sequence   BIGINT NOT NULL,
    digest     TEXT   NOT NULL,
    checked_ms BIGINT NOT NULL,
    document   TEXT   NOT NULL CHECK (length(document) <= 4194304),
    epoch      BIGINT NOT NULL
);
