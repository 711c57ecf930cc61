package proof_test

import (
	"bytes"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"postern/abuse/complaint"
	"postern/abuse/proof"
	"postern/abuse/sent"
)

func is(t *testing.T, p proof.Proof, grade proof.Grade, class proof.Class, votes int) {
	t.Helper()
	if p.Grade != grade || p.Class != class || p.Votes != votes {
		t.Errorf("got %s %q %d, want %s %q %d\n%s\n%s", p.Grade, p.Class, p.Votes, grade, class, votes, p.Sentence, strings.Join(p.Transcript, "\n"))
	}
}

func cut(raw []byte) []byte { return raw[:bytes.Index(raw, []byte("\r\n\r\n"))+2] }

func replace(raw []byte, from, to string) []byte {
	return bytes.ReplaceAll(raw, []byte(from), []byte(to))
}

// A full copy of a real message names the account, with a sentence for people.
func TestP4(t *testing.T) {
	w := newWorld(t)
	m := w.send("anna", words, "bob@else.example", "eve@else.example", "zoe@third.example")
	p := w.prove(whole(m.raw, "bob@else.example"), feed)
	is(t, p, proof.P4, proof.None, proof.VoteFull)
	want := "DKIM d=x.test s=y verified; sent " + w.now.Format("2006-01-02 15:04 MST") + " by anna via 203.0.113.7:51514, queue ID " + m.row.QueueID + "; the copy of bob@else.example was 1 of 3."
	if p.Sentence != want || p.Account != "anna" || p.Serial != m.row.Serial || p.Recipient != "bob@else.example" || p.Accepted != 3 || p.Client != netip.MustParseAddrPort("203.0.113.7:51514") {
		t.Errorf("%s\nwant %s\n%+v", p.Sentence, want, p)
	}
	for name, c := range map[string]struct {
		r    complaint.Report
		who  proof.Reporter
		want proof.Grade
	}{
		"a person, by her own address":     {whole(m.raw), stranger, proof.P4},
		"for somebody of the same domain":  {whole(m.raw, "eve@else.example"), stranger, proof.P4},
		"a Delivered-To that a server put": {whole(append([]byte("Delivered-To: eve@else.example\r\n"), m.raw...)), feed, proof.P4},
		"for somebody elsewhere":           {whole(m.raw, "zoe@third.example"), proof.Reporter{Trust: proof.T1, Address: "x@fourth.example"}, proof.P3},
		"line ends of another system":      {whole(replace(m.raw, "\r\n", "\n"), "bob@else.example"), feed, proof.P4},
	} {
		t.Run(name, func(t *testing.T) { is(t, w.prove(c.r, c.who), c.want, proof.None, proof.VoteFull) })
	}
}

// A signature whose key retired and whose time ran out still proves what it signed.
func TestALateComplaint(t *testing.T) {
	w := newWorld(t)
	m := w.send("anna", words, "bob@else.example")
	if next, err := w.keys.Rotate("x.test"); err != nil {
		t.Fatal(err)
	} else if _, err := w.keys.SetActive("x.test", next[0].Selector); err != nil {
		t.Fatal(err)
	}
	w.now = w.now.Add(90 * 24 * time.Hour)
	is(t, w.prove(whole(m.raw), feed), proof.P4, proof.None, proof.VoteFull)
	w.now = w.now.Add(100 * 24 * time.Hour) // last year's mail proves nothing today
	is(t, w.prove(whole(m.raw), feed), proof.P0, proof.Stale, 0)
	delete(w.log.all, m.row.Serial)
	is(t, w.prove(whole(m.raw), feed), proof.P0, proof.Stale, 0)
}

