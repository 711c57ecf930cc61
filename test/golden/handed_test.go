package golden_test

import (
	"bytes"
	"context"
	"fmt"
	"maps"
	"net"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/emersion/go-msgauth/dkim"

	"postern/filter"
	verifier "postern/filter/auth/dkim"
	"postern/internal/mailtest"
)

// judged is what became of one golden mail.
type judged struct {
	mailtest.Case
	found   []filter.Finding
	verdict filter.Verdict // the severest
}

// judgeAll judges all cases whose name begins so.
func judgeAll(t *testing.T, prefix string) []judged {
	t.Helper()
	cases, err := mailtest.ReadCases(folders[0])
	if err != nil {
		t.Fatal(err)
	}
	k := newKit(t)
	var all []judged
	for _, c := range cases {
		if strings.HasPrefix(c.Name, prefix) {
			all = append(all, judged{Case: c})
		}
	}
	var wg sync.WaitGroup
	gate := make(chan struct{}, 4)
	for i := range all {
		wg.Go(func() {
			gate <- struct{}{}
			defer func() { <-gate }()
			found, verdicts := newWorld(t, all[i].Case, k).run(t.Context())
			all[i].found, all[i].verdict = found, slices.MaxFunc(verdicts, func(a, b filter.Verdict) int { return int(a.Action) - int(b.Action) })
		})
	}
	wg.Wait()
	return all
}

func (j judged) has(symbol string) bool {
	return slices.ContainsFunc(j.found, func(f filter.Finding) bool { return f.Symbol == symbol })
}

// tell logs how many mails got which verdict, and what spoke for them.
func tell(t *testing.T, what string, all []judged) {
	t.Helper()
	actions, evidence := map[string]int{}, map[string]int{}
	for _, j := range all {
		actions[j.verdict.Action.String()]++
		by := "a signature or envelope of the author"
		if j.has("DMARC_FAIL") {
			by = "nothing"
			for _, s := range []string{"ARC_TRUSTED", "FORWARDER_KNOWN", "LIST_KNOWN", "SOURCE_KNOWN", "OWN_ALLOW"} {
				if j.has(s) {
					by = s
				}
			}
		}
		evidence[by]++
	}
	t.Logf("%s: %d mails; %s; spoken for by %s", what, len(all), counts(actions), counts(evidence))
}

func counts(m map[string]int) string {
	var out []string
	for _, k := range slices.Sorted(maps.Keys(m)) {
		out = append(out, fmt.Sprintf("%d %s", m[k], k))
	}
	return strings.Join(out, ", ")
}

// TestListsAndForwardersAreNotRefused holds the default policy to its word: mail that lists,
// forwarders and sealers handed on is not refused where anything speaks for it.
func TestListsAndForwardersAreNotRefused(t *testing.T) {
	all := judgeAll(t, viaPrefix)
	tell(t, "handed on", all)
	if len(all) < 60 {
		t.Errorf("only %d mails", len(all))
	}
	kinds := map[string]int{}
	for _, j := range all {
		if j.verdict.Action >= filter.Defer {
			t.Errorf("%s: %s: %s", j.Name, j.verdict.Action, j.verdict.Public)
		}
		kinds[j.Name[strings.LastIndexByte(j.Name, '-')+1:]]++
	}
	for _, policy := range []string{"none", "quarantine", "reject"} {
		if kinds[policy] < 20 {
			t.Errorf("only %d mails of a domain that asks p=%s", kinds[policy], policy)
		}
	}
}

// TestTheSameDomainsSpoofedAreRefused is the other half: whoever only claims that something
// speaks for him is refused as the author's domain asks.
func TestTheSameDomainsSpoofedAreRefused(t *testing.T) {
	all := judgeAll(t, spoofPrefix)
	tell(t, "forged", all)
	if len(all) < 30 {
		t.Errorf("only %d mails", len(all))
	}
	for _, j := range all {
		if j.verdict.Action != filter.Reject {
			t.Errorf("%s: %s, score %s: %v", j.Name, j.verdict.Action, j.verdict.Score, j.verdict.Reasons)
		}
		if !j.has("DMARC_REJECT") {
			t.Errorf("%s: the author's domain does not ask for it", j.Name)
		}
	}
}

