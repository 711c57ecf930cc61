package fate

import (
	"testing"

	"postern/filter"
	"postern/internal/smtpd/command"
)

func TestWith(t *testing.T) {
	m := &filter.Message{To: []filter.Recipient{{Address: "a"}}}
	o := filter.Outcome{Fates: []filter.Fate{{Recipient: "a", State: filter.Delivered}}, Verdicts: []filter.Verdict{{}}, Reply: "250 ok"}
	v := filter.Verdict{Action: filter.Reject, Score: 7}
	whole, all := With(m, o, []Refusal{
		{To: filter.Recipient{Address: "b", Policy: "p"}, Reply: command.NewReply(550, 1, 1, "none")},
		{To: filter.Recipient{Address: "c"}, Reply: command.NewReply(451, 7, 1, "later")},
		{To: filter.Recipient{Address: "d"}, Reply: command.NewReply(550, 7, 1, "rule"), Verdict: &v},
	})
	if len(m.To) != 1 || len(o.Fates) != 1 || len(whole.To) != 4 || len(all.Fates) != 4 || len(all.Verdicts) != 4 || all.Reply != "250 ok" {
		t.Fatalf("%+v %+v", whole, all)
	}
	for i, want := range []struct {
		state  filter.FateState
		action filter.Action
	}{{filter.Delivered, filter.Accept}, {filter.Rejected, filter.Reject}, {filter.Deferred, filter.Defer}, {filter.Rejected, filter.Reject}} {
		if all.Fates[i].State != want.state || all.Verdicts[i].Action != want.action || all.Fates[i].Recipient != whole.To[i].Address {
			t.Errorf("%d: %+v %+v", i, all.Fates[i], all.Verdicts[i])
		}
	}
	if all.Verdicts[1].Policy != "p" || all.Verdicts[3].Score != 7 || all.Fates[1].Reply != "550 5.1.1 none" {
		t.Errorf("%+v", all)
	}
}

func TestEnded(t *testing.T) {
	m := &filter.Message{To: []filter.Recipient{{Address: "a"}, {Address: "b"}}}
	o := Ended(m, filter.Report{Findings: []filter.Finding{{Symbol: "X"}}}, command.NewReply(451, 3, 0, "later"))
	if len(o.Fates) != 2 || o.Fates[1].State != filter.Deferred || o.Fates[1].Recipient != "b" || o.Reply != "451 4.3.0 later" || len(o.Report.Findings) != 1 {
		t.Fatalf("%+v", o)
	}
}
