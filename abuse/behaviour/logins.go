package behaviour

import (
	"context"
	"fmt"
	"net/netip"
	"strings"
	"sync"
	"time"

	"postern/abuse"
	"postern/abuse/signal"
)

// Bounds of Logins.
const (
	guesses     = 10        // failures before a success that is strange
	guessWindow = time.Hour // within this
	maxGuessed  = 20_000    // accounts remembered
	emitWait    = 5 * time.Second
)

// Logins looks at how logins end, on the node that sees them: many failures, then a success from
// a network that had failed too.
type Logins struct {
	// Emit keeps a signal; its error is told to Failed.
	Emit   func(ctx context.Context, s signal.Signal) error
	Failed func(err error) // nil: nobody asks
	Now    func() time.Time

	mu  sync.Mutex
	all map[string]*failures
}

type failures struct {
	n     int
	since time.Time
	from  string
}

// Seen takes how a login ended. It does not wait for the store.
func (l *Logins) Seen(account string, client netip.Addr, ok bool) {
	account = abuse.Name(account)
	now := l.Now()
	n := l.count(account, network(client), ok, now)
	if n < guesses {
		return
	}
	_, tenant, _ := strings.Cut(account, "@")
	s := signal.Signal{
		ID:     fmt.Sprintf("%s:%s", Guessed, hashed(account, now.Truncate(guessWindow))),
		Family: signal.Behaviour, Rule: Guessed, Account: account, Tenant: tenant, At: now, Weight: 20, Login: true,
		Detail: fmt.Sprintf("a login from %s worked after %d that failed", client, n),
	}
	go func() {
		ctx, cancel := context.WithTimeout(context.Background(), emitWait)
		defer cancel()
		if err := l.Emit(ctx, s); err != nil && l.Failed != nil {
			l.Failed(err)
		}
	}()
}

// count returns how many failures a success followed, 0 unless it is one.
func (l *Logins) count(account, from string, ok bool, now time.Time) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.all == nil {
		l.all = map[string]*failures{}
	}
	f := l.all[account]
	if f != nil && now.Sub(f.since) > guessWindow {
		delete(l.all, account)
		f = nil
	}
	if ok {
		delete(l.all, account)
		if f == nil || f.from != from && f.from != "" {
			return 0 // the owner, while somebody else guesses
		}
		return f.n
	}
	if f == nil {
		if len(l.all) >= maxGuessed {
			for name := range l.all {
				delete(l.all, name)
				break
			}
		}
		f = &failures{since: now, from: from}
		l.all[account] = f
	}
	if f.n++; f.from != from {
		f.from = "" // from several networks: any success counts
	}
	return 0
}
