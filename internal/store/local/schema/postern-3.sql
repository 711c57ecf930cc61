-- Records of the rooms, the keys they are found by, and the bytes they rest on (files beside).
CREATE TABLE entities (
  n       INTEGER PRIMARY KEY,
  kind    TEXT NOT NULL,
  id      TEXT NOT NULL,
  version INTEGER NOT NULL,
  data    BLOB NOT NULL,
  keys    TEXT NOT NULL,
  UNIQUE (kind, id)
);
CREATE TABLE entity_keys (
  kind  TEXT NOT NULL,
  idx   TEXT NOT NULL,
  value TEXT NOT NULL,
  at    INTEGER NOT NULL,
  id    TEXT NOT NULL,
  PRIMARY KEY (kind, idx, value, at, id)
) WITHOUT ROWID;
CREATE TABLE entity_totals (one INTEGER PRIMARY KEY CHECK (one = 1), records INTEGER NOT NULL, bytes INTEGER NOT NULL);
INSERT INTO entity_totals VALUES (1, 0, 0);
CREATE TRIGGER entities_in AFTER INSERT ON entities BEGIN
  UPDATE entity_totals SET records = records + 1, bytes = bytes + length(new.data) + length(new.keys);
END;
CREATE TRIGGER entities_change AFTER UPDATE ON entities BEGIN
  UPDATE entity_totals SET bytes = bytes + length(new.data) + length(new.keys) - length(old.data) - length(old.keys);
END;
CREATE TRIGGER entities_out AFTER DELETE ON entities BEGIN
  UPDATE entity_totals SET records = records - 1, bytes = bytes - length(old.data) - length(old.keys);
END;
-- Times are milliseconds since 1970; stored is what the file takes.
CREATE TABLE blobs (
  class  TEXT NOT NULL,
  sum    TEXT NOT NULL,
  size   INTEGER NOT NULL,
  stored INTEGER NOT NULL,
  at     INTEGER NOT NULL,
  PRIMARY KEY (class, sum)
) WITHOUT ROWID;
CREATE INDEX blobs_at ON blobs (class, at, sum);
CREATE TABLE blob_totals (class TEXT PRIMARY KEY, count INTEGER NOT NULL, bytes INTEGER NOT NULL) WITHOUT ROWID;
CREATE TRIGGER blobs_in AFTER INSERT ON blobs BEGIN
  INSERT INTO blob_totals VALUES (new.class, 1, new.stored) ON CONFLICT DO UPDATE SET count = count + 1, bytes = bytes + new.stored;
END;
CREATE TRIGGER blobs_out AFTER DELETE ON blobs BEGIN
  UPDATE blob_totals SET count = count - 1, bytes = bytes - old.stored WHERE class = old.class;
END;
