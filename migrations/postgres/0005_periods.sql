-- The Period that DASH clients were told of last: they go on with it over a restart.
ALTER TABLE numbering_state ADD COLUMN period_start_ns BIGINT;
ALTER TABLE numbering_state ADD COLUMN period_number BIGINT;
ALTER TABLE numbering_state ADD COLUMN period_fingerprint BIGINT;
