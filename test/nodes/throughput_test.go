package nodes_test

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"testing"

	"postern/cmd/postern/gateway"
	"postern/internal/mailtest"
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
	nodes, redis    float64 // seconds of CPU
	trips, commands int64
}

func look(t *testing.T, f *rig.Fleet, s *redisd.Server) (out seen) {
	t.Helper()
	for _, r := range f.Nodes {
		var st gateway.Status
		r.Call("status", struct{}{}, &st)
		out.nodes += spent(t, r.PID)
		out.trips += st.Store.Trips
	}
	out.redis = spent(t, s.Pid())
	for line := range strings.Lines(admin(t, s, "INFO", "stats")) {
		if n, ok := strings.CutPrefix(strings.TrimSpace(line), "total_commands_processed:"); ok {
			c, err := strconv.ParseInt(n, 10, 64)
			must(t, err)
			out.commands = c
		}
	}
	return out
}

// TestThroughput sends clean mail and mail to be held through one, two and four nodes on one
// store, and prints what a message costs. Load, nodes and store share the machine.
func TestThroughput(t *testing.T) {
	for _, n := range []int{1, 2, 4} {
		s := single(t)
		b := mailtest.NewBackend(t, mailtest.Script{Mailboxes: rig.Mailboxes()})
		f := rig.NewFleet(t, at(s.Addr), times(n, rig.Options{Behind: b.Addr()})...)
		b.Set(f.Nodes[0].Behind(mailtest.Script{Mailboxes: rig.Mailboxes()}))
		f.Start()
		for _, kind := range []struct {
			name string
			kind int
		}{{"clean", 0}, {"held", 4}} {
			l := load(f, uint64(100+n))
			l.Messages, l.Parallel, l.PerConn = pick(3000, 200), 20, 100
			l.Make = func(i int) ledger.Message {
				return ledger.Make(uint64(n*10+kind.kind), i*8+kind.kind, rig.From, []string{rig.Ada}, 20<<10)
			}
			before := look(t, f, s)
			out, err := l.Run(t.Context())
			must(t, err)
			now := look(t, f, s)
			m := float64(out.Messages)
			t.Logf("%d nodes, %-5s: %4.0f a second, p50 %v; CPU a message: nodes %.2f ms, redis %.2f ms; round trips %.2f, commands %.2f",
				n, kind.name, m/out.Elapsed.Seconds(), out.P50, (now.nodes-before.nodes)/m*1000, (now.redis-before.redis)/m*1000,
				float64(now.trips-before.trips)/m, float64(now.commands-before.commands)/m)
			if out.Unanswered > 0 {
				t.Errorf("%d were given up", out.Unanswered)
			}
		}
		if rep := f.Balance(); !rep.OK() {
			t.Errorf("%s", rep)
		}
		for _, r := range f.Nodes {
			r.Kill()
		}
		s.Kill()
	}
}

func times(n int, o rig.Options) []rig.Options {
	all := make([]rig.Options, n)
	for i := range all {
		all[i] = o
	}
	return all
}
