-- What the second release of the event schemas added.

ALTER TABLE events_proxy
    ADD COLUMN IF NOT EXISTS event_code LowCardinality(Nullable(String)),
    ADD COLUMN IF NOT EXISTS user_domain LowCardinality(Nullable(String)),
    ADD COLUMN IF NOT EXISTS host_name Nullable(String),
    ADD COLUMN IF NOT EXISTS application_name LowCardinality(Nullable(String)),
    ADD COLUMN IF NOT EXISTS proxy_policy LowCardinality(Nullable(String)),
    ADD COLUMN IF NOT EXISTS proxy_threat Nullable(String),
    ADD COLUMN IF NOT EXISTS destination_port Nullable(Int32),
    ADD COLUMN IF NOT EXISTS file_name Nullable(String),
    ADD COLUMN IF NOT EXISTS file_hash Nullable(String);

ALTER TABLE events_dhcp
    ADD COLUMN IF NOT EXISTS event_code LowCardinality(Nullable(String)),
    ADD COLUMN IF NOT EXISTS dhcp_duid Nullable(String),
    ADD COLUMN IF NOT EXISTS dhcp_iaid Nullable(String),
    ADD COLUMN IF NOT EXISTS dhcp_prefix_length Nullable(Int32),
    ADD COLUMN IF NOT EXISTS dhcp_lease_expires Nullable(DateTime64(6, 'UTC')),
    ADD COLUMN IF NOT EXISTS dhcp_vlan LowCardinality(Nullable(String));

ALTER TABLE events_mail
    ADD COLUMN IF NOT EXISTS event_code LowCardinality(Nullable(String)),
    ADD COLUMN IF NOT EXISTS email_header_from_address Nullable(String),
    ADD COLUMN IF NOT EXISTS email_direction LowCardinality(Nullable(String)),
    ADD COLUMN IF NOT EXISTS email_verdict LowCardinality(Nullable(String)),
    ADD COLUMN IF NOT EXISTS email_threat Nullable(String),
    ADD COLUMN IF NOT EXISTS email_spam_score Nullable(Float64),
    ADD COLUMN IF NOT EXISTS email_subject Nullable(String),
    ADD COLUMN IF NOT EXISTS email_attachment_name Array(String),
    ADD COLUMN IF NOT EXISTS email_attachment_type Array(String),
    ADD COLUMN IF NOT EXISTS email_attachment_hash Array(String),
    ADD COLUMN IF NOT EXISTS email_attachment_size Array(Int64);

ALTER TABLE events_login
    ADD COLUMN IF NOT EXISTS event_code LowCardinality(Nullable(String)),
    ADD COLUMN IF NOT EXISTS device_id Nullable(String),
    ADD COLUMN IF NOT EXISTS host_name Nullable(String),
    ADD COLUMN IF NOT EXISTS application_name LowCardinality(Nullable(String)),
    ADD COLUMN IF NOT EXISTS login_type LowCardinality(Nullable(String)),
    ADD COLUMN IF NOT EXISTS login_factor LowCardinality(Nullable(String)),
    ADD COLUMN IF NOT EXISTS assigned_ip Nullable(String),
    ADD COLUMN IF NOT EXISTS network_vlan LowCardinality(Nullable(String)),
    ADD COLUMN IF NOT EXISTS user_agent_original Nullable(String),
    ADD COLUMN IF NOT EXISTS source_geo_country LowCardinality(Nullable(String)),
    ADD COLUMN IF NOT EXISTS source_geo_region Nullable(String),
    ADD COLUMN IF NOT EXISTS source_geo_city Nullable(String),
    ADD COLUMN IF NOT EXISTS source_geo_latitude Nullable(Float64),
    ADD COLUMN IF NOT EXISTS source_geo_longitude Nullable(Float64),
    ADD COLUMN IF NOT EXISTS source_is_proxy Nullable(Bool);
