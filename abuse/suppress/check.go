package suppress

import (
	"context"
	"slices"

	"postern/filter"
)

// Symbol is what a recipient gets who wants no mail of the account.
const Symbol = "RECIPIENT_OPTED_OUT"

// Recipient is the check of recipients. An account that only a header names is not known then.
func (b *Book) Recipient() filter.Check {
	return filter.CheckFunc(func(_ context.Context, m *filter.Message) ([]filter.Finding, error) { return b.find(m), nil })
}

// Content is the same of a complete message, for recipients who were not found before.
func (b *Book) Content() filter.Check {
	return filter.CheckFunc(func(_ context.Context, m *filter.Message) ([]filter.Finding, error) {
		return slices.DeleteFunc(b.find(m), func(f filter.Finding) bool {
			return slices.ContainsFunc(m.Seen, func(s filter.Finding) bool { return s.Symbol == Symbol && s.For == f.For })
		}), nil
	})
}

func (b *Book) find(m *filter.Message) (found []filter.Finding) {
	if m.Direction != filter.Outbound || m.Account == "" || b.empty() {
		return nil
	}
	for _, to := range m.To {
		if !b.Wants(m.Account, to.Address) {
			found = append(found, filter.Finding{Symbol: Symbol, Detail: to.Address + " asked for no more mail of " + m.Account, For: to.Address})
		}
	}
	return found
}

func (b *Book) empty() bool {
	b.mu.RLock()
	defer b.mu.RUnlock()
	return len(b.names) == 0
}
