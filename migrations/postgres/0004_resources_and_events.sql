-- What else has a configuration: the same columns as streams.
-- Names sort by their bytes: see 0001.
CREATE TABLE templates (
    name       TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    config     TEXT   NOT NULL,
    version    BIGINT NOT NULL,
    created_ms BIGINT NOT NULL,
    updated_ms BIGINT NOT NULL
);

CREATE TABLE hooks (
    name       TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    config     TEXT   NOT NULL,
    version    BIGINT NOT NULL,
    created_ms BIGINT NOT NULL,
    updated_ms BIGINT NOT NULL
);

-- The last number given, per stream, '' being the server; '*' is the journal's own: the last event.
CREATE TABLE counters (
    stream TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    value  BIGINT NOT NULL
);

INSERT INTO counters (stream, value) VALUES ('*', 0);

-- The journal. `batch` is what tells a writer that an answer it never saw was written.
CREATE TABLE events (
    id      BIGINT NOT NULL PRIMARY KEY,
    stream  TEXT COLLATE "C" NOT NULL CHECK (stream <> '*'),
    seq     BIGINT NOT NULL,
    kind    TEXT   NOT NULL,
    time_ms BIGINT NOT NULL,
    batch   BIGINT NOT NULL,
    data    TEXT   NOT NULL
);

CREATE INDEX events_by_time ON events (time_ms);
CREATE INDEX events_by_stream ON events (stream, id);

-- Events that hooks have yet to hear of, and those that they were not told in the end: two tables, so
-- that each is found by its key. No foreign key to hooks: who appends may not know yet that one is
-- deleted.
CREATE TABLE deliveries (
    hook     TEXT COLLATE "C" NOT NULL,
    event_id BIGINT NOT NULL REFERENCES events (id),
    stream   TEXT COLLATE "C" NOT NULL,
    attempts BIGINT NOT NULL DEFAULT 0,
    first_ms BIGINT,
    error    TEXT,
    PRIMARY KEY (hook, event_id)
);

CREATE INDEX deliveries_by_event ON deliveries (event_id);
CREATE INDEX deliveries_by_stream ON deliveries (hook, stream, event_id);

CREATE TABLE dead_deliveries (
    hook     TEXT COLLATE "C" NOT NULL,
    event_id BIGINT NOT NULL REFERENCES events (id),
    stream   TEXT COLLATE "C" NOT NULL,
    attempts BIGINT NOT NULL,
    first_ms BIGINT,
    dead_ms  BIGINT NOT NULL,
    error    TEXT,
    PRIMARY KEY (hook, event_id)
);

CREATE INDEX dead_deliveries_by_event ON dead_deliveries (event_id);

-- What this database is called, for ever: one row, made when first asked for.
CREATE TABLE instance (
    one BIGINT NOT NULL PRIMARY KEY CHECK (one = 1),
    id  TEXT   NOT NULL DEFAULT replace(gen_random_uuid()::text, '-', '')
);
