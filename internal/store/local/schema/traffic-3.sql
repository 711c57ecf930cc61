-- Who was asked to come again, and who came. Times are milliseconds since 1970.
CREATE TABLE grey_waiting (id TEXT PRIMARY KEY, first INTEGER NOT NULL, expires INTEGER NOT NULL, record TEXT NOT NULL) WITHOUT ROWID;
CREATE INDEX grey_waiting_first ON grey_waiting (first, id);
CREATE INDEX grey_waiting_expires ON grey_waiting (expires);
CREATE TABLE grey_try (key TEXT PRIMARY KEY, id TEXT NOT NULL) WITHOUT ROWID;
CREATE INDEX grey_try_id ON grey_try (id);
CREATE TABLE grey_known (key TEXT PRIMARY KEY, last INTEGER NOT NULL, until INTEGER NOT NULL, record TEXT NOT NULL) WITHOUT ROWID;
CREATE INDEX grey_known_last ON grey_known (last);
CREATE INDEX grey_known_until ON grey_known (until);
CREATE TRIGGER grey_waiting_out AFTER DELETE ON grey_waiting BEGIN
  DELETE FROM grey_try WHERE id = old.id;
END;
