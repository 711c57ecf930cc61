package external_test

import (
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"postern/abuse/cases/flow"
	"postern/abuse/complaint/xarf"
	"postern/abuse/external"
	"postern/abuse/external/aws"
	"postern/abuse/external/contact"
	"postern/abuse/external/told"
	"postern/internal/dns"
	"postern/internal/entity"
	"postern/internal/mailtest"
	"postern/internal/said"
)

// taker is AWS as a script: it answers with what it was given, at last for ever.
type taker struct {
	*httptest.Server
	answers []int
	after   string
	heads   []http.Header
	bodies  []string
}

func (s *taker) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	s.heads, s.bodies = append(s.heads, r.Header), append(s.bodies, string(body))
	w.Header().Set("Retry-After", s.after)
	answer := s.answers[0]
	if len(s.answers) > 1 {
		s.answers = s.answers[1:] // before anything is said: who has read enough calls again at once
	}
	w.WriteHeader(answer)
	_, _ = io.WriteString(w, "{\"say\":\r\n\x1b[31m\"well\"}"+strings.Repeat("long ", 40_000))
}

// cloud is a world whose source is in a network of AWS.
func cloud(t *testing.T, answers ...int) (*world, *taker, *aws.Courier) {
	t.Helper()
	w, s := newWorld(t), &taker{answers: answers}
	s.Server = httptest.NewServer(s)
	t.Cleanup(s.Close)
	path := filepath.Join(t.TempDir(), "ip-ranges.json")
	if err := os.WriteFile(path, []byte(`{"prefixes":[{"ip_prefix":"198.51.100.0/24","region":"eu-central-1"}]}`), 0o600); err != nil {
		t.Fatal(err)
	}
	w.message.Signed = false // else CFBL-Address comes first
	w.Trial = true
	c := &aws.Courier{
		Home: w.home, File: &aws.File{Path: path}, Endpoint: s.URL + "/{region}/v1/abuse", Region: "us-east-1", Client: s.Client(),
		Credentials: func() (aws.Credentials, error) { return aws.Credentials{ID: "AK", Secret: "hush"}, nil },
		Note:        w.cases.Note, Audit: w.Audit, Now: func() time.Time { return w.now }, Log: slog.New(slog.DiscardHandler),
	}
	w.Contacts.Calls = c.Contact
	return w, s, c
}

func (w *world) complained() external.Notice {
	w.t.Helper()
	c, _ := w.sight(external.Trap)
	if _, err := w.Confirm(w.t.Context(), anna, c.ID, "", said.Typed("a trap")); err != nil {
		w.t.Fatal(err)
	}
	n, err := w.Complain(w.t.Context(), anna, c.ID)
	if err != nil {
		w.t.Fatal(err)
	}
	return n
}

func (w *world) notice(id string) external.Notice {
	w.t.Helper()
	row, err := told.Table(w.home).Get(w.t.Context(), id)
	if err != nil {
		w.t.Fatal(err)
	}
	return row.Value
}

// said are the answers that stand in the case.
func (w *world) said(id string) []string {
	w.t.Helper()
	events, _, err := w.cases.Timeline(w.t.Context(), id, "", 100)
	if err != nil {
		w.t.Fatal(err)
	}
	var out []string
	for _, e := range events {
		if e.Action == "provider-answer" {
			out = append(out, e.Text)
		}
	}
	return out
}

func tend(t *testing.T, c *aws.Courier) {
	t.Helper()
	if err := c.Tend(t.Context()); err != nil {
		t.Fatal(err)
	}
}

