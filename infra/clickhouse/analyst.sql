-- What analysts may read on a ClickHouse of your own. Run it once as an administrator, in aupstream's database; then
-- give analysts users with this role. The embedded ClickHouse enforces the same for its user `analyst`.
-- Not theirs: sealed_names, unmask_log, holds and dead_letters, which has lines of logs as they were.

CREATE ROLE IF NOT EXISTS aupstream_analyst;

GRANT SELECT ON events_proxy TO aupstream_analyst;
GRANT SELECT ON events_dhcp TO aupstream_analyst;
GRANT SELECT ON events_mail TO aupstream_analyst;
GRANT SELECT ON events_login TO aupstream_analyst;
GRANT SELECT ON violations TO aupstream_analyst;
GRANT SELECT ON violations_now TO aupstream_analyst;
GRANT SELECT ON evidence TO aupstream_analyst;
GRANT SELECT ON evidence_now TO aupstream_analyst;
GRANT SELECT ON ledger TO aupstream_analyst;
GRANT SELECT ON ledger_now TO aupstream_analyst;
GRANT SELECT ON ledger_sources TO aupstream_analyst;
GRANT SELECT ON retention_runs TO aupstream_analyst;
GRANT SELECT ON source_hours TO aupstream_analyst;
GRANT SELECT ON holds_now TO aupstream_analyst;
GRANT SELECT (violation_id, held, at) ON holds TO aupstream_analyst;
GRANT SELECT ON dead_letters_now TO aupstream_analyst;
GRANT SELECT (event_id, log_source, log_generation, log_offset, log_sub, timestamp, stage, format, reason, raw_length, masked) ON dead_letters TO aupstream_analyst;

-- Then, for each analyst:
-- CREATE USER name IDENTIFIED BY 'password' SETTINGS readonly = 1;
-- GRANT aupstream_analyst TO name;
