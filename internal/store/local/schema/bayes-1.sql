-- In how many messages of each class a token was. A token is the keyed hash of a word.
CREATE TABLE token (token INTEGER PRIMARY KEY, spam INTEGER NOT NULL, ham INTEGER NOT NULL);
-- What each message counts as: a change made twice counts once.
CREATE TABLE message (id BLOB PRIMARY KEY, class INTEGER NOT NULL) WITHOUT ROWID;
