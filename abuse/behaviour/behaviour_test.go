package behaviour_test

import (
	"fmt"
	"net/netip"
	"runtime"
	"testing"
	"time"

	"postern/abuse/behaviour"
	"postern/abuse/sent"
	"postern/abuse/signal"
)

var start = time.Date(2030, 3, 4, 12, 0, 0, 0, time.UTC)

// places knows 198.51.x.y by x.
type places map[byte]behaviour.Place

func (p places) Where(ip netip.Addr) behaviour.Place { return p[ip.As4()[2]] }

func row(serial string, at time.Time, x byte, to ...string) sent.Row {
	r := sent.Row{Serial: serial, At: at, Account: "ann@x.example", Client: netip.AddrPortFrom(netip.AddrFrom4([4]byte{198, 51, x, 1}), 1000), Action: "accept"}
	for _, a := range to {
		r.Copies = append(r.Copies, sent.Copy{Recipient: a, State: sent.Delivered})
	}
	return r
}

func many(prefix string, n int) (out []string) {
	for i := range n {
		out = append(out, fmt.Sprintf("%s%d@example.net", prefix, i))
	}
	return out
}

func rules(p *behaviour.Profiles, now time.Time) map[string]signal.Signal {
	out := map[string]signal.Signal{}
	for _, s := range p.Judge("Ann@x.example", now) {
		out[s.Rule] = s
	}
	return out
}

func TestVolumeAgainstOwnHistory(t *testing.T) {
	for usual, want := range map[int]bool{0: true, 5: true, 60: false} {
		p := behaviour.New(behaviour.Config{FilterBits: 20}, nil)
		for d := 1; usual > 0 && d <= 20; d++ {
			p.Add(row(fmt.Sprint("old", d), start.AddDate(0, 0, -d), 1, many("known", usual)...))
		}
		p.Add(row("a", start, 1, many("known", 120)...))
		if _, got := rules(p, start)[behaviour.Volume]; got != want {
			t.Errorf("120 where %d are usual: %v", usual, got)
		}
		if all := rules(p, start.Add(61*time.Minute)); len(all) != 0 {
			t.Errorf("an hour later: %v", all)
		}
	}
}

// What began shortly before midnight is no history after it.
func TestVolumeOverMidnight(t *testing.T) {
	day := start.UTC().Truncate(24 * time.Hour)
	p := behaviour.New(behaviour.Config{FilterBits: 20}, nil)
	for d := 1; d <= 20; d++ {
		p.Add(row(fmt.Sprint("old", d), day.AddDate(0, 0, -d-1), 1, many("known", 5)...))
	}
	for i := range 10 {
		p.Add(row(fmt.Sprint("new", i), day.Add(time.Duration(i-8)*5*time.Minute), 1, many(fmt.Sprint("s", i), 15)...))
	}
	now := day.Add(6 * time.Minute)
	if _, got := rules(p, now)[behaviour.Volume]; !got {
		t.Errorf("its first evening is its history: %v", rules(p, now))
	}
}

func TestNewRecipients(t *testing.T) {
	p := behaviour.New(behaviour.Config{FilterBits: 20}, nil)
	p.Add(row("old", start.AddDate(0, 0, -3), 1, many("known", 500)...))
	p.Add(row("a", start, 1, many("known", 400)...))
	if s, yes := rules(p, start)[behaviour.Fresh]; yes {
		t.Error(s)
	}
	p.Add(row("b", start, 1, many("new", 201)...))
	if _, yes := rules(p, start)[behaviour.Fresh]; !yes {
		t.Error("201 new ones")
	}
}

func TestNonexistent(t *testing.T) {
	p := behaviour.New(behaviour.Config{FilterBits: 20}, nil)
	r := row("a", start, 1, many("x", 5)...)
	for i := range r.Copies {
		r.Copies[i].State, r.Copies[i].Reply = sent.Refused, "550 5.1.1 nobody"
	}
	p.Add(r)
	if all := rules(p, start); len(all) != 0 {
		t.Errorf("5 of 5 is too few: %v", all)
	}
	r = row("b", start, 1, many("y", 60)...)
	p.Add(r)
	if _, yes := rules(p, start)[behaviour.Dead]; yes {
		t.Error("5 of 65")
	}
	for i := range 20 { // delivery reports come back later, one after the other
		r.Copies[i].Bounced = "5.1.1"
		p.Add(r)
	}
	if s, yes := rules(p, start)[behaviour.Dead]; !yes || s.Detail != "25 of 65 recipients in a day do not exist" {
		t.Errorf("%+v", s)
	}
	for _, c := range []sent.Copy{{State: sent.Refused, Reply: "550 5.7.1 spam"}, {Bounced: "5.2.2"}, {State: sent.Delivered, Reply: "550 5.1.1 x"}, {State: sent.Refused}} {
		if behaviour.Nonexistent(c) {
			t.Errorf("%+v", c)
		}
	}
}

