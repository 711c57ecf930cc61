package democmd

import (
	"testing"

	"postern/abuse/intake"
	"postern/abuse/proof"
	"postern/cmd/postern/intakecalls"
	"postern/internal/demo"
	"postern/quarantine"
)

func letter(head string) demo.Delivered {
	return demo.Delivered{From: "a@far.example", Body: []byte(head + "Subject: x\r\n\r\nX-Postern-Verdict: forged; 0\r\n")}
}

func hold(id string, class quarantine.Class, reasons ...quarantine.Reason) quarantine.Hold {
	return quarantine.Hold{ID: id, Class: class, Reasons: reasons}
}

func complaint(id string, p proof.Proof) intakecalls.Complaint {
	return intakecalls.Complaint{Report: intake.Report{ID: id}, Work: intake.Work{Report: id, Proof: p}}
}

func TestTell(t *testing.T) {
	virus := quarantine.Reason{Symbol: "VIRUS", Detail: "Eicar"}
	macro := quarantine.Reason{Symbol: "MACRO", Detail: "runs by itself"}
	tagged := letter("X-Postern-Verdict: tag; score=5.10; required=4\r\nX-Postern-Reasons: SPF_FAIL\r\n")
	for name, c := range map[string]struct {
		s          sight
		answer     demo.Answer
		where, why string
	}{
		"delivered":             {sight{delivered: []demo.Delivered{tagged}}, demo.Answer{Code: 250}, "delivered", "tag score=5.10 SPF_FAIL"},
		"to two servers":        {sight{delivered: []demo.Delivered{tagged, tagged}}, demo.Answer{Code: 250}, "delivered; delivered", "tag score=5.10 SPF_FAIL"},
		"delivered as it came":  {sight{delivered: []demo.Delivered{letter("")}}, demo.Answer{Code: 250}, "delivered", ""},
		"delivered, no headers": {sight{delivered: []demo.Delivered{{Body: []byte("no header at all")}}}, demo.Answer{Code: 250}, "delivered", ""},
		"held":                  {sight{holds: []quarantine.Hold{hold("h", quarantine.ByVerdict, virus, macro)}}, demo.Answer{Code: 250}, "held (quarantine)", "VIRUS Eicar; MACRO runs by itself"},
		"delivered and held":    {sight{delivered: []demo.Delivered{tagged}, holds: []quarantine.Hold{hold("h", quarantine.RejectedBeside, virus)}}, demo.Answer{Code: 250}, "delivered; held (rejected-beside)", "tag score=5.10 SPF_FAIL"},
		"delivered, evidence":   {sight{delivered: []demo.Delivered{tagged}, holds: []quarantine.Hold{hold("h", quarantine.Evidence, virus)}}, demo.Answer{Code: 250}, "delivered, a copy kept as evidence", "tag score=5.10 SPF_FAIL"},
		"refused":               {sight{}, demo.Answer{Code: 550, Text: "5.7.1 no"}, "refused", "5.7.1 no"},
		"refused with evidence": {sight{holds: []quarantine.Hold{hold("h", quarantine.Evidence, virus)}}, demo.Answer{Code: 550, Text: "5.7.1 no"}, "refused, a copy kept as evidence", "VIRUS Eicar"},
		"put off":               {sight{}, demo.Answer{Code: 451, Text: "4.7.1 later"}, "with the sender, who tries again", "4.7.1 later"},
		"taken and nowhere":     {sight{}, demo.Answer{Code: 250, Text: "2.0.0 ok"}, "", ""},
		"a complaint": {
			sight{delivered: []demo.Delivered{tagged}, complaints: []intakecalls.Complaint{complaint("r", proof.Proof{Grade: 4, Votes: 100, Account: "ann@x.example", Sentence: "it is ours"})}},
			demo.Answer{Code: 250}, "delivered; with the abuse desk: proof P4, one vote against ann@x.example", "it is ours",
		},
	} {
		if where, why := c.s.tell(c.answer); where != c.where || why != c.why {
			t.Errorf("%s: %q because %q", name, where, why)
		}
	}
}

func TestFound(t *testing.T) {
	for want, p := range map[string]proof.Proof{
		"with the abuse desk: forged, nobody is punished":               {Grade: 2, Class: proof.Transplant},
		"with the abuse desk: proof P4, one vote against ann@x.example": {Grade: 4, Votes: 100, Account: "ann@x.example"},
		"with the abuse desk: proof P3":                                 {Grade: 3, Votes: 50, Account: "ann@x.example"},
		"with the abuse desk: proof P0":                                 {},
		"with the abuse desk: proof P1":                                 {Grade: 1, Class: proof.Duplicate, Account: "ann@x.example"},
	} {
		if got := found(complaint("r", p)); got != want {
			t.Errorf("%+v: %q", p, got)
		}
	}
}

// TestSince has only what is new be told, in its order, and leaves both sights as they were.
func TestSince(t *testing.T) {
	one, two := letter("X-Postern-Verdict: accept; 0\r\n"), letter("X-Postern-Verdict: tag; 5\r\n")
	before := sight{
		delivered:  []demo.Delivered{one},
		holds:      []quarantine.Hold{hold("h1", quarantine.ByVerdict), hold("h2", quarantine.ByVerdict)},
		complaints: []intakecalls.Complaint{complaint("r1", proof.Proof{})},
	}
	after := sight{
		delivered:  []demo.Delivered{one, two},
		holds:      []quarantine.Hold{hold("h2", quarantine.ByVerdict), hold("h3", quarantine.ByVerdict), hold("h4", quarantine.Evidence)}, // h1 is gone
		complaints: []intakecalls.Complaint{complaint("r2", proof.Proof{}), complaint("r1", proof.Proof{}), complaint("r3", proof.Proof{})},
	}
	got := after.since(before)
	if len(got.delivered) != 1 || string(got.delivered[0].Body) != string(two.Body) {
		t.Errorf("delivered: %+v", got.delivered)
	}
	if len(got.holds) != 2 || got.holds[0].ID != "h3" || got.holds[1].ID != "h4" {
		t.Errorf("held: %+v", got.holds)
	}
	if len(got.complaints) != 2 || got.complaints[0].Report.ID != "r2" || got.complaints[1].Report.ID != "r3" {
		t.Errorf("complaints: %+v", got.complaints)
	}
	if len(after.complaints) != 3 || after.complaints[1].Report.ID != "r1" || len(before.holds) != 2 {
		t.Error("a sight was changed by looking at what is new")
	}
	if none := after.since(after); len(none.delivered)+len(none.holds)+len(none.complaints) != 0 {
		t.Errorf("%+v", none)
	}
}
