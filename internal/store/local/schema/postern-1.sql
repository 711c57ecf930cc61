CREATE TABLE meta (name TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID;

-- Bodies on disk and how many rows name each.
CREATE TABLE bodies (
  sha    TEXT PRIMARY KEY,
  stored INTEGER NOT NULL,
  refs   INTEGER NOT NULL CHECK (refs > 0)
) WITHOUT ROWID;
CREATE TABLE totals (one INTEGER PRIMARY KEY CHECK (one = 1), bodies INTEGER NOT NULL, bytes INTEGER NOT NULL);
INSERT INTO totals VALUES (1, 0, 0);
CREATE TRIGGER bodies_in AFTER INSERT ON bodies BEGIN
  UPDATE totals SET bodies = bodies + 1, bytes = bytes + new.stored;
END;
CREATE TRIGGER bodies_out AFTER DELETE ON bodies BEGIN
  UPDATE totals SET bodies = bodies - 1, bytes = bytes - old.stored;
END;

-- Times are milliseconds since 1970. The columns state, version, expires rule over record.
CREATE TABLE holds (
  n       INTEGER PRIMARY KEY,
  id      TEXT NOT NULL UNIQUE,
  key     TEXT NOT NULL,
  state   TEXT NOT NULL,
  class   TEXT NOT NULL,
  policy  TEXT NOT NULL,
  at      INTEGER NOT NULL,
  expires INTEGER NOT NULL,
  ended   INTEGER NOT NULL DEFAULT 0,
  next    INTEGER NOT NULL DEFAULT 0,
  sender  TEXT NOT NULL,
  domain  TEXT NOT NULL,
  sha     TEXT NOT NULL,
  owners  INTEGER NOT NULL,
  version INTEGER NOT NULL,
  record  TEXT NOT NULL
);
CREATE INDEX holds_key ON holds (key);
CREATE INDEX holds_state ON holds (state, id);
CREATE INDEX holds_open ON holds (id) WHERE state IN ('held', 'releasing', 'refused');
CREATE INDEX holds_sender ON holds (sender, id);
CREATE INDEX holds_domain ON holds (domain, id);
CREATE INDEX holds_at ON holds (at);
CREATE INDEX holds_expires ON holds (expires) WHERE state IN ('held', 'refused');
CREATE INDEX holds_next ON holds (next) WHERE state = 'releasing';
CREATE INDEX holds_ended ON holds (ended) WHERE ended > 0;
CREATE TABLE hold_to (addr TEXT NOT NULL, id TEXT NOT NULL, PRIMARY KEY (addr, id)) WITHOUT ROWID;
CREATE INDEX hold_to_id ON hold_to (id);
CREATE TABLE hold_symbols (symbol TEXT NOT NULL, id TEXT NOT NULL, PRIMARY KEY (symbol, id)) WITHOUT ROWID;
CREATE INDEX hold_symbols_id ON hold_symbols (id);
CREATE VIRTUAL TABLE hold_words USING fts5 (words, content='', contentless_delete=1, tokenize='unicode61 remove_diacritics 0');
CREATE TRIGGER holds_out AFTER DELETE ON holds BEGIN
  DELETE FROM hold_to WHERE id = old.id;
  DELETE FROM hold_symbols WHERE id = old.id;
  DELETE FROM hold_words WHERE rowid = old.n;
END;
CREATE TABLE hold_counts (state TEXT PRIMARY KEY, n INTEGER NOT NULL) WITHOUT ROWID;
CREATE TRIGGER count_in AFTER INSERT ON holds BEGIN
  INSERT INTO hold_counts VALUES (new.state, 1) ON CONFLICT DO UPDATE SET n = n + 1;
END;
CREATE TRIGGER count_out AFTER DELETE ON holds BEGIN
  UPDATE hold_counts SET n = n - 1 WHERE state = old.state;
END;
CREATE TRIGGER count_move AFTER UPDATE OF state ON holds BEGIN
  UPDATE hold_counts SET n = n - 1 WHERE state = old.state;
  INSERT INTO hold_counts VALUES (new.state, 1) ON CONFLICT DO UPDATE SET n = n + 1;
END;

CREATE TABLE lists (key TEXT PRIMARY KEY, record TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE accounts (name TEXT PRIMARY KEY, version INTEGER NOT NULL, record TEXT NOT NULL) WITHOUT ROWID;

CREATE TABLE audit (seq INTEGER PRIMARY KEY, hash TEXT NOT NULL, entry TEXT NOT NULL);
CREATE TRIGGER audit_stays BEFORE UPDATE ON audit BEGIN SELECT RAISE(ABORT, 'the audit only grows'); END;
CREATE TRIGGER audit_keeps BEFORE DELETE ON audit BEGIN SELECT RAISE(ABORT, 'the audit only grows'); END;

CREATE TABLE outbox (
  id      TEXT PRIMARY KEY,
  next    INTEGER NOT NULL,
  lease   INTEGER NOT NULL DEFAULT 0, -- end of the claim, 0 = nobody's
  crashed INTEGER NOT NULL DEFAULT 0, -- a claim ended with its process
  sha     TEXT NOT NULL,
  version INTEGER NOT NULL,
  record  TEXT NOT NULL
) WITHOUT ROWID;
CREATE INDEX outbox_next ON outbox (next);
