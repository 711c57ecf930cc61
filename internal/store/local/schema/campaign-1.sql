-- What came with each fuzzy hash. Times are milliseconds; sources are 16 octets each: hash, last time.
CREATE TABLE print (print INTEGER PRIMARY KEY, first INTEGER NOT NULL, last INTEGER NOT NULL, messages INTEGER NOT NULL, delivered INTEGER NOT NULL, sources BLOB NOT NULL);
CREATE INDEX print_last ON print (last);
-- Where near ones are looked for: the four parts of each.
CREATE TABLE band (band INTEGER NOT NULL, print INTEGER NOT NULL, PRIMARY KEY (band, print)) WITHOUT ROWID;
-- The latest copies of each, as JSON.
CREATE TABLE copy (print INTEGER NOT NULL, at INTEGER NOT NULL, id TEXT NOT NULL, data BLOB NOT NULL, PRIMARY KEY (print, at, id)) WITHOUT ROWID;
