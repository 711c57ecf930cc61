package clamav

import (
	"bytes"
	"context"
	"fmt"
	"strings"

	"postern/filter"
	"postern/filter/clamav/instream"
	"postern/internal/mime"
)

// judge turns a reply into a result. Some of what clamd calls a find are words about its own
// limits (AlertExceedsMax) or about encryption (AlertEncrypted).
func (s *Scanner) judge(e *endpoint, reply instream.Reply, size int64) Result {
	switch {
	case reply.Verdict == instream.TooLarge:
		s.alarm.raise("clamav/limits/"+e.client.String(), fmt.Sprintf(
			"clamd at %s refuses a stream of %d bytes although stream_max is %d: raise StreamMaxLength", e.client, size, s.cfg.StreamMax))
		return Result{Unscannable: "clamd refuses streams of this length"}
	case reply.Verdict == instream.Clean:
		return Result{}
	case strings.HasPrefix(reply.Signature, "Heuristics.Limits.Exceeded"):
		return Result{Unscannable: "over clamd's limits: " + reply.Signature}
	case strings.HasPrefix(reply.Signature, "Heuristics.Encrypted"):
		return Result{Encrypted: reply.Signature}
	}
	return Result{Signature: reply.Signature}
}

const (
	readingsMost = 32 // other readings of one message that are scanned
	nestingMost  = 32 // levels that may repeat the bytes of a message while clamd unpacks it
)

// hidden looks at what a clean answer to the raw message does not cover: parts that can be
// read in another way, and more bytes than clamd unpacks.
func (s *Scanner) hidden(ctx context.Context, m *filter.Message) (Result, error) {
	if m.Parts == nil {
		return Result{}, nil
	}
	tree, err := m.Parts()
	if err != nil {
		return Result{}, &filter.CouldNot{Words: "the message could not be read", Cause: err}
	}
	n := 0
	for alt := range tree.Alternatives() {
		if n++; n > readingsMost {
			return Result{Unscannable: fmt.Sprintf("has more than %d readings", readingsMost)}, nil
		}
		r, err := s.scan(ctx, bytes.NewReader(alt.Data), int64(len(alt.Data)), m.SHA256)
		if err != nil || !r.Clean() {
			return r, err
		}
	}
	if m.Size*nestingMost <= s.cfg.MaxScan {
		return Result{}, nil // however it is nested, it stays below
	}
	if total := m.Size + unpacked(tree); total > s.cfg.MaxScan {
		return Result{Unscannable: fmt.Sprintf("%d bytes unpacked; clamd reads %d", total, s.cfg.MaxScan)}, nil
	}
	return Result{}, nil
}

// unpacked is what clamd reads besides the message itself: content, and messages inside.
func unpacked(tree *mime.Tree) int64 {
	total := int64(0)
	for _, p := range tree.Parts {
		switch {
		case p.IsLeaf():
			total += int64(len(p.Decoded()))
		case strings.HasPrefix(p.MediaType, "message/"):
			total += p.End - p.BodyStart
		}
	}
	return total
}
