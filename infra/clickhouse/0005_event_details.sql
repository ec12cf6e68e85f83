-- What the third release of the login schema added.

ALTER TABLE events_login
    ADD COLUMN IF NOT EXISTS event_details Array(String);