// A report goes out by a signed call, is tried again until it is taken, and stays the same.
func TestCall(t *testing.T) {
	w, s, c := cloud(t, 503, 429, 403, 202)
	n := w.complained()
	if n.State != external.Queued || n.Way != string(contact.AWS) || n.Region != "eu-central-1" || n.To != s.URL+"/eu-central-1/v1/abuse" || n.Form != contact.XARF {
		t.Fatalf("%+v", n)
	}
	w.state(n.Case, flow.Notified)
	w.settle() // the desk itself leaves it alone
	tend(t, c)
	if got := w.notice(n.ID); got.State != external.Queued || got.Attempts != 1 || !got.Next.Equal(w.now.Add(time.Minute)) || !strings.HasPrefix(got.Why, "503 ") {
		t.Fatalf("%+v", got)
	}
	tend(t, c)
	if len(s.bodies) != 1 {
		t.Fatal("it was tried before its time")
	}
	w.now, s.after = w.now.Add(time.Minute), "1800"
	tend(t, c)
	if got := w.notice(n.ID); !got.Next.Equal(w.now.Add(30 * time.Minute)) {
		t.Fatalf("it does not wait as it was asked to: %+v", got)
	}
	for range 2 {
		w.now = w.now.Add(time.Hour)
		tend(t, c)
	}
	if got := w.notice(n.ID); got.State != external.Sent || got.Why != "" || len(s.bodies) != 4 || len(w.sent) != 0 {
		t.Fatalf("%+v, %d calls", got, len(s.bodies))
	}
	var call struct {
		Token  string `json:"clientToken"`
		Case   string `json:"correlationId"`
		Report struct {
			XARF json.RawMessage `json:"xarf"`
		} `json:"report"`
	}
	if err := json.Unmarshal([]byte(s.bodies[0]), &call); err != nil || call.Token == "" || call.Case != n.Case {
		t.Fatalf("%s %v", s.bodies[0], err)
	}
	doc, problems, ok := xarf.Read(call.Report.XARF)
	if !ok || len(problems) > 0 || doc.Source != "198.51.100.7" || doc.Port != 40001 || len(doc.Tags) != 1 || doc.Tags[0] != "lifecycle:test" || string(doc.Evidence[0].Data) != spam {
		t.Errorf("%+v %v", doc, problems)
	}
	for i, b := range s.bodies {
		if b != s.bodies[0] || !strings.Contains(s.heads[i].Get("Authorization"), "/eu-central-1/abuse/aws4_request, SignedHeaders=accept;content-type;host;x-amz-date,") {
			t.Errorf("call %d: %s", i, s.heads[i].Get("Authorization"))
		}
	}
	said := w.said(n.Case)
	if len(said) != 2 {
		t.Fatalf("%q", said)
	}
	for _, text := range said {
		if strings.ContainsAny(text, "\r\n\x1b") || len(text) > 500 {
			t.Errorf("%q", text)
		}
	}
	w.now = w.now.Add(time.Hour)
	if tend(t, c); len(s.bodies) != 4 {
		t.Error("what was taken is brought again")
	}
}

// What is refused for good ends; a person sends it again, under another token.
func TestCallRefused(t *testing.T) {
	w, s, c := cloud(t, 400, 200)
	n := w.complained()
	tend(t, c)
	if got := w.notice(n.ID); got.State != external.Failed || !strings.HasPrefix(got.Why, "400 ") || len(w.said(n.Case)) != 1 {
		t.Fatalf("%+v", got)
	}
	w.now = w.now.Add(told.AgainEvery)
	if _, err := w.Resend(t.Context(), anna, n.ID, "they mended it"); err != nil {
		t.Fatal(err)
	}
	tend(t, c)
	if got := w.notice(n.ID); got.State != external.Sent || got.Attempts != 0 || len(s.bodies) != 2 || s.bodies[0][:50] == s.bodies[1][:50] {
		t.Errorf("%+v %d", got, len(s.bodies))
	}
}

// Nobody answers for a day: then it failed. The first who does not answer ends the turn.
func TestCallUnanswered(t *testing.T) {
	w, s, c := cloud(t, 200)
	n := w.complained()
	s.Close()
	tries := 0
	for range 60 {
		tend(t, c)
		if got := w.notice(n.ID); got.State == external.Queued {
			tries, w.now = got.Attempts, got.Next
		}
	}
	got := w.notice(n.ID)
	if got.State != external.Failed || !strings.HasPrefix(got.Why, "no answer") || tries < 20 || tries > 40 || len(w.said(n.Case)) != 2 {
		t.Errorf("%+v after %d, %q", got, tries, w.said(n.Case))
	}
}

// A message that lacks what XARF needs is told of by mail, and so is who asks for mail.
func TestCallPassedOver(t *testing.T) {
	w, _, _ := cloud(t, 200)
	w.message.Port = 0
	r, err := dns.New(dns.Config{Servers: []string{mailtest.NewDNS(t, mailtest.Zone{}).Addr()}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(r.Close)
	w.Contacts.DNS = r
	if n := w.complained(); n.State != external.Barred || !strings.Contains(strings.Join(n.Tried, "\n"), "aws: it takes XARF alone") {
		t.Errorf("%+v", n)
	}
	w, _, _ = cloud(t, 200)
	w.message.Signed, w.message.Raw = true, []byte(spam)
	if n := w.complained(); n.State != external.Sent || n.Way != string(contact.CFBL) {
		t.Errorf("%+v", n)
	}
	rows, _, err := told.Table(w.home).Find(t.Context(), entity.Query{Index: told.ByCall, Limit: 10})
	if err != nil || len(rows) != 0 {
		t.Error(len(rows), err)
	}
}