// RFC 6590: addresses were made unreadable, so the signature broke; token and content hold.
func TestRedacted(t *testing.T) {
	w := newWorld(t)
	m := w.send("anna", words+"To bob@else.example with love.\r\n", "bob@else.example", "eve@else.example")
	raw := replace(m.raw, "bob@else.example", redact("bob")+"@else.example")
	r := whole(raw, redact("bob")+"@else.example")
	r.Redacted = true
	first := w.prove(r, feed)
	is(t, first, proof.P3, proof.None, proof.VoteFull)
	if again := w.prove(r, feed); again.Copy != first.Copy || first.Copy == "" {
		t.Errorf("equal redacted strings are the same person: %s, %s", first.Copy, again.Copy)
	}
	r.Claims.RcptTo = []string{redact("eve")}
	if other := w.prove(r, feed); other.Copy == first.Copy || other.Votes != proof.VoteFull {
		t.Errorf("another redacted string is another person: %+v", other)
	}
	is(t, w.prove(r, nobody), proof.P3, proof.None, 0)
}

// Without the content only a trusted feed has half a vote.
func TestP2(t *testing.T) {
	w := newWorld(t)
	m := w.send("anna", words, "bob@else.example")
	r := complaint.Report{Format: complaint.ARF, Original: cut(m.raw)}
	is(t, w.prove(r, feed), proof.P2, proof.None, proof.VoteHalf)
	is(t, w.prove(r, stranger), proof.P2, proof.None, 0)
	is(t, w.prove(r, nobody), proof.P2, proof.None, 0)
	known := stranger
	known.Trust = proof.T2
	is(t, w.prove(r, known), proof.P2, proof.None, 0)
	var mark string
	for line := range strings.Lines(string(m.raw)) {
		if v, ok := strings.CutPrefix(line, "X-Postern-Trace: "); ok {
			mark = v
		}
	}
	is(t, w.prove(complaint.Report{Format: complaint.CFBL, Claims: complaint.Claims{FeedbackID: mark}}, feed), proof.P2, proof.None, proof.VoteHalf)
}

// A token cut from a real message and put onto something else is no proof against anybody.
func TestTransplant(t *testing.T) {
	w := newWorld(t)
	m := w.send("anna", words, "bob@else.example")
	other := w.send("carl", "Quite another letter about the weather of last week and the week before it.\r\n", "bob@else.example")
	spam := "Buy pills now, cheap pills, the best pills of the whole wide world, only today and only here, click at once.\r\n"
	mark := ""
	for line := range strings.Lines(string(m.raw)) {
		if strings.HasPrefix(line, "X-Postern-Trace: ") {
			mark = line
		}
	}
	for name, raw := range map[string][]byte{
		"another body":                     replace(m.raw, words, spam),
		"another message":                  []byte("From: a@b.example\r\nMessage-ID: <1@b.example>\r\n" + mark + "\r\n" + spam),
		"no Message-ID":                    []byte("From: a@b.example\r\n" + mark + "\r\n" + spam),
		"no Message-ID, nearly its text":   []byte("From: a@b.example\r\n" + mark + "\r\n" + words + "P. S.\r\n"),
		"headers alone, of another":        []byte("From: a@b.example\r\nMessage-ID: <1@b.example>\r\n" + mark),
		"on a message that we signed":      bytes.Join([][]byte{cut(replace(other.raw, "X-Postern-Trace", "X-Was")), []byte(mark), other.raw[len(cut(other.raw)):]}, nil),
		"two tokens":                       append([]byte(mark), other.raw...),
		"a body of our other one's header": append(cut(m.raw), other.raw[len(cut(other.raw)):]...),
	} {
		t.Run(name, func(t *testing.T) {
			r := whole(raw, "bob@else.example")
			r.Whole = !strings.HasPrefix(name, "headers alone")
			p := w.prove(r, feed)
			is(t, p, proof.P1, proof.Transplant, 0)
			if p.Account != "" || p.Copy != "" {
				t.Errorf("%+v", p)
			}
		})
	}
}

