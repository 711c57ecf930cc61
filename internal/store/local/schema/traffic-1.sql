CREATE TABLE traffic (
  n       INTEGER PRIMARY KEY,
  id      TEXT NOT NULL UNIQUE,
  at      INTEGER NOT NULL,
  sender  TEXT NOT NULL,
  domain  TEXT NOT NULL,
  header  TEXT NOT NULL,
  ip      BLOB NOT NULL,
  record  TEXT NOT NULL
);
CREATE INDEX traffic_at ON traffic (at);
CREATE INDEX traffic_sender ON traffic (sender, id);
CREATE INDEX traffic_domain ON traffic (domain, id);
CREATE INDEX traffic_header ON traffic (header, id);
CREATE INDEX traffic_ip ON traffic (ip, id);
CREATE TABLE traffic_to (addr TEXT NOT NULL, id TEXT NOT NULL, PRIMARY KEY (addr, id)) WITHOUT ROWID;
CREATE INDEX traffic_to_id ON traffic_to (id);
CREATE VIRTUAL TABLE traffic_words USING fts5 (words, content='', contentless_delete=1, tokenize='unicode61 remove_diacritics 0');
CREATE TRIGGER traffic_out AFTER DELETE ON traffic BEGIN
  DELETE FROM traffic_to WHERE id = old.id;
  DELETE FROM traffic_words WHERE rowid = old.n;
END;
