-- Reports of DMARC and TLS, sent and received.
CREATE TABLE report_rows (
  key    TEXT PRIMARY KEY,
  day    TEXT NOT NULL,
  domain TEXT NOT NULL,
  count  INTEGER NOT NULL,
  record TEXT NOT NULL
) WITHOUT ROWID;
CREATE INDEX report_rows_day ON report_rows (day, domain, count);
CREATE TABLE report_sent (
  day    TEXT NOT NULL,
  domain TEXT NOT NULL,
  at     INTEGER NOT NULL,
  record TEXT NOT NULL,
  PRIMARY KEY (day, domain)
) WITHOUT ROWID;
CREATE INDEX report_sent_at ON report_sent (at);
CREATE TABLE report_received (
  key    TEXT PRIMARY KEY,
  kind   TEXT NOT NULL,
  domain TEXT NOT NULL,
  at     INTEGER NOT NULL,
  ended  INTEGER NOT NULL,
  brief  TEXT NOT NULL,
  record TEXT NOT NULL
) WITHOUT ROWID;
CREATE INDEX report_received_ended ON report_received (ended, key);
CREATE INDEX report_received_at ON report_received (at);
