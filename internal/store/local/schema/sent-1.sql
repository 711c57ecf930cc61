CREATE TABLE sent (
  n       INTEGER PRIMARY KEY,
  serial  TEXT NOT NULL UNIQUE,
  seq     INTEGER NOT NULL UNIQUE,
  at      INTEGER NOT NULL,
  account TEXT NOT NULL,
  header  TEXT NOT NULL,
  ip      BLOB NOT NULL,
  port    INTEGER NOT NULL,
  record  TEXT NOT NULL
);
CREATE INDEX sent_at ON sent (at);
CREATE INDEX sent_account ON sent (account, at, serial);
CREATE INDEX sent_header ON sent (header) WHERE header <> '';
CREATE INDEX sent_ip ON sent (ip, at);
CREATE TABLE sent_queue (id TEXT NOT NULL, n INTEGER NOT NULL REFERENCES sent (n) ON DELETE CASCADE, PRIMARY KEY (id, n)) WITHOUT ROWID;
CREATE INDEX sent_queue_n ON sent_queue (n);
CREATE TABLE sent_state (one INTEGER PRIMARY KEY CHECK (one = 1), seq INTEGER NOT NULL, log TEXT NOT NULL);
INSERT INTO sent_state VALUES (1, 0, lower(hex(randomblob(6))));
