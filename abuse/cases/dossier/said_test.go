package dossier_test

import (
	"encoding/json"
	"strings"
	"testing"

	"postern/abuse/cases/dossier"
	"postern/abuse/cases/flow"
	"postern/internal/said"
)

// A line of the timeline keeps English where it always stood, and its code beside it; one from
// before there were codes reads as it is.
func TestWhatALineSays(t *testing.T) {
	var e dossier.Event
	e.Tell(said.Say("note.with", "with %s", "id", "A-1\x00"))
	raw, err := json.Marshal(e)
	if err != nil || !strings.Contains(string(raw), `"text":"with A-1 ","said":{"code":"note.with","values":{"id":"A-1 "}}`) {
		t.Errorf("%s %v", raw, err)
	}
	var again, old dossier.Event
	if err := json.Unmarshal(raw, &again); err != nil || again.Words().Code != "note.with" || again.Words().English != "with A-1 " {
		t.Errorf("%+v %v", again, err)
	}
	if err := json.Unmarshal([]byte(`{"action":"ack","text":"notice 7"}`), &old); err != nil || old.Words().Code != "" || old.Words().English != "notice 7" {
		t.Errorf("%+v %v", old, err)
	}
	old.Tell(said.Typed(strings.Repeat("x", dossier.MaxText+1)))
	if len(old.Text) != dossier.MaxText || old.Said.Code != "" {
		t.Errorf("%d octets, %+v", len(old.Text), old.Said)
	}
}

// Whoever asks from outside brings a reason and no code; the desk's own reason goes before.
func TestReasons(t *testing.T) {
	var r dossier.Request
	if err := json.Unmarshal([]byte(`{"to":"CLOSED","reason":"typed","said":{"code":"note.with"},"Said":{"code":"note.with","english":"x"}}`), &r); err != nil || r.Why().English != "typed" || r.Why().Code != "" {
		t.Errorf("%+v %v", r, err)
	}
	r.Said = said.Say("note.reported", "reported by users or traps")
	o := dossier.Opening{Reason: "typed"}
	if r.Why().Code != "note.reported" || o.Why().English != "typed" {
		t.Errorf("%+v %+v", r.Why(), o.Why())
	}
	anna := dossier.Actor{Name: "anna", Role: flow.Agent}
	if dossier.Why(anna, r.Why()) != nil || dossier.Why(anna, said.Words{}) == nil || dossier.Why(dossier.Machine(), said.Words{}) != nil {
		t.Error("a reason is wanted of people, and of them alone")
	}
}
