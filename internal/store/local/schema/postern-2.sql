-- The number of a hold says where it stands in the list, so that the index of words gives what it
-- finds in that order. Beside the words of the subject stand marks of what else people search
-- for. What follows is between this and postern-2-end.sql: every hold gets its number and marks.
CREATE TABLE holds_2 (
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
DROP TABLE hold_words;
CREATE VIRTUAL TABLE hold_words USING fts5 (words, marks, content='', contentless_delete=1, detail='column', tokenize='unicode61 remove_diacritics 0');
