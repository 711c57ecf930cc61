package account

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"postern/filter"
)

// Bounds of what is remembered, so that an account that tries again and again is written down
// once.
const (
	auditAgain = time.Hour
	maxAudited = 1000
)

// attempt is one address an account was refused.
type attempt struct{ account, address, kind string }

// auditor is the observer of AuditRefused.
type auditor struct {
	now   func() time.Time
	write func(ctx context.Context, account, address, kind string) error

	mu   sync.Mutex
	last map[attempt]time.Time
}

// AuditRefused makes the observer that writes down which foreign address an account was
// refused; kind is the symbol. The same attempt is written once an hour. The error of write
// is handed on, and the attempt is written again the next time.
func AuditRefused(now func() time.Time, write func(ctx context.Context, account, address, kind string) error) filter.Observer {
	return &auditor{now: now, write: write, last: map[attempt]time.Time{}}
}

// Done implements filter.Observer.
func (a *auditor) Done(ctx context.Context, m *filter.Message, o filter.Outcome) error {
	refused := slices.ContainsFunc(o.Fates, func(f filter.Fate) bool { return f.State == filter.Rejected })
	if !refused {
		return nil
	}
	var errs []error
	for _, f := range o.Report.Findings {
		if f.Symbol != SenderForeign && f.Symbol != FromForeign {
			continue
		}
		one := attempt{m.Account, f.Detail, f.Symbol}
		if !a.fresh(one) {
			continue
		}
		if err := a.write(ctx, one.account, one.address, one.kind); err != nil {
			a.forget(one)
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}

// fresh notes the attempt; false when it was written down not long ago.
func (a *auditor) fresh(one attempt) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	now := a.now()
	if at, ok := a.last[one]; ok {
		if since := now.Sub(at); since >= 0 && since < auditAgain {
			return false
		}
	}
	if len(a.last) >= maxAudited {
		a.tidy(now)
	}
	a.last[one] = now
	return true
}

// tidy forgets what is old, and all when that is not enough: an attempt written twice is
// better than memory that grows.
func (a *auditor) tidy(now time.Time) {
	for k, at := range a.last {
		if since := now.Sub(at); since < 0 || since >= auditAgain {
			delete(a.last, k)
		}
	}
	if len(a.last) >= maxAudited {
		clear(a.last)
	}
}

func (a *auditor) forget(one attempt) {
	a.mu.Lock()
	defer a.mu.Unlock()
	delete(a.last, one)
}