// One signed message in front of everybody: the sender is not blamed for the volume.
func TestReplay(t *testing.T) {
	w := newWorld(t)
	m := w.send("anna", words, "seed@else.example")
	copies := map[string]bool{}
	for n := range 200 {
		victim := fmt.Sprintf("v%d@crowd.example", n)
		p := w.prove(whole(append([]byte("Delivered-To: "+victim+"\r\n"), m.raw...), victim), feed)
		if p.Class != proof.Replay || p.Votes != 0 || p.Account != "anna" {
			t.Fatalf("%+v", p)
		}
		copies[p.Copy] = true
	}
	if len(copies) != 1 {
		t.Errorf("%d copies", len(copies))
	}
	clear(copies)
	for n := range 200 { // reporters of whom nothing is known but that they have it
		p := w.prove(whole(m.raw), proof.Reporter{Trust: proof.T1, Address: fmt.Sprintf("v%d@crowd.example", n)})
		copies[p.Copy] = p.Votes > 0
	}
	votes := 0
	for _, v := range copies {
		if v {
			votes++
		}
	}
	if votes > 1 {
		t.Errorf("%d votes for one delivered copy", votes)
	}
}

// H-L03 and the flood of one: however many addresses complain of a message, the keys of its
// copies are no more than it had recipients, and one for all that cannot be told apart.
func TestOneCopyOneVote(t *testing.T) {
	w := newWorld(t)
	m := w.send("anna", words, "bob@else.example", "eve@else.example", "zoe@third.example")
	copies := map[string]bool{}
	for n := range 150 {
		who := proof.Reporter{Trust: proof.T1, Address: fmt.Sprintf("bob+%d@alias%d.example", n, n%7)}
		for _, claim := range []string{"bob@else.example", "eve@else.example", "zoe@third.example", ""} {
			p := w.prove(whole(m.raw, claim), who)
			copies[p.Copy] = true
			if p.Accepted != 3 {
				t.Fatal(p.Accepted)
			}
		}
	}
	if len(copies) != 1 {
		t.Errorf("%d keys for reporters that prove no recipient", len(copies))
	}
	for _, own := range []string{"bob@else.example", "BOB@else.example", "eve@else.example", "zoe@third.example"} {
		copies[w.prove(whole(m.raw), proof.Reporter{Trust: proof.T1, Address: own}).Copy] = true
	}
	if len(copies) != 4 {
		t.Errorf("%d keys", len(copies))
	}
}

// H-L01, H-L02, H-L04, H-L05 and what part 2 asserts.
func TestNobodyIsPunishedForAssertions(t *testing.T) {
	w := newWorld(t)
	m := w.send("anna", words, "bob@else.example")
	forged := []byte("From: anna@x.test\r\nTo: bob@else.example\r\nMessage-ID: <spam@elsewhere>\r\n\r\nBuy pills.\r\n")
	claims := complaint.Claims{SourceIP: netip.MustParseAddr("203.0.113.7"), MailFrom: "anna@x.test", RcptTo: []string{"bob@else.example"}, Arrival: w.now, Incidents: 500, Reporter: "fbl@bigisp.example"}

	r := whole(forged)
	r.Claims = claims
	p := w.prove(r, feed) // a valid wrapper around a forged message
	is(t, p, proof.P0, proof.None, 0)
	if p.Account+p.Hint != "" || p.Sentence != "Nothing in the reported message is from us." {
		t.Errorf("%+v", p)
	}

	r.Claims.SourcePort = 51514 // the claim stands in the log: people look, nobody is named
	p = w.prove(r, feed)
	is(t, p, proof.P1, proof.None, 0)
	if p.Account != "" || p.Hint != "anna" {
		t.Errorf("%+v", p)
	}

	p = w.prove(complaint.Report{Format: complaint.Plain, Claims: complaint.Claims{MessageID: "<" + m.row.MessageID + ">"}}, stranger)
	is(t, p, proof.P1, proof.None, 0)
	p = w.prove(whole([]byte("Received: from x by y with ESMTP id "+m.row.QueueID+"; now\r\nFrom: a@b\r\n\r\nx\r\n")), stranger)
	is(t, p, proof.P1, proof.None, 0)

	inbound := []byte("Received: by mx1.x.test\r\nFrom: spammer@elsewhere\r\nTo: anna@x.test\r\nMessage-ID: <in@elsewhere>\r\n\r\nBuy pills.\r\n")
	is(t, w.prove(whole(inbound, "anna@x.test"), stranger), proof.P0, proof.None, 0)

	p = w.prove(whole(m.raw, "bob@else.example"), nobody) // a From: that says it is a big ISP
	is(t, p, proof.P4, proof.None, 0)

	ben := w.send("ben", words, "bob@else.example") // with Anna's name in From
	p = w.prove(whole(ben.raw, "bob@else.example"), feed)
	if p.Account != "ben" || p.Login != "ben" {
		t.Errorf("%+v", p)
	}

	row := ben.row // a row that was tampered with
	row.Account = "anna"
	w.log.all[row.Serial] = row
	p = w.prove(whole(ben.raw, "bob@else.example"), feed)
	is(t, p, proof.P1, proof.None, 0)
	if p.Account != "" {
		t.Errorf("%+v", p)
	}
}

