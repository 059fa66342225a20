-- Only SQL that PostgreSQL reads too: no extensions, no sequences, no AUTOINCREMENT, no WITHOUT ROWID.

-- One row. Its lock orders the writes; its value is the number of changes this store has seen.
CREATE TABLE store_epoch (
    id    INTEGER NOT NULL PRIMARY KEY CHECK (id = 1),
    epoch BIGINT  NOT NULL
);
INSERT INTO store_epoch (id, epoch) VALUES (1, 0);

-- One row per component. Digest and policy share a row, so that no crash can part them.
CREATE TABLE component (
    id           TEXT   NOT NULL PRIMARY KEY,
    digest       TEXT   NOT NULL,
    origin       TEXT   NOT NULL,
    policy       TEXT   NOT NULL,
    contract     TEXT   NOT NULL,
    epoch        BIGINT NOT NULL,
    installed_ms BIGINT NOT NULL
);
