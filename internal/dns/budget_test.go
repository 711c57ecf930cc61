package dns_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"postern/internal/dns"
	"postern/internal/mailtest"
)

// spend asks for new names until the share is refused, and says how many were answered.
func spend(ctx context.Context, t testing.TB, r *dns.Resolver, s dns.Share, prefix string) int {
	t.Helper()
	for n := range 1000 {
		_, err := r.A(dns.WithShare(ctx, s), fmt.Sprintf("%s%d.example.com", prefix, n))
		if errors.Is(err, dns.ErrBudget) {
			return n
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	return 1000
}

func TestSharesOfQuestions(t *testing.T) {
	r, _, _ := resolver(t, mailtest.Zone{"*.example.com": {"A 192.0.2.1"}})
	for _, c := range []struct {
		name   string
		before []dns.Share // spent first, each to its end
		share  dns.Share
		want   int
	}{
		{"links alone", nil, dns.Links, 40},
		{"keys alone", nil, dns.Keys, 70},
		{"lists alone", nil, dns.Lists, 60},
		{"unmarked alone", nil, dns.Auth, 80},
		{"lists after links", []dns.Share{dns.Links}, dns.Lists, 20},
		{"SPF after links", []dns.Share{dns.Links}, dns.SPF, 30},
		{"DMARC after links, names, SPF and keys", []dns.Share{dns.Links, dns.Names, dns.SPF, dns.Keys}, dns.Auth, 10},
		{"lists after everything", []dns.Share{dns.Links, dns.Names, dns.SPF, dns.Keys, dns.Auth}, dns.Lists, 20},
		{"DMARC after lists", []dns.Share{dns.Lists, dns.Links}, dns.Auth, 40},
		{"links after keys", []dns.Share{dns.Keys}, dns.Links, 0},
		{"a share nobody knows", nil, dns.Share(99), 40},
	} {
		b := dns.NewBudget(100, time.Minute)
		ctx := dns.WithBudget(t.Context(), b)
		for i, s := range c.before {
			spend(ctx, t, r, s, fmt.Sprintf("%d-%s-", i, c.name[:3]))
		}
		if got := spend(ctx, t, r, c.share, "x-"+c.name[:4]); got != c.want || !b.Cut() {
			t.Errorf("%s: %d questions, want %d", c.name, got, c.want)
		}
		r, _, _ = resolver(t, mailtest.Zone{"*.example.com": {"A 192.0.2.1"}})
	}
}

func TestSharesFollowTheConfiguredNumber(t *testing.T) {
	for queries, want := range map[int]int{1: 1, 2: 2, 10: 4, 50: 20, 1000: 400} {
		r, _, _ := resolver(t, mailtest.Zone{"*.example.com": {"A 192.0.2.1"}})
		ctx := dns.WithBudget(t.Context(), dns.NewBudget(queries, time.Minute))
		if got := spend(ctx, t, r, dns.Links, "x"); got != want {
			t.Errorf("of %d links get %d, want %d", queries, got, want)
		}
	}
}

// A stranger's slow zones cost the message at most their part of its time.
func TestSharesOfTime(t *testing.T) {
	mailtest.Steady(t, 100*time.Millisecond, func(t testing.TB, scale time.Duration) {
		r, _, _ := resolver(t, mailtest.Zone{"*.slow.example.com": {"!silent"}, "*.example.com": {"A 192.0.2.1"}}, func(c *dns.Config) { c.Timeout = scale * short })
		all := scale * 1600 * time.Millisecond
		b := dns.NewBudget(100, all)
		ctx := dns.WithBudget(t.Context(), b)
		begin := time.Now()
		var wg sync.WaitGroup
		for i, s := range []dns.Share{dns.Links, dns.Names} {
			wg.Go(func() {
				for n := 0; ; n++ {
					if _, err := r.A(dns.WithShare(ctx, s), fmt.Sprintf("n%d-%d.slow.example.com", i, n)); errors.Is(err, dns.ErrBudget) {
						return
					}
				}
			})
		}
		wg.Wait()
		if d := time.Since(begin); d > all*6/8 {
			t.Errorf("links and names took %v of %v", d, all)
		}
		for name, s := range map[string]dns.Share{"spf": dns.SPF, "keys": dns.Keys, "lists": dns.Lists, "auth": dns.Auth} {
			if _, err := r.A(dns.WithShare(ctx, s), name+".example.com"); err != nil {
				t.Errorf("%s: %v", name, err)
			}
		}
	})
}

func TestNoBudgetFreesTheLookup(t *testing.T) {
	r, _, _ := resolver(t, mailtest.Zone{"example.com": {"A 192.0.2.1"}})
	spent := dns.WithBudget(t.Context(), dns.NewBudget(0, time.Second))
	if _, err := r.A(spent, "example.com"); !errors.Is(err, dns.ErrBudget) {
		t.Error(err)
	}
	if _, err := r.A(dns.WithBudget(spent, nil), "example.com"); err != nil {
		t.Error(err)
	}
}

func TestFreshAsksPastTheCache(t *testing.T) {
	r, srv, _ := resolver(t, mailtest.Zone{"kept.example.com": {"A 192.0.2.1"}, "once.example.com": {"A 192.0.2.2"}})
	ask := func(ctx context.Context, name, want string) {
		t.Helper()
		if a, err := r.A(ctx, name); err != nil || fmt.Sprint(a) != want {
			t.Errorf("%s: %v %v, want %s", name, a, err, want)
		}
	}
	ask(t.Context(), "kept.example.com", "[192.0.2.1]")
	if err := srv.Set("kept.example.com", "A 192.0.2.9"); err != nil {
		t.Fatal(err)
	}
	ask(t.Context(), "kept.example.com", "[192.0.2.1]")
	ask(dns.Fresh(t.Context()), "kept.example.com", "[192.0.2.9]")
	ask(t.Context(), "kept.example.com", "[192.0.2.9]") // it replaced the older answer
	if n := srv.Count("kept.example.com"); n != 2 {
		t.Errorf("%d questions", n)
	}
	ask(dns.Fresh(t.Context()), "once.example.com", "[192.0.2.2]")
	ask(dns.Fresh(t.Context()), "once.example.com", "[192.0.2.2]")
	ask(t.Context(), "once.example.com", "[192.0.2.2]")
	ask(t.Context(), "once.example.com", "[192.0.2.2]")
	if n := srv.Count("once.example.com"); n != 3 {
		t.Errorf("%d questions: what was asked once is not kept, what is asked again is", n)
	}
}

// Who asks past the cache and who does not share the question on the wire; then it is kept.
func TestFreshAndOthersShareAFlight(t *testing.T) {
	r, srv, _ := resolver(t, mailtest.Zone{"example.com": {"A 192.0.2.1", "!delay 200ms"}})
	var wg sync.WaitGroup
	for _, ctx := range []context.Context{dns.Fresh(t.Context()), t.Context()} {
		wg.Go(func() {
			if _, err := r.A(ctx, "example.com"); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if _, err := r.A(t.Context(), "example.com"); err != nil || srv.Count("example.com") != 1 {
		t.Errorf("%v, %d questions", err, srv.Count("example.com"))
	}
}

// H-H15: hundreds of signatures, links and reverse names of one mail, each asked for: the
// host's lists are asked, and what the author's domain wants of us too.
func TestH_H15SignaturesStarveNothing(t *testing.T) {
	for _, queries := range []int{100, 40} {
		r, srv, _ := resolver(t, mailtest.Zone{"*.example.com": {"A 192.0.2.1"}})
		ctx := dns.WithBudget(t.Context(), dns.NewBudget(queries, 8*time.Second))
		for i, s := range []dns.Share{dns.Names, dns.Keys, dns.Links} {
			for n := range 300 {
				_, _ = r.A(dns.WithShare(ctx, s), fmt.Sprintf("h%d-%d.example.com", i, n))
			}
		}
		for n := range queries * 20 / 100 {
			if _, err := r.A(dns.WithShare(ctx, dns.Lists), fmt.Sprintf("list%d.example.com", n)); err != nil {
				t.Errorf("of %d: list %d: %v", queries, n, err)
			}
		}
		for n := range queries * 10 / 100 {
			if _, err := r.A(ctx, fmt.Sprintf("policy%d.example.com", n)); err != nil {
				t.Errorf("of %d: policy %d: %v", queries, n, err)
			}
		}
		if n := len(srv.Queries()); n != queries {
			t.Errorf("%d questions of %d", n, queries)
		}
	}
}
