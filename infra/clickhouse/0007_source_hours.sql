-- What came of each source, hour by hour: the ground of `aupstream coverage`.

CREATE VIEW IF NOT EXISTS source_hours AS
SELECT 'proxy' AS kind, log_source, toStartOfHour(timestamp) AS hour, count() AS events, countIf(late OR time_suspect) AS late
FROM events_proxy FINAL GROUP BY log_source, hour
UNION ALL
SELECT 'dhcp' AS kind, log_source, toStartOfHour(timestamp) AS hour, count() AS events, countIf(late OR time_suspect) AS late
FROM events_dhcp FINAL GROUP BY log_source, hour
UNION ALL
SELECT 'mail' AS kind, log_source, toStartOfHour(timestamp) AS hour, count() AS events, countIf(late OR time_suspect) AS late
FROM events_mail FINAL GROUP BY log_source, hour
UNION ALL
SELECT 'login' AS kind, log_source, toStartOfHour(timestamp) AS hour, count() AS events, countIf(late OR time_suspect) AS late
FROM events_login FINAL GROUP BY log_source, hour;
