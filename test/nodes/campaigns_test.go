package nodes_test

import (
	"fmt"
	"net/smtp"
	"strings"
	"testing"
	"time"

	"postern/cmd/postern/campaigns"
	"postern/test/rig"
	"postern/test/world"
)

const words = `thank you for the minutes of the meeting on thursday i have added the two points about the
old paper files and the delivery of the new shelves to the agenda and will ask everybody to bring
figures for the next quarter please tell me whether the room upstairs can be used
`

func campaign(addr string, n int) error {
	return smtp.SendMail(addr, nil, fmt.Sprintf("a@s%d.example", n), []string{rig.Ada}, fmt.Appendf(nil, "From: a@s%d.example\r\nTo: %s\r\nSubject: notice %d\r\nDate: %s\r\nMessage-ID: <%d@load.example>\r\n\r\nDear reader of list %d,\r\n%s",
		n, rig.Ada, n, time.Now().Format(time.RFC1123Z), time.Now().UnixNano(), n, strings.ReplaceAll(words, "\n", "\r\n")))
}

// TestCampaigns delivers copies of a letter through several nodes: each finds those of the others,
// what one is told of the letter counts on all, and without the store what was said still does.
func TestCampaigns(t *testing.T) {
	s := single(t)
	f, b := fleet(t, at(s.Addr), 3, outward)
	for n := range 6 {
		if err := campaign(f.Nodes[n%3].Addr, n); err != nil {
			t.Fatal(err)
		}
	}
	var list campaigns.Listed
	for _, r := range f.Nodes {
		world.Await(t, "each node finds the copies of all", 20*time.Second, func() bool {
			r.Call("campaign.list", campaigns.List{}, &list)
			return len(list.Campaigns) == 1 && list.Campaigns[0].Delivered == 6
		})
	}
	p := list.Campaigns[0].Print
	var shown campaigns.Shown
	f.Nodes[1].Call("campaign.show", campaigns.Show{Print: p}, &shown)
	if len(shown.Copies) != 6 || shown.Copies[0].To[0] != rig.Ada {
		t.Errorf("%+v", shown)
	}
	for _, c := range shown.Copies {
		if out, errs, code := f.Nodes[2].Run("trace", c.ID); code != 0 || !strings.Contains(out, c.ID) {
			t.Errorf("no node traces copy %s: %s %s", c.ID, out, errs)
		}
	}
	if out, errs, code := f.Nodes[2].Run("campaign", "mark", p, "bad", "--reason", "phishing"); code != 0 || !strings.Contains(out, "nothing is taken back") {
		t.Fatalf("%d %s %s", code, out, errs)
	}
	for i, r := range f.Nodes {
		held := 0
		world.Await(t, "what one node is told counts on all", 30*time.Second, func() bool {
			if err := campaign(r.Addr, 20+i); err != nil {
				t.Fatal(err)
			}
			n := 0
			for _, h := range f.Nodes[0].Holds() {
				if h.From == fmt.Sprintf("a@s%d.example", 20+i) && strings.Contains(fmt.Sprint(h.Symbols()), "CAMPAIGN_BAD") {
					n++
				}
			}
			held = n
			return n > 0
		})
		if held == 0 {
			t.Errorf("node %d holds no copy", i)
		}
	}
	before := complete(b)
	if out, errs, code := f.Nodes[0].Run("campaign", "mark", p, "good", "--reason", "a mistake"); code != 0 {
		t.Fatal(out, errs)
	}
	world.Await(t, "what is good goes through", 30*time.Second, func() bool {
		if err := campaign(f.Nodes[1].Addr, 40); err != nil {
			t.Fatal(err)
		}
		return complete(b) > before
	})
	if out, errs, code := f.Nodes[1].Run("audit", "find", "--action", "campaign-*"); code != 0 || strings.Count(out, "campaign-mark") != 2 {
		t.Errorf("%d %s %s", code, out, errs)
	}
	s.Stop()
	if err := campaign(f.Nodes[0].Addr, 50); err != nil { // what was said is known without the store, and no mail is lost for the rest
		t.Errorf("with the store away: %v", err)
	}
}