// TestSpoofsFailByOneThing brings forged mails from the host that their past or the operator
// speaks for: then the evidence is there. So it is that one thing they are refused for.
func TestSpoofsFailByOneThing(t *testing.T) {
	k := newKit(t)
	for name, c := range map[string]struct {
		by     host
		from   string
		symbol string
	}{
		"list-unproven":           {mailman(), bounces, "LIST_KNOWN"},
		"list-envelope":           {mailman(), bounces, "LIST_KNOWN"},
		"source-envelope":         {alumni(), srs(ruth(), "alumni.example"), "SOURCE_KNOWN"},
		"forwarder-name":          {alumni(), "x@alumni.example", "FORWARDER_KNOWN"},
		"forwarder-helo":          {alumni(), "x@alumni.example", "FORWARDER_KNOWN"},
		"forwarder-below":         {alumni(), "x@alumni.example", "FORWARDER_KNOWN"},
		"srs":                     {alumni(), "x@alumni.example", "FORWARDER_KNOWN"},
		"list-group":              {groups(), groupBounces, ""},
		"arc-elsewhere":           {cloud(), "x@tenant.example", ""},
		"own-signature-of-author": {alumni(), "x@alumni.example", ""},
	} {
		all, err := mailtest.ReadCase(filepath.Join(folders[0], spoofPrefix+name))
		if err != nil {
			t.Fatal(err)
		}
		for i := range all.Earlier {
			all.Earlier[i].Envelope = all.Earlier[i].Over(all.Envelope)
		}
		all.IP, all.Helo, all.From = c.by.ip, c.by.name, &c.from
		found, verdicts := newWorld(t, all, k).run(t.Context())
		j := judged{Case: all, found: found, verdict: verdicts[0]}
		if c.symbol == "" {
			if j.verdict.Action != filter.Reject {
				t.Errorf("%s from %s: %s, though nothing speaks for it there either", name, c.by.name, j.verdict.Action)
			}
			continue
		}
		if !j.has(c.symbol) || j.verdict.Action != filter.Quarantine {
			t.Errorf("%s from %s: %s, %s %v", name, c.by.name, j.verdict.Action, c.symbol, j.has(c.symbol))
		}
	}
}

// TestForgeriesBehindEvidenceAreHeld: what on_list costs at most. Such mail is never handed on
// as it is.
func TestForgeriesBehindEvidenceAreHeld(t *testing.T) {
	all := judgeAll(t, doubtPrefix)
	tell(t, "forged, and spoken for", all)
	if len(all) == 0 {
		t.Error("there are none")
	}
	for _, j := range all {
		if j.verdict.Action != filter.Quarantine {
			t.Errorf("%s: %s", j.Name, j.verdict.Action)
		}
	}
}

// TestStrangersGetWhatTheAuthorsDomainAsks: a list or forwarder that nobody knows is no
// evidence.
func TestStrangersGetWhatTheAuthorsDomainAsks(t *testing.T) {
	all := judgeAll(t, strangerPrefix)
	tell(t, "strangers", all)
	want := map[string]filter.Action{"none": filter.Accept, "quarantine": filter.Quarantine, "reject": filter.Reject}
	for _, j := range all {
		if asks := j.Name[strings.LastIndexByte(j.Name, '-')+1:]; j.verdict.Action != want[asks] {
			t.Errorf("%s: %s", j.Name, j.verdict.Action)
		}
	}
	if len(all) < 9 {
		t.Errorf("only %d mails", len(all))
	}
}

// TestSignaturesAreReal asks the verifier of others about every signature of the made mails.
// Where the two differ it is by what forgers use: a signed length, an end of validity.
func TestSignaturesAreReal(t *testing.T) {
	passed, other := 0, 0
	for _, m := range allMade(t) {
		raw := crlf(m.files()["mail.eml"])
		theirs, err := dkim.VerifyWithOptions(bytes.NewReader(raw), &dkim.VerifyOptions{LookupTXT: keysOf(m.zone).lookup})
		if err != nil {
			t.Fatalf("%s: %v", m.name, err)
		}
		ours, err := verifier.Verify(t.Context(), keysOf(m.zone), bytes.NewReader(raw), int64(len(raw)), now)
		if err != nil {
			t.Fatal(err)
		}
		if len(theirs) != len(ours) {
			t.Fatalf("%s: %d signatures, they see %d", m.name, len(ours), len(theirs))
		}
		for i, v := range theirs {
			if v.Err == nil {
				passed++
			} else {
				other++
			}
			ok := ours[i].Result == verifier.Pass
			if odd := m.name == spoofPrefix+"body-length" || m.name == spoofPrefix+"expired"; ok != (v.Err == nil) && !odd || odd && ok {
				t.Errorf("%s: the signature of %s is %s here, %v there", m.name, v.Domain, ours[i].Result, v.Err)
			}
		}
	}
	if passed < 30 || other < 30 {
		t.Errorf("only %d signatures pass and %d do not", passed, other)
	}
	t.Logf("%d signatures pass, %d do not", passed, other)
}

// keysOf answers questions for keys out of a zone.
type keysOf mailtest.Zone

func (z keysOf) lookup(name string) ([]string, error) {
	for _, r := range z[name] {
		if txt, ok := strings.CutPrefix(r, "TXT "); ok {
			return []string{txt}, nil
		}
	}
	return nil, &net.DNSError{Name: name, IsNotFound: true}
}

func (z keysOf) TXT(_ context.Context, name string) ([]string, error) { return z.lookup(name) }
