-- Tables of aupstream. Every statement ends with a semicolon at the end of a line. Kept to what ClickHouse 24 has.

-- Violations: one row a version. Versions of an id merge; `violations_now` shows what stands.
CREATE TABLE IF NOT EXISTS violations
(
    id String COMMENT 'hash of rule, group key and first event',
    version UInt32 COMMENT 'counts revisions in event time, the highest stands',
    rule_id LowCardinality(String),
    rule_version LowCardinality(String),
    rule_title String,
    clause UInt8 COMMENT 'clause of the policy, 0 for none',
    policy LowCardinality(String),
    severity LowCardinality(String),
    status LowCardinality(String) COMMENT 'violation, permitted, informational or withdrawn',
    state LowCardinality(String) COMMENT 'open or closed',
    group_key Map(String, String),
    first_seen DateTime64(6, 'UTC'),
    last_seen DateTime64(6, 'UTC'),
    opened_at DateTime64(6, 'UTC'),
    closed_at Nullable(DateTime64(6, 'UTC')),
    count UInt64,
    value Float64,
    value_lower_bound Bool,
    threshold_names Array(String),
    threshold_limits Array(Float64),
    threshold_values Array(Float64),
    permit Nullable(String),
    evidence_dropped UInt64,
    incomplete Bool,
    timeline LowCardinality(String),
    related Array(String)
)
ENGINE = ReplacingMergeTree(version)
PARTITION BY toYYYYMM(first_seen)
ORDER BY id;

CREATE TABLE IF NOT EXISTS evidence
(
    violation_id String,
    violation_version UInt32,
    number UInt32 COMMENT 'order in the evidence, from 0',
    first_seen DateTime64(6, 'UTC') COMMENT 'of the violation: same partition',
    event_id String,
    timestamp DateTime64(6, 'UTC'),
    base LowCardinality(String) COMMENT 'which detection of the rule matched',
    log_source LowCardinality(String),
    log_generation String,
    log_offset UInt64,
    log_hash String COMMENT 'BLAKE2b-128 of the raw line',
    summary String COMMENT 'JSON object of the columns that matter',
    facts Array(String) COMMENT 'identity facts used'
)
ENGINE = ReplacingMergeTree
PARTITION BY toYYYYMM(first_seen)
ORDER BY (violation_id, violation_version, number);

CREATE TABLE IF NOT EXISTS ledger
(
    source LowCardinality(String),
    type LowCardinality(String),
    generation String,
    timeline LowCardinality(String),
    chunk UInt64 COMMENT 'position block of 1 MiB, from 0',
    version UInt64,
    final Bool COMMENT 'every line of the chunk is decided',
    first_offset UInt64,
    end_offset UInt64,
    lines UInt64,
    in_events UInt64 COMMENT 'lines that are part of an event',
    events UInt64,
    dead_letters UInt64,
    open_joins UInt64 COMMENT 'lines held in joins that are not complete',
    ignored Map(String, UInt64) COMMENT 'lines ignored, by reason',
    late UInt64,
    time_suspect UInt64,
    sha256 String
)
ENGINE = ReplacingMergeTree(version)
ORDER BY (source, timeline, generation, chunk);

CREATE TABLE IF NOT EXISTS dead_letters
(
    event_id String,
    log_source LowCardinality(String),
    log_generation String,
    log_offset UInt64,
    log_sub UInt16,
    log_hash String,
    timestamp Nullable(DateTime64(6, 'UTC')),
    stage LowCardinality(String),
    format LowCardinality(String),
    reason LowCardinality(String),
    detail Nullable(String),
    raw String,
    raw_length UInt64,
    masked Bool
)
ENGINE = ReplacingMergeTree
ORDER BY (log_source, event_id);

CREATE VIEW IF NOT EXISTS violations_now AS
SELECT * FROM violations FINAL;

CREATE VIEW IF NOT EXISTS evidence_now AS
SELECT e.* FROM evidence AS e FINAL
INNER JOIN (SELECT id, version FROM violations FINAL) AS v ON v.id = e.violation_id AND v.version = e.violation_version;

CREATE VIEW IF NOT EXISTS ledger_now AS
SELECT * FROM ledger FINAL;
