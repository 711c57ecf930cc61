// Package index says under which keys a hold is found, and which keys a query walks. Indexes
// are derived: what they name is read and matched before it is believed.
package index

import (
	"strconv"
	"strings"
	"time"

	"postern/internal/store/redis/conn"
	"postern/internal/store/redis/holds/record"
	"postern/quarantine"
	"postern/quarantine/search"
)

// Names of indexes, below the room that all of them share.
const (
	Provisional = "prov"  // by the time they were written: what is not yet answered for, or not yet indexed
	Due         = "due"   // by the time they expire
	Next        = "next"  // by the time of the next attempt of a release
	Ended       = "ended" // by the time of their end
	Vocabulary  = "words" // all words of subjects, for beginnings of words
)

// Entry is one member of one index.
type Entry struct {
	Key    string // below the room of indexes
	Member string
	Score  int64 // milliseconds in indexes by time, else 0
}

// msLen is the length of a time in front of a member: 48 bits of milliseconds.
const msLen = 6

func packTime(t time.Time) string {
	ms := max(t.UnixMilli(), 0)
	var b [msLen]byte
	for i := range b {
		b[i] = byte(ms >> (8 * (msLen - 1 - i)))
	}
	return string(b[:])
}

// Member is what indexes that are listed hold of a hold: its time, then its ID. Their order is
// that of a list, and a member is a place in it that stays when others come and go.
func Member(h quarantine.Hold) string { return packTime(h.At) + record.Pack(h.ID) }

// ID is the ID in a member of an index that is listed.
func ID(member string) string {
	if len(member) <= msLen {
		return ""
	}
	return record.Unpack(member[msLen:])
}

// Time is the time in a member of an index that is listed.
func Time(member string) (t time.Time, ok bool) {
	if len(member) <= msLen {
		return t, false
	}
	var ms int64
	for i := range msLen {
		ms = ms<<8 | int64(member[i])
	}
	return time.UnixMilli(ms).UTC(), true
}

// Cursor is a place in a list as text.
func Cursor(member string) string {
	t, ok := Time(member)
	if !ok {
		return ""
	}
	return strconv.FormatInt(t.UnixMilli(), 10) + "." + ID(member)
}

// Place reads a cursor; ok is false for what is none.
func Place(cursor string) (member string, ok bool) {
	text, id, found := strings.Cut(cursor, ".")
	ms, err := strconv.ParseInt(text, 10, 64)
	if !found || err != nil || ms < 0 || id == "" {
		return "", false
	}
	return packTime(time.UnixMilli(ms)) + record.Pack(id), true
}

// StateKey is the index of the holds in a state.
func StateKey(s quarantine.State) string { return statePrefix + string(s) }

const statePrefix = "state:"

// OfState reports whether an index is that of a state: holds come and go.
func OfState(key string) bool { return strings.HasPrefix(key, statePrefix) }

// WordKey is the index of the holds with a word in their subject.
func WordKey(word string) string { return "w:" + conn.Hash(word) }

// domain is what stands behind the last @ of an address, or "".
func domain(addr string) string {
	i := strings.LastIndexByte(addr, '@')
	if i < 0 {
		return ""
	}
	return addr[i+1:]
}

// Entries are all entries that a hold has now.
func Entries(h quarantine.Hold) []Entry {
	id := record.Pack(h.ID)
	if h.State == quarantine.Provisional {
		return []Entry{{Provisional, id, h.At.UnixMilli()}}
	}
	m := Member(h)
	out := make([]Entry, 0, 24)
	out = append(out, Entry{Key: StateKey(h.State), Member: m}, Entry{Key: ScoreKey(h.State, h.Direction), Member: ScoreMember(h)})
	switch {
	case h.State.Ended():
		if h.Ended != nil {
			out = append(out, Entry{Ended, id, h.Ended.At.UnixMilli()})
		}
	case h.State == quarantine.Releasing:
		var next int64
		if h.Release != nil && !h.Release.Next.IsZero() {
			next = h.Release.Next.UnixMilli()
		}
		out = append(out, Entry{Next, id, next})
	default:
		out = append(out, Entry{Due, id, h.Expires.UnixMilli()})
	}
	for _, key := range fixedKeys(h) {
		out = append(out, Entry{Key: key, Member: m})
	}
	return out
}

// fixedKeys are the indexes that a hold stands in as long as it is there.
func fixedKeys(h quarantine.Hold) []string {
	seen := map[string]bool{}
	var out []string
	add := func(key string) {
		if !seen[key] {
			seen[key] = true
			out = append(out, key)
		}
	}
	from := strings.ToLower(h.From)
	add("from:" + conn.Hash(from))
	add("dom:" + conn.Hash(domain(from)))
	for _, a := range addressKeys(h.To) {
		add("to:" + conn.Hash(a))
	}
	for _, s := range h.Symbols() {
		add("sym:" + conn.Hash(s))
	}
	for _, w := range search.Terms(h.Subject) {
		add(WordKey(w))
	}
	return out
}

// addressKeys are what a hold for these recipients is found by.
func addressKeys(to []string) []string {
	var out []string
	for _, a := range to {
		a = strings.ToLower(a)
		out = append(out, a)
		if d := domain(a); d != "" {
			out = append(out, "@"+d)
		}
	}
	return out
}

// Gone are the entries of before that the hold has no more.
func Gone(before, now quarantine.Hold) []Entry {
	stays := map[Entry]bool{}
	for _, e := range Entries(now) {
		stays[Entry{Key: e.Key, Member: e.Member}] = true
	}
	var out []Entry
	for _, e := range Entries(before) {
		if !stays[Entry{Key: e.Key, Member: e.Member}] {
			out = append(out, e)
		}
	}
	return out
}

// Words are the words of a hold's subject, for the vocabulary.
func Words(h quarantine.Hold) []string { return search.Terms(h.Subject) }
