-- Events by kind, columns as in schemas/avro. Rows of the same position merge, which is to say of the same event id.
-- They are kept in the order they come in, so that writing sorts nothing; a log is about in the order of its times, so
-- the index finds a time range all the same.

CREATE TABLE IF NOT EXISTS events_proxy
(
    event_id String,
    timestamp DateTime64(6, 'UTC'),
    event_dataset LowCardinality(String),
    event_action LowCardinality(Nullable(String)),
    event_outcome LowCardinality(Nullable(String)),
    event_reason Nullable(String),
    observer_hostname LowCardinality(Nullable(String)),
    process_name LowCardinality(Nullable(String)),
    process_pid Nullable(Int64),
    log_source LowCardinality(String),
    log_generation String,
    log_offset Int64,
    log_sub Int32,
    log_hash String,
    late Bool,
    time_suspect Bool,
    source_ip Nullable(String),
    source_port Nullable(Int32),
    source_mac Nullable(String),
    user_name Nullable(String),
    http_request_method LowCardinality(Nullable(String)),
    http_version LowCardinality(Nullable(String)),
    url_original Nullable(String),
    url_scheme LowCardinality(Nullable(String)),
    url_domain Nullable(String),
    url_port Nullable(Int32),
    url_path Nullable(String),
    url_query Nullable(String),
    url_extension Nullable(String),
    http_response_status_code Nullable(Int32),
    http_response_bytes Nullable(Int64),
    http_request_bytes Nullable(Int64),
    http_response_mime_type LowCardinality(Nullable(String)),
    http_request_referrer Nullable(String),
    user_agent_original Nullable(String),
    destination_ip Nullable(String),
    destination_domain Nullable(String),
    event_duration Nullable(Int64),
    proxy_result LowCardinality(Nullable(String)),
    proxy_hierarchy LowCardinality(Nullable(String)),
    proxy_category LowCardinality(Nullable(String)),
    INDEX by_time timestamp TYPE minmax GRANULARITY 1
)
ENGINE = ReplacingMergeTree
PARTITION BY toYYYYMM(timestamp)
ORDER BY (log_source, log_generation, log_offset, log_sub)
SETTINGS min_bytes_for_wide_part = 104857600;

CREATE TABLE IF NOT EXISTS events_dhcp
(
    event_id String,
    timestamp DateTime64(6, 'UTC'),
    event_dataset LowCardinality(String),
    event_action LowCardinality(Nullable(String)),
    event_outcome LowCardinality(Nullable(String)),
    event_reason Nullable(String),
    observer_hostname LowCardinality(Nullable(String)),
    process_name LowCardinality(Nullable(String)),
    process_pid Nullable(Int64),
    log_source LowCardinality(String),
    log_generation String,
    log_offset Int64,
    log_sub Int32,
    log_hash String,
    late Bool,
    time_suspect Bool,
    source_ip Nullable(String),
    source_mac Nullable(String),
    host_name Nullable(String),
    dhcp_client_id Nullable(String),
    dhcp_transaction_id Nullable(String),
    dhcp_relay_ip Nullable(String),
    dhcp_interface LowCardinality(Nullable(String)),
    dhcp_server_ip Nullable(String),
    dhcp_lease_seconds Nullable(Int64),
    dhcp_requested_ip Nullable(String),
    dhcp_network LowCardinality(Nullable(String)),
    dhcp_vendor_class Nullable(String),
    dhcp_fingerprint Nullable(String),
    dhcp_circuit_id Nullable(String),
    dhcp_remote_id Nullable(String),
    INDEX by_time timestamp TYPE minmax GRANULARITY 1
)
ENGINE = ReplacingMergeTree
PARTITION BY toYYYYMM(timestamp)
ORDER BY (log_source, log_generation, log_offset, log_sub)
SETTINGS min_bytes_for_wide_part = 104857600;

CREATE TABLE IF NOT EXISTS events_mail
(
    event_id String,
    timestamp DateTime64(6, 'UTC'),
    event_dataset LowCardinality(String),
    event_action LowCardinality(Nullable(String)),
    event_outcome LowCardinality(Nullable(String)),
    event_reason Nullable(String),
    observer_hostname LowCardinality(Nullable(String)),
    process_name LowCardinality(Nullable(String)),
    process_pid Nullable(Int64),
    log_source LowCardinality(String),
    log_generation String,
    log_offset Int64,
    log_sub Int32,
    log_hash String,
    late Bool,
    time_suspect Bool,
    timestamp_first Nullable(DateTime64(6, 'UTC')),
    log_offsets Array(Int64),
    email_message_id Nullable(String),
    email_local_id Nullable(String),
    email_from_address Nullable(String),
    email_to_address Array(String),
    email_to_original_address Array(String),
    email_to_status Array(String),
    email_to_dsn Array(String),
    email_to_relay Array(String),
    email_to_filter Array(Bool),
    email_to_attempts Array(Int32),
    email_size Nullable(Int64),
    email_recipient_count Nullable(Int32),
    email_subject_hash Nullable(String),
    source_ip Nullable(String),
    source_port Nullable(Int32),
    source_domain Nullable(String),
    user_name Nullable(String),
    login_method LowCardinality(Nullable(String)),
    email_helo Nullable(String),
    email_protocol LowCardinality(Nullable(String)),
    email_complete Bool,
    INDEX by_time timestamp TYPE minmax GRANULARITY 1
)
ENGINE = ReplacingMergeTree
PARTITION BY toYYYYMM(timestamp)
ORDER BY (log_source, log_generation, log_offset, log_sub)
SETTINGS min_bytes_for_wide_part = 104857600;

CREATE TABLE IF NOT EXISTS events_login
(
    event_id String,
    timestamp DateTime64(6, 'UTC'),
    event_dataset LowCardinality(String),
    event_action LowCardinality(Nullable(String)),
    event_outcome LowCardinality(Nullable(String)),
    event_reason Nullable(String),
    observer_hostname LowCardinality(Nullable(String)),
    process_name LowCardinality(Nullable(String)),
    process_pid Nullable(Int64),
    log_source LowCardinality(String),
    log_generation String,
    log_offset Int64,
    log_sub Int32,
    log_hash String,
    late Bool,
    time_suspect Bool,
    user_name Nullable(String),
    user_domain Nullable(String),
    user_known Nullable(Bool),
    source_ip Nullable(String),
    source_port Nullable(Int32),
    source_mac Nullable(String),
    source_domain Nullable(String),
    login_method LowCardinality(Nullable(String)),
    service_name LowCardinality(Nullable(String)),
    session_id Nullable(String),
    session_seconds Nullable(Int64),
    access_point Nullable(String),
    network_ssid LowCardinality(Nullable(String)),
    nas_ip Nullable(String),
    nas_port Nullable(String),
    terminal_name Nullable(String),
    key_fingerprint Nullable(String),
    target_user_name Nullable(String),
    INDEX by_time timestamp TYPE minmax GRANULARITY 1
)
ENGINE = ReplacingMergeTree
PARTITION BY toYYYYMM(timestamp)
ORDER BY (log_source, log_generation, log_offset, log_sub)
SETTINGS min_bytes_for_wide_part = 104857600;

