-- Segment numbering. No foreign key to streams: a deleted name keeps its rows,
-- so that a stream which comes back under it never reuses a number.
CREATE TABLE numbering_rows (
    stream          TEXT COLLATE "C" NOT NULL,
    seq             BIGINT  NOT NULL,
    t0_ns           BIGINT  NOT NULL,
    n0              BIGINT  NOT NULL,
    d_ns            BIGINT  NOT NULL CHECK (d_ns > 0),
    target_duration BIGINT  NOT NULL,
    regular         BOOLEAN NOT NULL,
    segment_ns      BIGINT  NOT NULL,
    PRIMARY KEY (stream, seq)
);

CREATE TABLE numbering_state (
    stream        TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    run_ahead     BIGINT NOT NULL,
    discontinuity BIGINT NOT NULL,
    highest       BIGINT NOT NULL,
    updated_ms    BIGINT NOT NULL
);
