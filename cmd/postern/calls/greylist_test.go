package calls_test

import (
	"errors"
	"testing"
	"time"

	"postern/cmd/postern/calls"
	"postern/filter/greylist"
	"postern/internal/control"
	"postern/internal/record"
	"postern/internal/store/local"
	"postern/internal/store/storetest"
	"postern/internal/store/storetest/greytest"
)

func TestGreylistCalls(t *testing.T) {
	h, err := local.Open(t.Context(), local.Options{Dir: t.TempDir() + "/s"})
	if err != nil {
		t.Fatal(err)
	}
	defer h.Close()
	now := func() time.Time { return storetest.Start.Add(time.Minute) }
	parts := calls.Parts{
		Now: now, Audit: &record.Auditor{Store: h.Audit(), Now: now},
		Greylist: greylist.NewGreylist(greylist.Config{Wait: time.Minute, RetryWithin: time.Hour, Remember: time.Hour}, greylist.Parts{Store: h.Greylist(), Now: now}),
	}
	s, ctx := parts.Server(), control.WithActor(t.Context(), "me")
	var all []greylist.Waiting
	if err := s.Call(ctx, "greylist.list", calls.Paging{}, &all); err != nil || all == nil || len(all) != 0 {
		t.Errorf("nobody: %v %v", all, err)
	}
	w := greytest.Entry(1, "k")
	if _, err := h.Greylist().PutOff(ctx, w, now()); err != nil {
		t.Fatal(err)
	}
	if err := s.Call(ctx, "greylist.list", calls.Paging{}, &all); err != nil || len(all) != 1 || all[0].ID != w.ID {
		t.Errorf("one: %v %v", all, err)
	}
	var k greylist.Known
	if err := s.Call(ctx, "greylist.allow", calls.Let{Of: w.ID, Note: "a customer"}, &k); err != nil || k.By != "me" {
		t.Errorf("allow: %+v %v", k, err)
	}
	entries, err := h.Audit().Entries(ctx, 0, 10)
	if err != nil || len(entries) != 1 || entries[0].Actor != "me" || entries[0].Action != "greylist-allow" || entries[0].Note != "a customer" {
		t.Errorf("audit: %+v %v", entries, err)
	}
	for of, kind := range map[string]control.Kind{w.ID: control.NotFound, "nonsense": control.Invalid} {
		var e *control.Error
		if err := s.Call(ctx, "greylist.allow", calls.Let{Of: of}, &k); !errors.As(err, &e) || e.Kind != kind {
			t.Errorf("%s: %v", of, err)
		}
	}
}
