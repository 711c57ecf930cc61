// Package ledger_test proves with the real program, a real clamd and a real Postfix that no
// mail is lost, doubled or changed.
package ledger_test

import (
	"bytes"
	"testing"

	"postern/internal/mailtest"
	"postern/internal/mailtest/ledger"
	"postern/quarantine"
	"postern/test/rig"
	"postern/test/world"
)

// rewriteNothing keeps Postfix from touching the header fields of mail from loopback.
const rewriteNothing = "local_header_rewrite_clients ="

// Five thousand mixed messages, fifty at a time: some held, some refused, some infected, some
// for two policies at once, some for nobody. What Postfix has in its Maildirs is what was sent.
func TestFiveThousand(t *testing.T) {
	const messages, every, maxSize, seed = 5000, 50, 50 << 10, 1
	clamd := mailtest.StartRealClamd(t, mailtest.ClamdOptions{})
	postfix := world.StartPostfix(t, rig.Mailboxes(), rewriteNothing)
	r := rig.New(t, rig.Options{Behind: postfix.Addr, Clamd: clamd.Endpoint})
	r.Start()
	r.Ready()
	load := r.Load(seed, messages)
	load.Make = rig.Infected(seed, every, maxSize)
	res, err := load.Run(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	r.Collect(postfix)
	rep := r.Book.Report(r.Kept()...)
	t.Logf("%s\n%s", res, rep)
	if !rep.OK() || len(rep.Unfinished)+len(rep.Ambiguous)+len(rep.Duplicates) > 0 || rep.Messages != messages {
		t.Error("the book does not balance")
	}
	if rep.Delivered < messages/2 || rep.Kept < messages/20 || rep.Refused < messages/20 {
		t.Errorf("the load was not mixed: %s", rep)
	}
	classes := map[quarantine.Class]int{}
	holds := r.Holds()
	for _, h := range holds {
		classes[h.Class]++
	}
	t.Logf("holds by class: %v", classes)
	if classes[quarantine.ByVerdict] == 0 || classes[quarantine.RejectedBeside] == 0 {
		t.Errorf("holds by class: %v", classes)
	}
	n, bad := r.Verify()
	if n != len(holds) || len(bad) > 0 {
		t.Errorf("%d of %d holds verified, damaged: %v", n, len(holds), bad)
	}
	rawBytes(t, r, holds, load.Make, messages)
	if err := r.Stop(); err != nil {
		t.Errorf("the gateway ended with %v", err)
	}
	if f := r.Look(); len(f.Temp)+len(f.Bad) > 0 {
		t.Errorf("left in the state folder: %v, damaged: %v", f.Temp, f.Bad)
	}
}

// rawBytes compares what "quarantine show --raw" prints with what was sent, byte by byte.
func rawBytes(t *testing.T, r *rig.Rig, holds []quarantine.Hold, sent func(n int) ledger.Message, messages int) {
	t.Helper()
	bodies := map[string][]byte{}
	for n := range messages {
		if m := sent(n); n%8 == 4 || n%8 == 3 || n%50 == 49 {
			bodies[m.SHA256] = m.Body
		}
	}
	for i, h := range holds {
		if i%max(1, len(holds)/40) != 0 {
			continue
		}
		out, errs, code := r.Run("quarantine", "show", h.ID, "--raw", "--reason", "to compare it")
		if code != 0 || !bytes.Equal([]byte(out), bodies[h.SHA256]) {
			t.Errorf("hold %s: exit %d, %s, %d bytes instead of %d", h.ID, code, errs, len(out), len(bodies[h.SHA256]))
		}
	}
}
