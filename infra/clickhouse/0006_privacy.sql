-- Privacy: names sealed apart from what analysts see, who unmasked whom, what is held, and what was deleted when.

CREATE TABLE IF NOT EXISTS sealed_names
(
    pseudonym String,
    kind LowCardinality(String) COMMENT 'user, mail, device or address',
    key_id LowCardinality(String) COMMENT 'key that made the pseudonym and opens the name',
    sealed String COMMENT 'the name, sealed with that key, base64',
    stored_at DateTime('UTC') DEFAULT now() COMMENT 'when it was last in use, to a day'
)
ENGINE = ReplacingMergeTree(stored_at)
ORDER BY pseudonym;

CREATE TABLE IF NOT EXISTS unmask_log
(
    number UInt64 COMMENT 'from 1, without a gap',
    at DateTime64(6, 'UTC'),
    who String COMMENT 'user of the operating system, and host',
    action LowCardinality(String),
    reason String,
    case_id String,
    asked Array(String) COMMENT 'pseudonyms',
    previous String COMMENT 'hash of the entry before; of the first one 64 zeros',
    hash String COMMENT 'SHA-256 over all the others'
)
ENGINE = MergeTree
ORDER BY number;

CREATE TABLE IF NOT EXISTS holds
(
    violation_id String,
    held Bool,
    at DateTime64(6, 'UTC'),
    who String,
    reason String
)
ENGINE = MergeTree
ORDER BY (violation_id, at);

CREATE TABLE IF NOT EXISTS retention_runs
(
    run String COMMENT 'id of the run',
    table_name LowCardinality(String),
    source LowCardinality(String) COMMENT 'log source; empty where the table has none',
    cutoff DateTime64(6, 'UTC') COMMENT 'older rows were deleted',
    deleted UInt64 COMMENT 'rows, counted before',
    done Bool COMMENT 'false: it was begun',
    at DateTime64(6, 'UTC')
)
ENGINE = ReplacingMergeTree(done)
ORDER BY (table_name, source, run);

-- For analysts: dead letters without the line, which may hold anything.
CREATE OR REPLACE VIEW dead_letters_now AS
SELECT event_id, log_source, log_generation, log_offset, log_sub, timestamp, stage, format, reason, raw_length, masked
FROM dead_letters FINAL;

CREATE OR REPLACE VIEW holds_now AS
SELECT violation_id, argMax(held, at) AS is_held, max(at) AS since FROM holds GROUP BY violation_id HAVING is_held;

-- A line that could not be read has no time that could be trusted: it ages from when it was stored.
ALTER TABLE dead_letters ADD COLUMN IF NOT EXISTS stored_at DateTime('UTC') DEFAULT now();

ALTER TABLE dead_letters MATERIALIZE COLUMN stored_at;