func TestPlaces(t *testing.T) {
	geo := places{}
	for i := range byte(6) {
		geo[i] = behaviour.Place{Country: string('A' + rune(i)), ASN: uint32(i) + 1}
	}
	geo[10] = behaviour.Place{Country: "GR", Lat: 38, Lon: 23.7, Precise: true}
	geo[11] = behaviour.Place{Country: "JP", Lat: 35.7, Lon: 139.7, Precise: true}
	p := behaviour.New(behaviour.Config{FilterBits: 20}, geo)
	for i := range byte(6) {
		p.Add(row(fmt.Sprint(i), start.Add(time.Duration(i)*time.Minute), i, "a@example.net"))
	}
	all := rules(p, start.Add(time.Hour))
	if !all[behaviour.Countries].Login || all[behaviour.Networks].Weight == 0 || all[behaviour.Travel].Weight != 0 {
		t.Errorf("%v", all)
	}
	if all := rules(p, start.Add(25*time.Hour)); len(all) != 0 {
		t.Errorf("a day later: %v", all)
	}
	p.Add(row("gr", start.Add(48*time.Hour), 10, "a@example.net"))
	p.Login("ann@x.example", netip.MustParseAddr("198.51.11.9"), start.Add(49*time.Hour))
	if s := rules(p, start.Add(49*time.Hour))[behaviour.Travel]; !s.Login {
		t.Errorf("Athens to Tokyo in an hour: %+v", s)
	}
}

func TestQuietHour(t *testing.T) {
	p := behaviour.New(behaviour.Config{FilterBits: 20}, nil)
	for i := range 60 {
		p.Add(row(fmt.Sprint(i), start.AddDate(0, 0, -i/3), 1, "a@example.net"))
	}
	night := start.Add(15 * time.Hour)
	p.Add(row("known net", night, 1, "a@example.net"))
	if all := rules(p, night); len(all) != 0 {
		t.Errorf("at night, from where it always is: %v", all)
	}
	p = behaviour.New(behaviour.Config{FilterBits: 20}, nil)
	for i := range 60 {
		p.Add(row(fmt.Sprint(i), start.AddDate(0, 0, i/3-20), 1, "a@example.net"))
	}
	p.Add(row("strange", night, 7, "a@example.net"))
	if _, yes := rules(p, night)[behaviour.Quiet]; !yes {
		t.Error("at night, from elsewhere")
	}
}

func TestOwnVerdict(t *testing.T) {
	p := behaviour.New(behaviour.Config{FilterBits: 20}, nil)
	for i := range 3 {
		r := row(fmt.Sprint(i), start, 1, "a@example.net")
		r.Action = "tag"
		if _, yes := rules(p, start)[behaviour.OwnVerdict]; yes {
			t.Errorf("after %d", i)
		}
		p.Add(r)
	}
	if s := rules(p, start)[behaviour.OwnVerdict]; s.Family != signal.Verdicts {
		t.Errorf("%+v", s)
	}
}

// Two messages are enough where they go to many strangers: not to people it writes to, not to a
// few, and not among many that are clean.
func TestVerdictOnTwoToStrangers(t *testing.T) {
	spam := func(p *behaviour.Profiles, id string, n int, to string) {
		r := row(id, start, 1, many(to, n)...)
		r.Action = "tag"
		p.Add(r)
	}
	for name, c := range map[string]struct {
		before, each, clean int
		want                bool
	}{
		"strangers":       {0, 10, 3, true},
		"among some":      {0, 10, 5, true},
		"among many":      {0, 10, 6, false},
		"to a few":        {0, 9, 0, false},
		"to known people": {10, 10, 0, false},
	} {
		p := behaviour.New(behaviour.Config{FilterBits: 20}, nil)
		for i := range c.before {
			p.Add(row(fmt.Sprintf("before%d", i), start.AddDate(0, 0, -1), 1, fmt.Sprintf("a%d@example.net", i)))
		}
		for i := range c.clean {
			p.Add(row(fmt.Sprintf("clean%d", i), start, 1, "friend@example.net"))
		}
		spam(p, "one", c.each, "a")
		if _, yes := rules(p, start)[behaviour.OwnVerdict]; yes {
			t.Errorf("%s: one is enough", name)
		}
		spam(p, "two", c.each, "b")
		if _, yes := rules(p, start)[behaviour.OwnVerdict]; yes != c.want {
			t.Errorf("%s: %v", name, yes)
		}
	}
}

func TestScore(t *testing.T) {
	all := []signal.Signal{{Rule: "a", Weight: 30}, {Rule: "a", Weight: 20}, {Rule: "b", Weight: 25}, {Rule: "n", Weight: -10}}
	if got := behaviour.Score(all); got != 45 {
		t.Error(got)
	}
	if got := behaviour.Score(append(all, signal.Signal{Rule: "c", Weight: 90})); got != 100 {
		t.Error(got)
	}
}

// Accounts are bounded, and thirty thousand of them fit.
func TestMemory(t *testing.T) {
	p := behaviour.New(behaviour.Config{FilterBits: 20, MaxAccounts: 100}, nil)
	for i := range 1000 {
		r := row(fmt.Sprint(i), start.Add(time.Duration(i)*time.Second), 1, "a@example.net")
		r.Account = fmt.Sprintf("u%d@x.example", i)
		p.Add(r)
	}
	if n := p.Accounts(); n > 100 || p.Active("x.example", start) != n {
		t.Errorf("%d profiles", n)
	}
	if testing.Short() {
		t.Skip("the large one")
	}
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	p = behaviour.New(behaviour.Config{}, nil)
	for i := range 30_000 {
		r := row(fmt.Sprint(i), start, 1, many("k", 5)...)
		r.Account = fmt.Sprintf("u%d@x.example", i)
		p.Add(r)
	}
	runtime.GC()
	runtime.ReadMemStats(&after)
	mb := (int64(after.HeapAlloc) - int64(before.HeapAlloc)) >> 20
	t.Logf("30,000 profiles: %d MB", mb)
	if mb > 120 {
		t.Errorf("%d MB", mb)
	}
	runtime.KeepAlive(p)
}
