-- Lines that could not be read are sealed where they are read; `aupstream deadletters show` opens them for a reason.

ALTER TABLE dead_letters ADD COLUMN IF NOT EXISTS sealed_with String DEFAULT '' COMMENT 'key that the line is sealed with; empty: not sealed';
