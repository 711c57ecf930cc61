package zone_test

import (
	"context"
	"net/netip"
	"strings"
	"testing"
	"time"

	"postern/blocklist/zone"
)

// broken is a resolver with a fault of its own.
type broken struct{}

func (broken) A(context.Context, string) ([]netip.Addr, error) { panic("a fault") }
func (broken) TXT(context.Context, string) ([]string, error)   { panic("a fault") }

func TestAPanicEndsTheQuestionAlone(t *testing.T) {
	z, err := zone.New(zone.Config{Name: "l", Zone: "l.example", Of: zone.OfIP, Codes: map[string]string{"127.0.0.2": "S"}}, broken{})
	if err != nil {
		t.Fatal(err)
	}
	_, asked := z.Ask(t.Context(), "192.0.2.1", time.Now())
	for what, err := range map[string]error{"question": asked, "self-test": z.Test(t.Context()), "proof": z.Prove(t.Context())} {
		if err == nil || !strings.Contains(err.Error(), "internal fault") {
			t.Errorf("%s: %v", what, err)
		}
	}
}
