package index

import (
	"encoding/binary"
	"math"
	"strconv"
	"strings"

	"postern/filter"
	"postern/internal/store/redis/holds/record"
	"postern/quarantine"
)

// scorePrefix begins the names of indexes by score.
const scorePrefix = "sc:"

// scoreLen is the length of a score in front of a member.
const scoreLen = 4

// Directions are the two ways that mail goes, as indexes by score name them.
func Directions() [2]string {
	return [2]string{filter.Inbound.String(), filter.Outbound.String()}
}

// ScoreKey is the index by score of the holds in a state that went in a direction. What is not
// outbound stands with what is inbound.
func ScoreKey(s quarantine.State, direction string) string {
	if d := Directions(); direction != d[1] {
		direction = d[0]
	}
	return scorePrefix + string(s) + ":" + direction
}

// ByScore reports whether an index is one by score.
func ByScore(key string) bool { return strings.HasPrefix(key, scorePrefix) }

// packScore writes a score so that the order of bytes is that of scores.
func packScore(s filter.Score) string {
	var b [scoreLen]byte
	n := min(max(int64(s), math.MinInt32), math.MaxInt32)
	binary.BigEndian.PutUint32(b[:], uint32(n-math.MinInt32)) //nolint:gosec // within its bounds
	return string(b[:])
}

// ScoreMember is what an index by score holds of a hold: its score, then its member elsewhere.
func ScoreMember(h quarantine.Hold) string { return packScore(h.Score) + Member(h) }

// Bare is the member that a hold has in the other indexes, "" when it is none by score.
func Bare(member string) string {
	if len(member) <= scoreLen+msLen {
		return ""
	}
	return member[scoreLen:]
}

// ScoreCursor is a place in a list by score as text.
func ScoreCursor(member string) string {
	rest := Cursor(Bare(member))
	if rest == "" {
		return ""
	}
	score := int64(binary.BigEndian.Uint32([]byte(member[:scoreLen]))) + math.MinInt32
	return "s" + strconv.FormatInt(score, 10) + "." + rest
}

// ScorePlace reads a cursor of a list by score; ok is false for what is none.
func ScorePlace(cursor string) (member string, ok bool) {
	text, rest, found := strings.Cut(cursor, ".")
	digits, marked := strings.CutPrefix(text, "s")
	score, err := strconv.ParseInt(digits, 10, 32)
	if !found || !marked || err != nil {
		return "", false
	}
	place, ok := Place(rest)
	return packScore(filter.Score(score)) + place, ok
}

// EntryID is the ID of the hold that a member of an index names.
func EntryID(key, member string) string {
	switch {
	case key == Provisional, key == Due, key == Next, key == Ended:
		return record.Unpack(member)
	case ByScore(key):
		return ID(Bare(member))
	}
	return ID(member)
}

// ScoreWay are the indexes by score that together hold every hold that matches, each once.
func (p *Plan) ScoreWay() (way []string) {
	for _, s := range p.named {
		for _, d := range Directions() {
			if p.query.Direction == "" || p.query.Direction == d {
				way = append(way, ScoreKey(s, d))
			}
		}
	}
	return way
}

// Named are the states that are asked for, each once.
func (p *Plan) Named() []quarantine.State { return p.named }

// Rated reports whether scores or directions are asked for, which indexes by score tell.
func (p *Plan) Rated() bool {
	return p.query.Direction != "" || p.query.AtLeast != nil || p.query.AtMost != nil
}

// RatedWhole reports whether the indexes by score, within the bounds of ScoreRange, hold what
// matches and nothing else.
func (p *Plan) RatedWhole() bool {
	return len(p.Ways) == 1 && len(p.Prefixes) == 0 && p.query.Class == "" && p.query.Policy == "" && !p.Bounded()
}

// Bounded reports whether a part of the indexes by time is asked for.
func (p *Plan) Bounded() bool { return p.Min != "-" || p.Max != "+" }

// ByScore is the plan for walking the indexes by score, behind a member of them; "" = from the start.
func (p *Plan) ByScore(behind string) Plan {
	out := *p
	out.Min, out.Max = p.ScoreRange()
	out.Behind(behind)
	return out
}

// ScoreRange are the bounds of members by score, as ranges by bytes write them.
func (p *Plan) ScoreRange() (low, high string) {
	low, high = "-", "+"
	if s := p.query.AtLeast; s != nil {
		low = "[" + packScore(*s)
	}
	if s := p.query.AtMost; s != nil && *s < math.MaxInt32 {
		high = "(" + packScore(*s+1)
	}
	return low, high
}

// Within reports whether a member of an index by time is inside the bounds of the plan.
func (p *Plan) Within(member string) bool {
	above := p.Min == "-" || member > p.Min[1:] || p.Min[0] == '[' && member == p.Min[1:]
	below := p.Max == "+" || member < p.Max[1:] || p.Max[0] == '[' && member == p.Max[1:]
	return above && below
}
