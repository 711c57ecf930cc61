-- What lists of held mail choose by stands in the indexes that lead them: a search that few
-- match reads no record of the others.
ALTER TABLE holds ADD COLUMN score INTEGER GENERATED ALWAYS AS (json_extract(record, '$.score')) VIRTUAL;
ALTER TABLE holds ADD COLUMN direction TEXT GENERATED ALWAYS AS (json_extract(record, '$.direction')) VIRTUAL;
DROP INDEX holds_state;
DROP INDEX holds_open;
CREATE INDEX holds_state ON holds (state, id, at, score, direction, class, policy);
CREATE INDEX holds_open ON holds (id, at, score, direction, class, policy) WHERE state IN ('held', 'releasing', 'refused');
