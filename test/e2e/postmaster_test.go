package e2e

import (
	"slices"
	"strings"
	"testing"

	"postern/internal/mailtest"
	"postern/quarantine"
)

// Whoever is refused can ask why: the postmaster is reached by senders that are blocked, and
// spam to him is marked, not lost. Others keep their own policy.
func TestPostmasterIsReached(t *testing.T) {
	t.Parallel()
	g, b := startBefore(t, mailtest.Script{}, plan{})
	g.run(t, 0, "blocklist", "add", "--reason", "for a test", "friend.example")
	g.run(t, 0, "blocklist", "add", "--reason", "for a test", "198.51.100.0/24")
	ask := letter("Why am I refused?", "x")
	for _, to := range []string{"postmaster@example.com", "postmaster+1@example.com", "PostMaster@example.com", "postmaster"} {
		g.mustDeliver(t, 250, to, ask)
		if code, text := g.deliverFrom(t, "198.51.100.7", "x@other.example", to, ask); code != 250 {
			t.Errorf("a blocked network to %s: %d %s", to, code, text)
		}
	}
	for _, to := range []string{"ada@example.com", "postmaster1@example.com", "not-abuse@example.com"} {
		g.mustDeliver(t, 550, to, ask)
	}
	if n := len(b.Transactions()); n != 8 {
		t.Errorf("%d messages behind: %+v", n, b.Lines())
	}
	g.run(t, 0, "blocklist", "remove", "block", "friend.example", "all")

	g.mustDeliver(t, 550, "ada@example.com", letter("Spam", gtube))
	raw := letter("Spam", gtube)
	g.mustDeliver(t, 250, "postmaster@example.com", raw)
	last := b.WaitTransactions(t, 9)[8]
	if body := string(last.Body); !strings.HasSuffix(body, raw) || !strings.Contains(body, "X-Postern-Verdict: tag;") || !strings.Contains(body, "X-Spam-Flag: YES") || !strings.Contains(body, "GTUBE") {
		t.Errorf("the postmaster got\n%s", body)
	}
	g.mustDeliver(t, 250, "postmaster@example.com,ada@example.com", letter("Spam for two", gtube))
	if last = b.WaitTransactions(t, 10)[9]; !slices.Equal(last.To, []string{"postmaster@example.com"}) {
		t.Errorf("behind are %q", last.To)
	}
	if all := holds(t, g, "class:rejected-beside"); len(all) != 1 || !slices.Equal(all[0].To, []string{"ada@example.com"}) {
		t.Errorf("holds %+v", all)
	}
}

// A virus to the postmaster is held, that to others refused.
func TestVirusToPostmasterIsHeld(t *testing.T) {
	t.Parallel()
	c := mailtest.StartRealClamd(t, mailtest.ClamdOptions{})
	g, b := startBefore(t, mailtest.Script{}, plan{ClamAV: c.Endpoint})
	raw := withFile("A sample", "sample.zip", zipped(t, "sample.com", mailtest.EICAR()))
	g.mustDeliver(t, 550, "ada@example.com", raw)
	for _, to := range []string{"postmaster@example.com"} { // abuse@ takes it, see TestAbuseTakesWhateverComes
		text := g.mustDeliver(t, 250, to, raw)
		all := holds(t, g, "state:held to:"+to)
		if len(all) != 1 || !strings.Contains(text, all[0].ID) || all[0].Class != quarantine.ByVerdict || all[0].SHA256 != sum(raw) {
			t.Errorf("%s: %s, %+v", to, text, all)
		}
	}
	if n := len(b.Transactions()); n != 0 {
		t.Errorf("%d messages behind", n)
	}
}
