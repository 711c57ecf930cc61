-- What was seen before: sources, lists, correspondents. Days are 4 octets each, in order: the
-- number since 1970 (2, big endian), good marks, bad marks. until is the last day of use.
CREATE TABLE history (key BLOB PRIMARY KEY, until INTEGER NOT NULL, days BLOB NOT NULL) WITHOUT ROWID;
CREATE INDEX history_until ON history (until);
-- The last time that was believed, in milliseconds.
CREATE TABLE history_clock (n INTEGER PRIMARY KEY CHECK (n = 1), at INTEGER NOT NULL);
