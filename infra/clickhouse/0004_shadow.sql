-- Violations of rules that are being tried: recorded, and nobody is notified.

ALTER TABLE violations ADD COLUMN IF NOT EXISTS shadow Bool DEFAULT false COMMENT 'of a rule that is being tried';

-- A view keeps the columns that there were when it was made.
CREATE OR REPLACE VIEW violations_now AS
SELECT * FROM violations FINAL;