// Whatever a report says, what is no complaint has no vote, and neither has a new feed.
func TestVoteless(t *testing.T) {
	w := newWorld(t)
	m := w.send("anna", words, "bob@else.example")
	for _, said := range []string{"not-spam", "opt-out", "opt-out-list", "auth-failure", "Not-Spam"} {
		r := whole(m.raw)
		r.Feedback = said
		is(t, w.prove(r, feed), proof.P4, proof.None, 0)
	}
	for _, said := range []string{"", "abuse", "fraud", "virus", "other", "unheard-of"} {
		r := whole(m.raw)
		r.Feedback = said
		is(t, w.prove(r, feed), proof.P4, proof.None, proof.VoteFull)
	}
	young := feed
	young.Observing = w.now.Add(time.Hour)
	p := w.prove(whole(m.raw), young)
	is(t, p, proof.P4, proof.None, 0)
	if !slices.ContainsFunc(p.Transcript, func(s string) bool { return strings.Contains(s, "the feed bigisp only observes") }) {
		t.Errorf("%q", p.Transcript)
	}
	row := m.row
	row.Copies = []sent.Copy{{Recipient: "bob@else.example", State: sent.Refused}}
	w.log.all[row.Serial] = row
	is(t, w.prove(whole(m.raw), feed), proof.P3, proof.None, 0)
}

// A store that does not answer is no proof of innocence.
func TestTheLogIsAway(t *testing.T) {
	w := newWorld(t)
	m := w.send("anna", words, "bob@else.example")
	w.log.err = errors.New("away")
	for _, raw := range [][]byte{m.raw, []byte("Message-ID: <a@b>\r\n\r\nx\r\n")} {
		if _, err := w.ladder.Prove(t.Context(), whole(raw), feed); err == nil {
			t.Error("no error")
		}
	}
}

func TestAgain(t *testing.T) {
	w := newWorld(t)
	m := w.send("anna", words, "bob@else.example")
	p := w.prove(whole(m.raw), feed)
	is(t, p.Again(), proof.P4, proof.Duplicate, 0)
	is(t, p, proof.P4, proof.None, proof.VoteFull)
}

func FuzzProve(f *testing.F) {
	w := newWorld(f)
	m := w.send("anna", words, "bob@else.example")
	f.Add(m.raw, "bob@else.example", true, false)
	f.Add(cut(m.raw), "", false, true)
	f.Add([]byte("\r\n\r\n"), "@", true, true)
	f.Fuzz(func(t *testing.T, raw []byte, to string, all, redacted bool) {
		r := whole(raw, to)
		r.Whole, r.Redacted = all, redacted
		p, err := w.ladder.Prove(t.Context(), r, feed)
		if err != nil || p.Votes > proof.VoteFull || p.Votes > 0 && (p.Account != "anna" || p.Copy == "") {
			t.Fatalf("%+v %v", p, err)
		}
	})
}
