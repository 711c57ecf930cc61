-- Lists of held mail by score: one index for the open ones, one for a state that is named.
CREATE INDEX holds_score ON holds (score, id, at, direction, class, policy) WHERE state IN ('held', 'releasing', 'refused');
CREATE INDEX holds_state_score ON holds (state, score, id, at, direction, class, policy);
