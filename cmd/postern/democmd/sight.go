package democmd

import (
	"bytes"
	"context"
	"fmt"
	"net/mail"
	"slices"
	"strings"
	"time"

	"postern/abuse/proof"
	"postern/cmd/postern/calls"
	"postern/cmd/postern/intakecalls"
	"postern/internal/control"
	"postern/internal/demo"
	"postern/internal/mailtest"
	"postern/quarantine"
)

// sight is what lies behind the gateway, in its quarantine and with its abuse desk.
type sight struct {
	delivered  []demo.Delivered
	holds      []quarantine.Hold
	complaints []intakecalls.Complaint
}

func look(ctx context.Context, c control.Caller, w *demo.World) (sight, error) {
	var page quarantine.Page
	if err := c.Call(ctx, "quarantine.list", calls.Search{Limit: 1000}, &page); err != nil {
		return sight{}, err
	}
	slices.Reverse(page.Holds)
	var reports intakecalls.Page
	if err := c.Call(ctx, "complaint.list", intakecalls.Query{}, &reports); err != nil {
		return sight{}, err
	}
	s := sight{holds: page.Holds, complaints: reports.Complaints}
	for _, b := range []*mailtest.Backend{w.Behind, w.Egress} {
		for _, t := range b.Transactions() {
			if t.Accepted() && t.From != "" { // what the gateway writes itself has no sender
				s.delivered = append(s.delivered, t)
			}
		}
	}
	slices.SortStableFunc(s.delivered, func(x, y demo.Delivered) int { return x.At.Compare(y.At) })
	return s, nil
}

func (s sight) since(before sight) sight {
	var fresh []quarantine.Hold
	for _, h := range s.holds {
		if !slices.ContainsFunc(before.holds, func(o quarantine.Hold) bool { return o.ID == h.ID }) {
			fresh = append(fresh, h)
		}
	}
	said := slices.Clone(s.complaints)
	said = slices.DeleteFunc(said, func(x intakecalls.Complaint) bool {
		return slices.ContainsFunc(before.complaints, func(o intakecalls.Complaint) bool { return o.Report.ID == x.Report.ID })
	})
	return sight{delivered: s.delivered[len(before.delivered):], holds: fresh, complaints: said}
}

// settled is the sight once the abuse desk has worked on what the sample brought it.
func settled(ctx context.Context, c control.Caller, w *demo.World, s demo.Sample) (sight, error) {
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	end := time.After(time.Minute)
	for {
		now, err := look(ctx, c, w)
		waits := slices.ContainsFunc(now.complaints, func(x intakecalls.Complaint) bool { return x.Work.Ended.IsZero() })
		if err != nil || !waits || s.Make == nil {
			return now, err
		}
		select {
		case <-ctx.Done():
			return now, ctx.Err()
		case <-end:
			return now, nil
		case <-tick.C:
		}
	}
}

// found says what the abuse desk found of a complaint.
func found(x intakecalls.Complaint) string {
	p := x.Work.Proof
	switch {
	case p.Class == proof.Transplant && p.Votes == 0:
		return "with the abuse desk: forged, nobody is punished"
	case p.Votes == 100:
		return fmt.Sprintf("with the abuse desk: proof P%d, one vote against %s", p.Grade, p.Account)
	}
	return fmt.Sprintf("with the abuse desk: proof P%d", p.Grade)
}

// tell says where the copies of a message are, and why.
func (s sight) tell(answer demo.Answer) (where, why string) {
	var places []string
	evidence := ""
	for _, t := range s.delivered {
		places = append(places, "delivered")
		why = reasonsOf(t.Body)
	}
	for _, h := range s.holds {
		if h.Class == quarantine.Evidence {
			evidence = ", a copy kept as evidence"
		} else {
			places = append(places, "held ("+string(h.Class)+")")
		}
		var words []string
		for _, r := range h.Reasons {
			words = append(words, r.Symbol+" "+r.Detail)
		}
		if len(s.delivered) == 0 {
			why = strings.Join(words, "; ")
		}
	}
	for _, x := range s.complaints {
		places, why = append(places, found(x)), x.Work.Proof.Sentence
	}
	switch {
	case len(places) == 0 && answer.Code >= 500:
		places = []string{"refused"}
		if why == "" {
			why = answer.Text
		}
	case len(places) == 0 && answer.Code >= 400:
		places, why = []string{"with the sender, who tries again"}, answer.Text
	}
	return strings.Join(places, "; ") + evidence, why
}

// reasonsOf reads our header of a delivered message.
func reasonsOf(raw []byte) string {
	m, err := mail.ReadMessage(bytes.NewReader(raw))
	if err != nil {
		return ""
	}
	verdict, reasons := m.Header.Get("X-Postern-Verdict"), m.Header.Get("X-Postern-Reasons")
	word, rest, _ := strings.Cut(verdict, ";")
	score, _, _ := strings.Cut(strings.TrimSpace(rest), ";")
	return strings.TrimSpace(word + " " + score + " " + reasons)
}
