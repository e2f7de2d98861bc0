-- Segment numbering. No foreign key to streams: a deleted name keeps its rows,
-- so that a stream which comes back under it never reuses a number.
CREATE TABLE numbering_rows (
    stream          TEXT    NOT NULL,
    seq             INTEGER NOT NULL,
    t0_ns           INTEGER NOT NULL,
    n0              INTEGER NOT NULL,
    d_ns            INTEGER NOT NULL CHECK (d_ns > 0),
    target_duration INTEGER NOT NULL,
    regular         INTEGER NOT NULL CHECK (regular IN (0, 1)),
    segment_ns      INTEGER NOT NULL,
    PRIMARY KEY (stream, seq)
) STRICT, WITHOUT ROWID;

CREATE TABLE numbering_state (
    stream        TEXT    NOT NULL PRIMARY KEY,
    run_ahead     INTEGER NOT NULL,
    discontinuity INTEGER NOT NULL,
    highest       INTEGER NOT NULL,
    updated_ms    INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
