package reports_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"postern/internal/report"
	"postern/internal/report/aggregate"
	"postern/internal/report/daily"
	"postern/internal/store/redis/conn"
	"postern/internal/store/redis/lease"
	"postern/internal/store/redis/redistest"
	"postern/internal/store/storetest"
)

// noDNS knows no name.
type noDNS struct{}

func (noDNS) TXT(_ context.Context, name string) ([]string, error) {
	return nil, &net.DNSError{Name: name, IsNotFound: true}
}

// post is where all nodes put their messages.
type post struct {
	mu sync.Mutex
	to []string
}

func (p *post) submit(_ context.Context, to string, _ []byte) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.to = append(p.to, to)
	return nil
}

// sender is a node that sends reports.
func sender(s report.Store, p *post) *daily.Sender {
	return &daily.Sender{
		Store: s, Resolver: noDNS{}, SameOrg: func(context.Context, string, string) bool { return false }, Submit: p.submit,
		Own: func(string) bool { return false }, From: "dmarc@our.example", Org: "Ours", Size: 1 << 20, PerDay: 1000,
		Now: func() time.Time { return storetest.Start }, Log: slog.New(slog.NewTextHandler(io.Discard, nil)),
	}
}

// yesterday counts messages of domains that ask for reports.
func yesterday(t *testing.T, s report.Store, domains int) {
	t.Helper()
	var rows []report.Row
	for n := range domains {
		domain := fmt.Sprintf("d%02d.example", n)
		rows = append(rows, report.Row{Day: day, Domain: domain, DMARC: "v=DMARC1; p=none; rua=mailto:a@" + domain,
			Record: aggregate.Record{Row: aggregate.Row{Source: "192.0.2.1", Count: 3}, IDs: aggregate.Identifiers{HeaderFrom: domain}}})
	}
	must(t, s.Count(t.Context(), rows...))
}

// Nodes that take turns under a lease send every report once, whoever's turn it is, also when
// a turn ends in the middle.
func TestSentOnceByManyNodes(t *testing.T) {
	c := redistest.Empty(t, redistest.Server(t))
	yesterday(t, open(t, c), 30)
	var p post
	var wg sync.WaitGroup
	for n := range 4 {
		node, jobs := sender(open(t, c), &p), lease.New(c, fmt.Sprint("node", n), time.Now)
		wg.Go(func() {
			for range 50 {
				_, err := jobs.Run(t.Context(), "reports", "", time.Minute, func(ctx context.Context, _ int64) error {
					ctx, cancel := context.WithTimeout(ctx, 30*time.Millisecond) // turns are short
					defer cancel()
					if _, err := node.Due(ctx); err != nil && ctx.Err() == nil {
						return err
					}
					return nil
				})
				if err != nil && !errors.Is(err, conn.ErrAway) && !errors.Is(err, lease.ErrLost) { // a busy machine
					t.Error(err)
				}
				time.Sleep(5 * time.Millisecond)
			}
		})
	}
	wg.Wait()
	if _, err := sender(open(t, c), &p).Due(t.Context()); err != nil { // whatever this machine was too busy for
		t.Error(err)
	}
	slices.Sort(p.to)
	if all := slices.Compact(slices.Clone(p.to)); len(all) != 30 || len(p.to) != 30 {
		t.Errorf("%d messages to %d domains", len(p.to), len(all))
	}
}

// stopper is a store that dies before a note.
type stopper struct {
	report.Store
	die func()
}

func (s stopper) Done(ctx context.Context, d report.Sent) error {
	if s.die != nil {
		s.die()
	}
	return s.Store.Done(ctx, d)
}

// Redis killed between a message and its note: the report is sent again, and none is left out.
func TestKilledBeforeTheNote(t *testing.T) {
	server := redistest.Server(t)
	c := redistest.Empty(t, server)
	s := open(t, c)
	yesterday(t, s, 3)
	var p post
	if n, err := sender(stopper{s, server.Kill}, &p).Due(t.Context()); !errors.Is(err, conn.ErrAway) || n != 1 {
		t.Fatalf("%d sent, %v", n, err)
	}
	server.Run(t)
	for end := time.Now().Add(20 * time.Second); ; time.Sleep(50 * time.Millisecond) {
		_, err := sender(s, &p).Due(t.Context())
		if err == nil {
			break
		}
		if time.Now().After(end) {
			t.Fatal(err)
		}
	}
	if got := strings.Join(p.to, " "); got != "a@d00.example a@d00.example a@d01.example a@d02.example" {
		t.Errorf("sent to %s", got)
	}
}

// The limit of a day holds for all nodes together.
func TestOneLimitForAll(t *testing.T) {
	c := redistest.Mini(t)
	yesterday(t, open(t, c), 10)
	var p post
	for range 3 {
		node := sender(open(t, c), &p)
		node.PerDay = 4
		if _, err := node.Due(t.Context()); err != nil {
			t.Error(err)
		}
	}
	if len(p.to) != 4 {
		t.Errorf("%d messages", len(p.to))
	}
}

// One domain with more sources than are kept costs those, and no other domain.
func TestTooManySources(t *testing.T) {
	if testing.Short() {
		t.Skip("counts fifty thousand rows")
	}
	s := open(t, redistest.Empty(t, redistest.Server(t)))
	for n := 0; n < 51_000; n += 3000 {
		var rows []report.Row
		for i := n; i < n+3000; i++ {
			rows = append(rows, row(i, "a.example"))
		}
		must(t, s.Count(t.Context(), append(rows, row(n, "b.example"))...))
	}
	for domain, want := range map[string]int{"a.example": 50_000, "b.example": 17} {
		if got, err := s.Rows(t.Context(), day, domain, 100_000); err != nil || len(got) != want {
			t.Errorf("%s: %d rows, %v", domain, len(got), err)
		}
	}
}
