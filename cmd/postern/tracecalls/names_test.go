package tracecalls_test

import (
	"encoding/json"
	"errors"
	"net/netip"
	"regexp"
	"strings"
	"testing"
	"time"

	"postern/cmd/postern/tracecalls"
	"postern/internal/control"
	"postern/internal/record"
)

// TestNames: parameters are called as those of other calls, what is not asked for is left out, and
// nothing else is taken.
func TestNames(t *testing.T) {
	full := tracecalls.Ask{Text: "t", Within: []string{"a.example"}, Trace: record.Trace{
		ID: "i", From: "f", To: "t", MessageID: "m", Subject: "s", IP: netip.MustParsePrefix("192.0.2.0/24"), Account: "a", Direction: "inbound",
		State: "held", Reply: "r", Since: time.Unix(1, 0).UTC(), Until: time.Unix(2, 0).UTC(), Limit: 3, After: "x",
	}}
	text, err := json.Marshal(full)
	if err != nil {
		t.Fatal(err)
	}
	var names map[string]any
	if err := json.Unmarshal(text, &names); err != nil || len(names) != 16 {
		t.Errorf("%d parameters, %v: %s", len(names), err, text)
	}
	for name := range names {
		if !regexp.MustCompile(`^[a-z]+(_[a-z]+)*$`).MatchString(name) {
			t.Errorf("a parameter is called %q", name)
		}
	}
	var back tracecalls.Ask
	if err := json.Unmarshal(text, &back); err != nil || back.IP != full.IP || back.MessageID != "m" || !back.Until.Equal(full.Until) {
		t.Errorf("%+v, %v", back, err)
	}
	if empty, err := json.Marshal(tracecalls.Ask{}); err != nil || string(empty) != "{}" {
		t.Errorf("%s, %v", empty, err)
	}
	_, s := world(t)
	var f tracecalls.Found
	if err := s.Call(t.Context(), "trace", json.RawMessage(`{"direction":"outbound","from":"a@here.example","limit":2}`), &f); err != nil || len(f.Rows) == 0 {
		t.Errorf("%d rows, %v", len(f.Rows), err)
	}
	for _, odd := range []string{`{"MessageID":"m"}`, `{"message-id":"m"}`, `{"Trace":{"ID":"i"}}`} {
		e := new(control.Error)
		if err := s.Call(t.Context(), "trace", json.RawMessage(odd), nil); !errors.As(err, &e) || e.Kind != control.Invalid || !strings.Contains(e.Message, "unknown field") {
			t.Errorf("%s: %v", odd, err)
		}
	}
}
