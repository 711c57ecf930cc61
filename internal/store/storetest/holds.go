// Package storetest holds one conformance suite for each store interface. Every home passes
// the same suites, so that a promise does not depend on where state lives.
package storetest

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	"postern/quarantine"
)

// Start is the time at which the suites begin.
var Start = time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)

// SHA is the hex digest of a body.
func SHA(body string) string {
	sum := sha256.Sum256([]byte(body))
	return hex.EncodeToString(sum[:])
}

// Hold makes a hold for a test: number n, with this body.
func Hold(n int, body string) quarantine.Hold {
	id := fmt.Sprintf("01jd9x%020d", n)
	at := Start.Add(time.Duration(n) * time.Second)
	return quarantine.Hold{
		ID: id + "-00", MessageID: id, Node: "a", At: at, Expires: at.Add(30 * 24 * time.Hour), Keep: 30 * 24 * time.Hour,
		Direction: "inbound", Class: quarantine.ByVerdict, Policy: "default", Backend: "mail", Listener: "mx",
		From: "Sender@Example.org", To: []string{"user@example.com"}, Client: quarantine.Client{IP: "192.0.2.1", Port: 25, Helo: "h"},
		Subject: "Hello", Size: int64(len(body)), SHA256: SHA(body), Action: "quarantine", Score: 750,
		Reasons: []quarantine.Reason{{Symbol: "SPF_FAIL", Score: 150, Describe: "d"}}, Unchecked: []quarantine.Unchecked{},
		RulesRev: "r", AV: "av", Key: fmt.Sprintf("key-%d", n),
	}
}

// Holds runs the suite of quarantine.Store. open gives an empty store.
func Holds(t *testing.T, open func(t testing.TB) quarantine.Store) {
	for name, f := range map[string]func(*testing.T, quarantine.Store){
		"put get body":              holdsPut,
		"a body that does not hash": holdsDigest,
		"same key":                  holdsSameKey,
		"two owners":                holdsOwners,
		"taken ID":                  holdsTaken,
		"confirm is all or none":    holdsConfirm,
		"drop leaves what is held":  holdsDrop,
		"change is optimistic":      holdsChange,
		"an end frees the body":     holdsEnd,
		"find key":                  holdsFindKey,
		"due, retry, future":        holdsDue,
		"forget":                    holdsForget,
		"clock":                     holdsClock,
		"search":                    holdsSearch,
		"pages":                     holdsPages,
		"sorted":                    holdsSorted,
		"many at once":              holdsConcurrent,
	} {
		t.Run(name, func(t *testing.T) { f(t, open(t)) })
	}
	t.Run("model", func(t *testing.T) { HoldsModel(t, open) })
}

func put(t testing.TB, s quarantine.Store, h quarantine.Hold, body string) quarantine.Hold {
	t.Helper()
	got, err := s.Put(t.Context(), h, strings.NewReader(body))
	if err != nil {
		t.Fatalf("Put: %v", err)
	}
	return got
}

func confirmed(t testing.TB, s quarantine.Store, h quarantine.Hold, body string) quarantine.Hold {
	t.Helper()
	h = put(t, s, h, body)
	if err := s.Confirm(t.Context(), []string{h.ID}); err != nil {
		t.Fatalf("Confirm: %v", err)
	}
	return get(t, s, h.ID)
}

func get(t testing.TB, s quarantine.Store, id string) quarantine.Hold {
	t.Helper()
	h, err := s.Get(t.Context(), id)
	if err != nil {
		t.Fatalf("Get: %v", err)
	}
	return h
}

func change(t testing.TB, s quarantine.Store, h quarantine.Hold) quarantine.Hold {
	t.Helper()
	h, err := s.Change(t.Context(), h)
	if err != nil {
		t.Fatalf("Change: %v", err)
	}
	return h
}

func readBody(t testing.TB, s quarantine.Store, id string) (string, error) {
	t.Helper()
	r, err := s.Body(t.Context(), id)
	if err != nil {
		return "", err
	}
	defer r.Close()
	b, err := io.ReadAll(r)
	return string(b), err
}

// WantErr reports an error that is not the one wanted.
func WantErr(t testing.TB, what string, err, want error) {
	t.Helper()
	if !errors.Is(err, want) {
		t.Errorf("%s: error %v, want %v", what, err, want)
	}
}
