-- Stream definitions: one row per name, the configuration as JSON text.
-- Names sort by their bytes, as in SQLite, whatever the database's own collation.
CREATE TABLE streams (
    name       TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    config     TEXT   NOT NULL,
    version    BIGINT NOT NULL,
    created_ms BIGINT NOT NULL,
    updated_ms BIGINT NOT NULL
);
