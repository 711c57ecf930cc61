// Package fate makes the record of a whole transaction for those who are told about it
// after the answer.
package fate

import (
	"slices"

	"postern/filter"
	"postern/internal/smtpd/command"
)

// Refusal is a recipient refused at RCPT.
type Refusal struct {
	To      filter.Recipient
	Reply   *command.Reply
	Verdict *filter.Verdict // nil when no rule refused it
}

// Ended is the outcome of a message that was answered r before anybody delivered it.
func Ended(m *filter.Message, report filter.Report, r *command.Reply) *filter.Outcome {
	o := &filter.Outcome{Report: report, Reply: r.String()}
	for _, to := range m.To {
		add(o, Refusal{To: to, Reply: r})
	}
	return o
}

// With returns m and o with the recipients refused at RCPT behind those that were accepted.
func With(m *filter.Message, o filter.Outcome, refused []Refusal) (*filter.Message, filter.Outcome) {
	whole := *m
	whole.To = slices.Clone(m.To)
	o.Fates, o.Verdicts = slices.Clone(o.Fates), slices.Clone(o.Verdicts)
	for _, r := range refused {
		whole.To = append(whole.To, r.To)
		add(&o, r)
	}
	return &whole, o
}

func add(o *filter.Outcome, r Refusal) {
	f := filter.Fate{Recipient: r.To.Address, State: filter.Rejected, Reply: r.Reply.String()}
	v := filter.Verdict{Action: filter.Reject, Policy: r.To.Policy, Public: r.Reply.Text}
	if r.Reply.Code < 500 {
		f.State, v.Action = filter.Deferred, filter.Defer
	}
	if r.Verdict != nil {
		v = *r.Verdict
	}
	o.Fates, o.Verdicts = append(o.Fates, f), append(o.Verdicts, v)
}
