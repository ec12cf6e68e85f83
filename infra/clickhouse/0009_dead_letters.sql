-- Lines that could not be read are sealed where they are read; `aupstream deadletters show` opens them for a reason.

ALTER TABLE dead_letters ADD COLUMN IF NOT EXISTS sealed_with String DEFAULT '' COMMENT 'key that the line is sealed with; empty: not sealed';

-- Lines that were read again: begun, and again where it was ended.
CREATE TABLE IF NOT EXISTS replays
(
    replay String COMMENT 'name of its timeline',
    source LowCardinality(String),
    ids Array(String) COMMENT 'dead letters that were read again',
    at DateTime64(6, 'UTC'),
    who String COMMENT 'user of the operating system, and host',
    reason String,
    done Bool COMMENT 'false: it was begun',
    events UInt64 COMMENT 'that came of it',
    unreadable UInt64 COMMENT 'lines that still cannot be read'
)
ENGINE = MergeTree
ORDER BY (replay, at);

-- The ledger by source. A replay takes its lines out of the dead letters; they were counted as read when they were.
CREATE OR REPLACE VIEW ledger_sources AS
SELECT l.source AS source, any(l.type) AS log_type, sumIf(l.lines, NOT startsWith(l.timeline, 'replay-')) AS lines,
    sum(l.in_events) AS in_events, sum(l.events) AS events,
    toInt64(sum(l.dead_letters)) - toInt64(sumIf(l.lines, startsWith(l.timeline, 'replay-'))) AS dead_letters,
    sum(l.open_joins) AS open_joins, sumMap(l.ignored) AS ignored, sum(l.late) AS late,
    sum(l.time_suspect) AS time_suspect, count() AS chunks, countIf(NOT l.final) AS open_chunks
FROM ledger_now AS l GROUP BY l.source;
