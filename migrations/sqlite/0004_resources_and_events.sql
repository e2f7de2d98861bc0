-- What else has a configuration: the same columns as streams.
CREATE TABLE templates (
    name       TEXT    NOT NULL PRIMARY KEY,
    config     TEXT    NOT NULL,
    version    INTEGER NOT NULL,
    created_ms INTEGER NOT NULL,
    updated_ms INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE hooks (
    name       TEXT    NOT NULL PRIMARY KEY,
    config     TEXT    NOT NULL,
    version    INTEGER NOT NULL,
    created_ms INTEGER NOT NULL,
    updated_ms INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- The last number given, per stream, '' being the server; '*' is the journal's own: the last event.
CREATE TABLE counters (
    stream TEXT    NOT NULL PRIMARY KEY,
    value  INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

INSERT INTO counters (stream, value) VALUES ('*', 0);

-- The journal. `batch` is what tells a writer that an answer it never saw was written.
CREATE TABLE events (
    id      INTEGER NOT NULL PRIMARY KEY,
    stream  TEXT    NOT NULL CHECK (stream <> '*'),
    seq     INTEGER NOT NULL,
    kind    TEXT    NOT NULL,
    time_ms INTEGER NOT NULL,
    batch   INTEGER NOT NULL,
    data    TEXT    NOT NULL
) STRICT;

CREATE INDEX events_by_time ON events (time_ms);
CREATE INDEX events_by_stream ON events (stream, id);

-- Events that hooks have yet to hear of, and those that they were not told in the end: two tables, so
-- that each is found by its key. No foreign key to hooks: who appends may not know yet that one is
-- deleted.
CREATE TABLE deliveries (
    hook     TEXT    NOT NULL,
    event_id INTEGER NOT NULL REFERENCES events (id),
    stream   TEXT    NOT NULL,
    attempts INTEGER NOT NULL DEFAULT 0,
    first_ms INTEGER,
    error    TEXT,
    PRIMARY KEY (hook, event_id)
) STRICT, WITHOUT ROWID;

CREATE INDEX deliveries_by_event ON deliveries (event_id);
CREATE INDEX deliveries_by_stream ON deliveries (hook, stream, event_id);

CREATE TABLE dead_deliveries (
    hook     TEXT    NOT NULL,
    event_id INTEGER NOT NULL REFERENCES events (id),
    stream   TEXT    NOT NULL,
    attempts INTEGER NOT NULL,
    first_ms INTEGER,
    dead_ms  INTEGER NOT NULL,
    error    TEXT,
    PRIMARY KEY (hook, event_id)
) STRICT, WITHOUT ROWID;

CREATE INDEX dead_deliveries_by_event ON dead_deliveries (event_id);

-- What this database is called, for ever: one row, made when first asked for.
CREATE TABLE instance (
    one INTEGER NOT NULL PRIMARY KEY CHECK (one = 1),
    id  TEXT    NOT NULL DEFAULT (lower(hex(randomblob(16))))
) STRICT;
