package feeds_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"postern/abuse/intake/feeds"
	"postern/abuse/intake/shelf"
	"postern/internal/entity"
	"postern/internal/mailtest/entities"
)

// How far a feed is believed is changed for a reason; that it observes first is not cut short.
func TestTrust(t *testing.T) {
	now := time.Now().UTC().Truncate(time.Second)
	b := &feeds.Book{Home: &entities.Memory{}, Now: func() time.Time { return now }}
	ctx := t.Context()
	f, err := b.Register(ctx, feeds.Feed{Name: "isp", Alias: "fbl-isp@example.com", Domain: "isp.example", By: "lea"})
	if err != nil || f.Trust(now) != feeds.Observed {
		t.Fatal(f, err)
	}
	set := func(to feeds.Trust) feeds.Feed {
		t.Helper()
		f, err := b.SetTrust(ctx, "olga", "isp", to, "because")
		if err != nil || f.Note != "because" || f.ChangedBy != "olga" || !f.Changed.Equal(now) {
			t.Fatalf("%+v %v", f, err)
		}
		return f
	}
	if got := set(feeds.Believed).Trust(now); got != feeds.Observed {
		t.Error("observing was cut short", got)
	}
	now = now.Add(feeds.Observe)
	report := shelf.Report{By: shelf.ByMail, To: []string{"fbl-isp@example.com"}, Auth: shelf.Auth{DKIM: []string{"isp.example"}}}
	for _, c := range []struct {
		to, want feeds.Trust
		of       bool
	}{{feeds.Unheeded, feeds.Unheeded, false}, {feeds.Believed, feeds.Believed, true}, {feeds.Observed, feeds.Observed, true}} {
		if got := set(c.to).Trust(now); got != c.want {
			t.Errorf("%s: %s", c.to, got)
		}
		if f, err := b.Of(ctx, report); err != nil || (f != nil) != c.of {
			t.Errorf("%s: %v %v", c.to, f, err)
		}
	}
	for name, err := range map[string]error{
		"no reason": second(b.SetTrust(ctx, "olga", "isp", feeds.Believed, " ")), "long": second(b.SetTrust(ctx, "olga", "isp", feeds.Believed, strings.Repeat("x", feeds.MaxReason+1))), "no trust": second(b.SetTrust(ctx, "olga", "isp", "blind", "x")),
	} {
		if !errors.Is(err, entity.ErrInvalid) {
			t.Error(name, err)
		}
	}
	if _, err := b.SetTrust(ctx, "olga", "none", feeds.Believed, "x"); !errors.Is(err, entity.ErrNotFound) {
		t.Error(err)
	}
}

func second[T any](_ T, err error) error { return err }
