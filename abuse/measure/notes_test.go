package measure_test

import (
	"encoding/json"
	"reflect"
	"strings"
	"testing"

	"postern/abuse"
	"postern/abuse/measure"
	"postern/abuse/signal"
	"postern/internal/said"
)

// What nobody typed has a code: the reason of an automatic measure, of the account it stands
// against, and of its end; what a person typed has none.
func TestReasonsHaveCodes(t *testing.T) {
	w := newWorld(t)
	d := w.propose("a@x.example", "BC", false)
	if !d.New || d.Measure.Said.Code != said.And || !strings.HasPrefix(d.Measure.Reason, "rule-") && !strings.Contains(d.Measure.Reason, ": ") || d.Measure.Said.English != "" {
		t.Fatalf("%+v", d.Measure)
	}
	acc, err := w.Desk.Accounts.Stored(t.Context(), "a@x.example")
	if err != nil || acc.Reason != d.Measure.Reason || !reflect.DeepEqual(acc.Said, d.Measure.Said) {
		t.Errorf("the account says %q %+v, not %q: %v", acc.Reason, acc.Said, d.Measure.Reason, err)
	}
	m, err := w.Desk.Undo(t.Context(), d.Measure.ID, "postern", said.Say("note.time-over", "its time is over"), false)
	if err != nil || m.Ended.Said.Code != "note.time-over" || m.Ended.Reason != "its time is over" {
		t.Errorf("%+v %v", m.Ended, err)
	}
	if m = w.apply(measure.Request{Account: "b@x.example", Level: abuse.M1, Reason: "typed"}); m.Said.Code != "" || m.Why().English != "typed" {
		t.Errorf("%+v", m)
	}
}

// Records from before there were codes read as they are.
func TestOldReasons(t *testing.T) {
	var m measure.Measure
	var s signal.Signal
	if err := json.Unmarshal([]byte(`{"id":"m-1","reason":"volume: 900; ","ended":{"reason":"its time is over"}}`), &m); err != nil || m.Why().English != "volume: 900; " || m.Why().Code != "" || m.Ended.Said.Code != "" {
		t.Errorf("%+v %v", m, err)
	}
	if err := json.Unmarshal([]byte(`{"id":"s","detail":"900 recipients in an hour"}`), &s); err != nil || s.Words().English != "900 recipients in an hour" || s.Words().Code != "" {
		t.Errorf("%+v %v", s, err)
	}
	s = s.Saying(said.Say("seen.trap", "it wrote to the spam trap %s", "trap", "t@x.example"))
	raw, err := json.Marshal(s)
	if err != nil || !strings.Contains(string(raw), `"detail":"it wrote to the spam trap t@x.example","said":{"code":"seen.trap","values":{"trap":"t@x.example"}}`) {
		t.Errorf("%s %v", raw, err)
	}
}
