-- Stream definitions: one row per name, the configuration as JSON text.
CREATE TABLE streams (
    name       TEXT    NOT NULL PRIMARY KEY,
    config     TEXT    NOT NULL,
    version    INTEGER NOT NULL,
    created_ms INTEGER NOT NULL,
    updated_ms INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
