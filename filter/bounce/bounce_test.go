package bounce_test

import (
	"context"
	"errors"
	"testing"

	"postern/filter"
	"postern/filter/bounce"
	"postern/internal/mime"
)

type log struct {
	answer    bounce.Answer
	err       error
	asked     int
	completed int
}

func (l *log) About(context.Context, *filter.Message) (bounce.Answer, string, error) {
	l.asked++
	return l.answer, "no message x", l.err
}

func (l *log) Complete(context.Context, *filter.Message) error { l.completed++; return l.err }

func message(from string, d filter.Direction) *filter.Message {
	return &filter.Message{From: from, Direction: d, Parts: func() (*mime.Tree, error) { return nil, nil }}
}

func TestCheck(t *testing.T) {
	for answer, want := range map[bounce.Answer]int{bounce.Other: 0, bounce.Ours: 0, bounce.Foreign: 1} {
		l := &log{answer: answer}
		found, err := (&bounce.Check{Sent: l}).Check(t.Context(), message("", filter.Inbound))
		if err != nil || len(found) != want || want == 1 && (found[0].Symbol != "BACKSCATTER" || found[0].Detail == "") || l.completed != 0 {
			t.Errorf("%d: %v, %v", answer, found, err)
		}
	}
	for _, m := range []*filter.Message{message("a@b.example", filter.Inbound), message("", filter.Outbound), {}} {
		l := &log{answer: bounce.Foreign}
		if found, err := (&bounce.Check{Sent: l}).Check(t.Context(), m); len(found) != 0 || err != nil || l.asked != 0 {
			t.Errorf("%+v: %v, %v", m, found, err)
		}
	}
}

func TestCannotTell(t *testing.T) {
	_, err := (&bounce.Check{Sent: &log{err: errors.New("away")}}).Check(t.Context(), message("", filter.Inbound))
	var plain filter.PlainError
	if !errors.As(err, &plain) || plain.Plain() != "the send log did not answer" {
		t.Error(err)
	}
}

func TestCompletesWhatWasTaken(t *testing.T) {
	for state, want := range map[filter.FateState]int{filter.Delivered: 1, filter.Held: 1, filter.InOutbox: 1, filter.Rejected: 0, filter.Deferred: 0} {
		l := &log{}
		o := filter.Outcome{Fates: []filter.Fate{{State: filter.Rejected}, {State: state}}}
		c := &bounce.Check{Sent: l}
		if err := errors.Join(c.Done(t.Context(), message("", filter.Inbound), o), c.Done(t.Context(), message("a@b", filter.Inbound), o)); err != nil || l.completed != want {
			t.Errorf("%s: %d, %v", state, l.completed, err)
		}
	}
}
