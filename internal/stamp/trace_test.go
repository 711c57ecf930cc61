package stamp_test

import (
	"bytes"
	"io"
	"strings"
	"testing"

	"postern/filter"
	"postern/internal/stamp"
)

// tracer knows one token of its own.
type tracer struct{ complaints string }

func (t tracer) Trace(_ *filter.Message, to []string) stamp.Trace {
	return stamp.Trace{Token: "v1.own-" + strings.Join(to, "+"), Complaints: t.complaints, FeedbackID: "v1:own"}
}

func (tracer) Genuine(value []byte) bool { return bytes.Contains(value, []byte("v1.own")) }

func through(t *testing.T, tr stamp.Tracer, d filter.Direction, raw string, to ...string) string {
	t.Helper()
	s := &stamp.Stamper{Names: stamp.DefaultNames("mx1.example.com"), Tracer: tr}
	b := []byte(strings.ReplaceAll(raw, "\n", "\r\n"))
	m := &filter.Message{ID: "01jd9x5h3k2m4n6p8q0r1s2t3v", Direction: d, Body: bytes.NewReader(b), Size: int64(len(b))}
	r, _, err := s.Open(s.Block(m, filter.Verdict{}, filter.Report{}, to), m)
	if err != nil {
		t.Fatal(err)
	}
	out, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	return string(out)
}

const traced = "x-postern-trace: v1.forged\nX-Postern-Trace : v1.own\n folded\nCFBL-Address: fbl@other.example\ncfbl-feedback-id: 7\nFrom: a@b.example\nDate: x\nMessage-ID: <y>\n\nX-Postern-Trace: in the body\n"

func TestTraceOutbound(t *testing.T) {
	got := through(t, tracer{"abuse@example.com"}, filter.Outbound, traced, "a@x", "b@x")
	for _, want := range []string{"X-Postern-Trace: v1.own-a@x+b@x\r\n", "CFBL-Address: abuse@example.com; report=arf\r\n", "CFBL-Feedback-ID: v1:own\r\n", "\r\n\r\nX-Postern-Trace: in the body\r\n"} {
		if strings.Count(got, want) != 1 {
			t.Errorf("%q stands %d times in\n%s", want, strings.Count(got, want), got)
		}
	}
	for _, gone := range []string{"forged", "folded", "fbl@other", ": 7"} {
		if strings.Contains(got, gone) {
			t.Errorf("%q is left in\n%s", gone, got)
		}
	}
}

// Where we write no address for complaints, the sender's own stays.
func TestNoComplaintsWritten(t *testing.T) {
	got := through(t, tracer{}, filter.Outbound, traced, "a@x")
	if !strings.Contains(got, "CFBL-Address: fbl@other.example\r\ncfbl-feedback-id: 7\r\n") || strings.Contains(got, "forged") {
		t.Errorf("got\n%s", got)
	}
	if got := through(t, nil, filter.Outbound, traced, "a@x"); strings.Contains(strings.SplitN(got, "\r\n\r\n", 2)[0], "v1.") {
		t.Errorf("without a tracer somebody else's token goes out:\n%s", got)
	}
	if got := through(t, tracer{"a@b"}, filter.Outbound, traced); strings.Contains(got, "v1.own-") {
		t.Error("a block for nobody has a token")
	}
}

// Mail of ours that comes back keeps its token, which its signature covers; a forged one goes.
func TestTraceInbound(t *testing.T) {
	got := through(t, tracer{"abuse@example.com"}, filter.Inbound, traced, "a@x")
	if !strings.Contains(got, "X-Postern-Trace : v1.own\r\n folded\r\nCFBL-Address: fbl@other.example\r\n") || strings.Contains(got, "forged") || strings.Contains(got, "v1.own-") {
		t.Errorf("got\n%s", got)
	}
}
