package nodes_test

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"postern/cmd/postern/gateway"
	"postern/internal/mailtest/ledger"
	"postern/internal/mailtest/redisd"
	"postern/test/rig"
)

// spent is the CPU time of a process in seconds.
func spent(t *testing.T, pid int) float64 {
	t.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		t.Fatal(err)
	}
	fields := strings.Fields(string(text[strings.LastIndexByte(string(text), ')')+2:]))
	var ticks int
	for _, f := range fields[11:13] { // utime, stime
		n, err := strconv.Atoi(f)
		if err != nil {
			t.Fatal(err)
		}
		ticks += n
	}
	return float64(ticks) / 100
}

// seen is what nodes and store have done so far.
type seen struct {
	at              time.Time
	nodes, redis    float64 // seconds of CPU
	trips, mail     float64 // round trips, and those of them that messages made
	commands, bytes float64
}

func look(t *testing.T, f *rig.Fleet, s *redisd.Server) (out seen) {
	t.Helper()
	for _, r := range f.Nodes {
		var st gateway.Status
		r.Call("status", struct{}{}, &st)
		out.nodes += spent(t, r.PID)
		out.trips += float64(st.Store.Trips)
		out.mail += float64(st.Store.Waited)
		out.commands += float64(st.Store.Commands)
	}
	out.at, out.redis = time.Now(), spent(t, s.Pid())
	for line := range strings.Lines(admin(t, s, "INFO", "stats")) {
		for _, way := range []string{"total_net_input_bytes:", "total_net_output_bytes:"} {
			if n, ok := strings.CutPrefix(strings.TrimSpace(line), way); ok {
				v, err := strconv.ParseFloat(n, 64)
				must(t, err)
				out.bytes += v
			}
		}
	}
	return out
}

// per is what was done since before: for each of n, without what idle did in a second of the same.
func (now seen) per(n float64, before, idle seen) seen {
	d := now.at.Sub(before.at).Seconds()
	each := func(now, before, idle float64) float64 { return (now - before - idle*d) / n }
	return seen{
		nodes: each(now.nodes, before.nodes, idle.nodes), redis: each(now.redis, before.redis, idle.redis), trips: each(now.trips, before.trips, idle.trips),
		mail: each(now.mail, before.mail, idle.mail), commands: each(now.commands, before.commands, idle.commands), bytes: each(now.bytes, before.bytes, idle.bytes),
	}
}

// Senders of the load: one whose mail has a DMARC pass, and one whose has none.
const bare = "load@bare.example"

// mailing is a kind of mail, and the round trips that a message makes. With a DMARC pass the
// greylist has nothing to ask.
type mailing struct {
	name  string
	kind  int
	from  string
	trips float64
}

func mailings() []mailing {
	return []mailing{{"clean, DMARC", 0, rig.From, 2}, {"clean, no DMARC", 0, bare, 3}, {"held, DMARC", 4, rig.From, 5}, {"held, no DMARC", 4, bare, 6}}
}

// slack is for what is not every message's: new connections that log in, and the count of what
// is held, which each node asks for once a second.
const slack = 0.5

// TestThroughput sends clean mail and mail to be held through one, two and four nodes on one
// store, and prints what a message costs beyond what the nodes do without mail. Load, nodes and
// store share the machine. Round trips are counted by the nodes: "of mail" are those that
// messages made; in all there are besides those of what is
// written for many messages at once. The bounds are of the former.
func TestThroughput(t *testing.T) {
	for _, n := range pick([]int{1, 2, 4}, []int{1, 2}) {
		s := single(t)
		f, b := fleet(t, at(s.Addr), n, rig.Options{})
		for _, r := range f.Nodes {
			must(t, r.Internet.Set("_dmarc.sender.example", "TXT v=DMARC1; p=none"))
			must(t, r.Internet.Set("bare.example", "MX 10 load.example", "TXT v=spf1 ip4:127.0.0.1 -all"))
		}
		for _, m := range mailings() { // connections, answers of the DNS, what the nodes know of the senders
			mailed(t, f, m, 1000+n, 4*n)
		}
		before := look(t, f, s)
		<-time.After(pick(15*time.Second, 2*time.Second))
		now := look(t, f, s)
		idle := now.per(now.at.Sub(before.at).Seconds(), before, seen{})
		t.Logf("%d nodes, in a second without mail: CPU nodes %.1f ms, redis %.1f ms; %.1f round trips, %.1f commands", n, idle.nodes*1000, idle.redis*1000, idle.trips, idle.commands)
		for _, m := range mailings() {
			before := look(t, f, s)
			out := mailed(t, f, m, n, pick(2000, 100))
			<-time.After(pick(3*time.Second, 500*time.Millisecond)) // what is written for many at once
			got := look(t, f, s).per(float64(out.Messages), before, idle)
			t.Logf("%d nodes, %-15s: %4.0f a second, p50 %v; CPU a message: nodes %.2f ms, redis %.3f ms; round trips of mail %.2f, in all %.2f; commands %.1f; %.1f kB",
				n, m.name, float64(out.Messages)/out.Elapsed.Seconds(), out.P50.Round(time.Millisecond), got.nodes*1000, got.redis*1000, got.mail, got.trips, got.commands, got.bytes/1000)
			if got.mail > m.trips+slack {
				t.Errorf("%d nodes, %s: %.2f round trips a message, more than %.0f", n, m.name, got.mail, m.trips)
			}
		}
		if rep := f.Balance(); !rep.OK() {
			t.Errorf("%s", rep)
		}
		for _, r := range f.Nodes {
			r.Kill()
		}
		b.Close()
		s.Kill()
	}
}

// mailed sends messages of one kind, different ones for each seed.
func mailed(t *testing.T, f *rig.Fleet, m mailing, seed, messages int) ledger.Result {
	t.Helper()
	l := load(f, uint64(seed))
	l.From, l.Messages, l.Parallel, l.PerConn = m.from, messages, 20, 100
	l.Make = func(i int) ledger.Message {
		return ledger.Make(uint64(seed*100+m.kind*10+len(m.name)), i*8+m.kind, m.from, []string{rig.Ada}, 20<<10)
	}
	out, err := l.Run(t.Context())
	must(t, err)
	if out.Unanswered > 0 {
		t.Errorf("%d were given up", out.Unanswered)
	}
	return out
}

func times(n int, o rig.Options) []rig.Options {
	all := make([]rig.Options, n)
	for i := range all {
		all[i] = o
	}
	return all
}
