-- What was judged again, why and by whom, and what came of it.

CREATE TABLE IF NOT EXISTS rejudgements
(
    at DateTime64(6, 'UTC'),
    who String COMMENT 'user of the operating system, and host',
    reason String,
    from_time DateTime64(6, 'UTC') COMMENT 'first events from then on',
    to_time DateTime64(6, 'UTC') COMMENT 'and before then',
    causes Array(String) COMMENT 'late events and records of permits that asked for it',
    changed Array(String) COMMENT 'ids of violations that are not what they were',
    withdrawn Array(String) COMMENT 'ids of violations that were none',
    raised Array(String) COMMENT 'ids of violations that nobody knew of'
)
ENGINE = MergeTree
ORDER BY at;
