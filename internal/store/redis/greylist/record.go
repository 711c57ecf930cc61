package greylist

import (
	"encoding/json"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"

	"postern/filter/greylist"
	"postern/internal/store/redis/conn"
)

// format is in front of every record.
const format = "1"

// tag is how much of its key a known source carries.
const tag = 8

// part is a key of the greylist as part of a key of ours: they are 32 hex digits already.
func part(key string) string {
	if len(key) == 32 && strings.Trim(key, "0123456789abcdef") == "" {
		return key
	}
	return conn.Hash(key)
}

// anchor is the part an entry is kept under: the first of its keys in their order, so that
// all nodes that put off one message at once meet there.
func anchor(keys []string) string {
	first := ""
	for _, k := range keys {
		if p := part(k); first == "" || p < first {
			first = p
		}
	}
	return first
}

// parts are all parts of an entry, that it is kept under in front: what its ID leads to.
func parts(keys []string) string {
	all := make([]string, len(keys))
	for i, k := range keys {
		all[i] = part(k)
	}
	slices.Sort(all)
	return strings.Join(slices.Compact(all), " ")
}

// fields of an entry; tries and the last one are beside the record, which is never rewritten.
// The script reads the ID and the times from f(irst) and x (expires).
var fields = []string{"r", "n", "l"}

// read reads the fields; ok is false for what is no entry of ours, or not kept where it belongs.
func read(values []any, under string) (w greylist.Waiting, ok bool) {
	if len(values) < len(fields) {
		return w, false
	}
	record, _ := values[0].(string)
	text, ours := strings.CutPrefix(record, format)
	if !ours || json.Unmarshal([]byte(text), &w) != nil || w.ID == "" || len(w.Keys) == 0 || anchor(w.Keys) != under {
		return greylist.Waiting{}, false
	}
	w.Tries = 1
	switch n := values[1].(type) {
	case string:
		if tries, err := strconv.Atoi(n); err == nil {
			w.Tries = tries
		}
	case int64:
		w.Tries = int(n)
	}
	if last, isText := values[2].(string); isText {
		if at, err := time.Parse(time.RFC3339Nano, last); err == nil {
			w.Last = at
		}
	}
	return w, true
}

// leads reports whether one of the keys is a key of the entry.
func leads(keys []string, w *greylist.Waiting) bool {
	return slices.ContainsFunc(keys, func(k string) bool { return slices.Contains(w.Keys, k) })
}

// known is the value of a source.
func known(key string, record []byte) string { return format + part(key)[:tag] + string(record) }

func readKnown(key string, cmd *redis.StringCmd) (k greylist.Known, ok bool) {
	text, ours := strings.CutPrefix(cmd.Val(), format+part(key)[:tag])
	if !ours || json.Unmarshal([]byte(text), &k) != nil {
		return greylist.Known{}, false
	}
	return k, true
}

// member is an entry in the index.
func member(w *greylist.Waiting) string { return w.ID + " " + anchor(w.Keys) }

// split takes a member apart.
func split(member string) (id, under string) {
	i := strings.LastIndexByte(member, ' ')
	if i < 0 {
		return "", ""
	}
	return member[:i], member[i+1:]
}

// lifetime is for how long the server keeps what is of use for d: no clock of a node comes
// into it.
func lifetime(d, spare time.Duration) time.Duration {
	return min(max(d, time.Minute), 2*365*24*time.Hour) + spare
}
