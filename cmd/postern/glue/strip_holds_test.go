package glue_test

import (
	"context"
	"crypto/sha256"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"testing"
	"time"

	"postern/cmd/postern/glue"
	"postern/filter"
	"postern/internal/mailtest"
	"postern/internal/relay"
	"postern/internal/relay/backend"
	"postern/internal/relay/client"
	"postern/internal/smtpd"
	"postern/internal/spool"
	"postern/internal/store/local"
	"postern/quarantine"
)

// TestStrippedHolds: what a server refused after a strip is held as it was sent there and can
// be released; the original beside it is kept and cannot, since it is infected; what it will
// take later waits without the part.
func TestStrippedHolds(t *testing.T) {
	clamd := startScanning(t)
	check := scanner(t, clamd.endpoint)
	p := lookingIntoFiles(check)
	_, set := antivirusPolicies(t)
	home, err := local.Open(t.Context(), local.Options{Dir: t.TempDir(), Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	defer home.Close()
	released := ""
	q := quarantine.New(quarantine.Config{
		Store: home.Holds(), Spool: &spool.Spool{Dir: t.TempDir(), Memory: 1 << 20}, Now: time.Now,
		Rescan: func(ctx context.Context, h quarantine.Hold, body io.ReaderAt) (quarantine.ScanResult, error) {
			r, err := check.Scan(ctx, body, h.Size)
			return quarantine.ScanResult{Infected: r.Signature != ""}, err
		},
		Send: func(_ context.Context, h quarantine.Hold, body io.ReaderAt) (string, error) {
			text, err := io.ReadAll(io.NewSectionReader(body, 0, h.Size))
			released = string(text)
			return "250 2.0.0 ok", err
		},
		Audit: func(context.Context, quarantine.Event) error { return nil },
	})
	k := infectedMails(t)[0]
	strip := policyName(true, "strip", true)
	m := messageOf(k.original(), strip, strip, strip)
	m.SHA256 = fmt.Sprintf("%x", sha256.Sum256([]byte(k.original())))
	server := mailtest.NewBackend(t, mailtest.Script{LMTP: true, EndFor: map[string]mailtest.Step{
		m.To[1].Address: {Reply: "550 5.7.1 no"}, m.To[2].Address: {Reply: "452 4.2.2 full"},
	}})
	pools := backend.New(backend.Config{LocalName: "mx1.example.com", Pools: map[string][]backend.Server{"x": {{Addr: server.Addr(), Protocol: client.LMTP}}}},
		time.Now, slog.New(slog.DiscardHandler))
	defer pools.Close()
	_, d := newMailroom(set, p)
	d.Relay.Backends, d.Relay.Holds, d.Relay.Outbox = relay.Pools{Pools: pools}, glue.Holds{Quarantine: q}, home.Outbox()
	o := d.Deliver(t.Context(), smtpd.Delivery{Message: m, Report: p.Run(t.Context(), filter.OnData, m)})
	if o.Reply[:3] != "250" || o.Fates[0].State != filter.Delivered || o.Fates[1].State != filter.Held || o.Fates[2].State != filter.InOutbox {
		t.Fatalf("%s %+v", o.Reply, o.Fates)
	}
	body, err := home.Outbox().Body(t.Context(), o.Fates[2].Hold)
	if err != nil {
		t.Fatal(err)
	}
	owed, err := io.ReadAll(io.NewSectionReader(body, 0, body.Size()))
	if err != nil || string(owed) != k.stripped(true) || body.Close() != nil {
		t.Errorf("the outbox has %q: %v", owed, err)
	}
	page, err := q.List(t.Context(), quarantine.Query{})
	if err != nil || len(page.Holds) != 2 {
		t.Fatalf("%+v %v", page, err)
	}
	for _, h := range page.Holds {
		want, name := k.stripped(true), relay.ClassBackendRefused
		if h.ID != o.Fates[1].Hold {
			want, name = k.original(), relay.ClassEvidence
		}
		r, err := q.Raw(t.Context(), h.ID)
		if err != nil {
			t.Fatal(err)
		}
		text, err := io.ReadAll(r)
		if err != nil || string(text) != want || string(h.Class) != name || r.Close() != nil {
			t.Errorf("%s: %s holds %q, %v", h.ID, h.Class, text, err)
		}
		_, err = q.Release(t.Context(), h.ID, "ada")
		if (err == nil) != (name == relay.ClassBackendRefused) {
			t.Errorf("release of %s: %v", h.Class, err)
		}
	}
	if released != k.stripped(true) || strings.Contains(released, "evil.dat\"") {
		t.Errorf("released %q", released)
	}
}
