package sources_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"postern/abuse/calendar"
	"postern/abuse/external"
	"postern/cmd/postern/sources"
	"postern/internal/config"
	"postern/internal/said"
)

// cloudFiles are what AWS needs, as an operator has them.
func cloudFiles(t *testing.T) (ranges, credentials string) {
	t.Helper()
	dir := t.TempDir()
	ranges, credentials = filepath.Join(dir, "ip-ranges.json"), filepath.Join(dir, "credentials")
	for path, text := range map[string]string{
		ranges: `{"prefixes":[{"ip_prefix":"52.94.0.0/16","region":"GLOBAL"}]}`, credentials: "[default]\naws_access_key_id=AKID\naws_secret_access_key=hush\n",
	} {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return ranges, credentials
}

// What is configured is what goes out: from the trap to the call, and the answer in the case.
func TestReportToAWS(t *testing.T) {
	var calls []string
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		calls = append(calls, r.URL.Path+" "+r.Header.Get("Authorization")+" "+string(body))
		if len(calls) == 1 {
			http.Redirect(w, r, "/elsewhere", http.StatusTemporaryRedirect)
			return
		}
		w.WriteHeader(http.StatusAccepted)
	}))
	t.Cleanup(server.Close)
	w := newWorld(t, func(c *config.Config) {
		a := &c.Abuse.External.AWS
		a.RangesFile, a.Credentials = cloudFiles(t)
		a.Endpoint, a.Region, c.Abuse.Answers.Name = server.URL+"/{region}/v1/abuse", "eu-west-3", "Ours"
	})
	ctx := t.Context()
	c := w.trapped("52.94.1.2")
	if _, err := w.External.Confirm(ctx, anna, c.ID, "", said.Typed("a trap")); err != nil {
		t.Fatal(err)
	}
	n, err := w.External.Complain(ctx, anna, c.ID)
	if err != nil || n.State != external.Queued || n.Way != "aws" {
		t.Fatalf("%+v %v", n, err)
	}
	tend := func() external.Notice {
		t.Helper()
		w.now = w.now.Add(2 * time.Hour)
		if err := w.Tend(ctx); err != nil {
			t.Fatal(err)
		}
		all, _, err := w.External.Notices(ctx, c.ID, "", 10)
		if err != nil || len(all) != 1 {
			t.Fatal(all, err)
		}
		return all[0]
	}
	if got := tend(); got.State != external.Failed || len(calls) != 1 {
		t.Fatalf("a redirect was followed, or taken for an answer: %+v %q", got, calls)
	}
	if _, err := w.External.Resend(ctx, anna, n.ID, "once more"); err != nil {
		t.Fatal(err)
	}
	if got := tend(); got.State != external.Sent || len(calls) != 2 || len(w.sent) != 0 {
		t.Fatalf("%+v %q %v", got, calls, w.sent)
	}
	for _, part := range []string{"/eu-west-3/v1/abuse ", "Credential=AKID/", "/eu-west-3/abuse/aws4_request", `"correlationId":"` + c.ID + `"`} {
		if !strings.Contains(calls[1], part) {
			t.Errorf("no %s in %s", part, calls[1])
		}
	}
	if strings.Contains(calls[1], "hush") || strings.Contains(calls[1], "lifecycle:test") {
		t.Error(calls[1])
	}
}

// Files that cannot be used are named at the start.
func TestFilesOfAWS(t *testing.T) {
	ranges, credentials := cloudFiles(t)
	set, err := calendar.Open("", nil)
	if err != nil {
		t.Fatal(err)
	}
	for want, files := range map[string][2]string{
		"abuse.external.aws.ranges_file: ":      {credentials, credentials},
		"abuse.external.aws.credentials_file: ": {ranges, ranges},
	} {
		c := config.Default()
		c.Abuse.External.AWS.RangesFile, c.Abuse.External.AWS.Credentials = files[0], files[1]
		var p atomic.Pointer[config.Config]
		p.Store(c)
		_, err := sources.New(sources.Parts{Config: &p, Calendars: func() *calendar.Set { return set }})
		if err == nil || !strings.HasPrefix(err.Error(), want) || strings.Contains(err.Error(), "hush") {
			t.Errorf("%v, want %s", err, want)
		}
	}
}
