DROP TABLE holds;
ALTER TABLE holds_2 RENAME TO holds;
CREATE INDEX holds_key ON holds (key);
CREATE INDEX holds_state ON holds (state, id);
CREATE INDEX holds_open ON holds (id) WHERE state IN ('held', 'releasing', 'refused');
CREATE INDEX holds_sender ON holds (sender, id);
CREATE INDEX holds_domain ON holds (domain, id);
CREATE INDEX holds_at ON holds (at);
CREATE INDEX holds_expires ON holds (expires) WHERE state IN ('held', 'refused');
CREATE INDEX holds_next ON holds (next) WHERE state = 'releasing';
CREATE INDEX holds_ended ON holds (ended) WHERE ended > 0;
CREATE TRIGGER holds_out AFTER DELETE ON holds BEGIN
  DELETE FROM hold_to WHERE id = old.id;
  DELETE FROM hold_symbols WHERE id = old.id;
  DELETE FROM hold_words WHERE rowid = old.n;
END;
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
