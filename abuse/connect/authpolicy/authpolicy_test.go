package authpolicy_test

import (
	"io"
	"log/slog"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"postern/abuse"
	"postern/abuse/connect/authpolicy"
)

func TestAllowAndReport(t *testing.T) {
	force := map[string]abuse.Account{"m3": {Name: "m3", Level: abuse.M3, State: abuse.Suspended}, "m5": {Name: "m5", Level: abuse.M5, State: abuse.Suspended}, "m2": {Name: "m2", Level: abuse.M2}}
	at := time.Unix(1_900_000_000, 0)
	var learned []authpolicy.Login
	h := authpolicy.New(authpolicy.Options{
		Secret: "s3cret", Force: func(a string) abuse.Account { return force[abuse.Name(a)] }, Now: func() time.Time { return at },
		Learn: func(l authpolicy.Login) { learned = append(learned, l) }, Log: slog.New(slog.NewTextHandler(io.Discard, nil)),
	})
	ask := func(method, command, key, body string) (int, string) {
		r := httptest.NewRequest(method, "/?command="+command, strings.NewReader(body))
		r.Header.Set("X-API-Key", key)
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		return w.Code, strings.TrimSpace(w.Body.String())
	}
	for _, c := range []struct{ login, protocol, want string }{
		{"m3", "submission", "-1"}, {"M3", "SMTP", "-1"}, {"m3", "imap", "0"}, {"m5", "imap", "-1"}, {"m5", "smtp", "-1"}, {"m2", "smtp", "0"}, {"unknown", "smtp", "0"},
	} {
		code, body := ask("POST", "allow", "s3cret", `{"login":"`+c.login+`","remote":"192.0.2.1","protocol":"`+c.protocol+`","pwhash":"00","device_id":""}`)
		if code != 200 || !strings.Contains(body, `"status":`+c.want+`,`) {
			t.Errorf("%+v: %d %s", c, code, body)
		}
	}
	code, _ := ask("POST", "report", "s3cret", `{"login":"Anna","remote":"::ffff:192.0.2.7","protocol":"imap","device_id":"d","success":true,"fail_type":""}`)
	if code != 200 || len(learned) != 1 || learned[0] != (authpolicy.Login{Account: "anna", At: at, From: learned[0].From, Service: "imap", Device: "d", OK: true}) || learned[0].From.String() != "192.0.2.7" {
		t.Errorf("%d %+v", code, learned)
	}
	if code, _ := ask("POST", "report", "s3cret", `{"login":"anna","remote":"","success":false,"policy_reject":true}`); code != 200 || len(learned) != 2 || learned[1].OK || !learned[1].PolicyNo {
		t.Errorf("%d %+v", code, learned)
	}
	for name, c := range map[string]struct {
		method, command, key, body string
		code                       int
	}{
		"no key": {"POST", "allow", "", `{"login":"m3"}`, 403}, "wrong key": {"POST", "allow", "x", `{"login":"m3"}`, 403}, "get": {"GET", "allow", "s3cret", ``, 405},
		"no command": {"POST", "", "s3cret", `{"login":"m3"}`, 400}, "no login": {"POST", "allow", "s3cret", `{}`, 400}, "no json": {"POST", "allow", "s3cret", `login=x`, 400},
		"large": {"POST", "allow", "s3cret", `{"login":"` + strings.Repeat("x", authpolicy.MaxBody) + `"}`, 400},
	} {
		if code, body := ask(c.method, c.command, c.key, c.body); code != c.code || strings.Contains(body, "status") {
			t.Errorf("%s: %d %s", name, code, body)
		}
	}
	none := authpolicy.New(authpolicy.Options{Force: func(string) abuse.Account { return abuse.Account{} }})
	w := httptest.NewRecorder()
	if none.ServeHTTP(w, httptest.NewRequest("POST", "/?command=allow", strings.NewReader(`{"login":"x"}`))); w.Code != 403 {
		t.Errorf("without a secret configured: %d", w.Code)
	}
}

func FuzzQuestion(f *testing.F) {
	f.Add("allow", `{"login":"x","protocol":"smtp"}`)
	f.Add("report", `{"login":"x","remote":"::1","success":true}`)
	h := authpolicy.New(authpolicy.Options{Secret: "s", Force: func(string) abuse.Account { return abuse.Account{} }, Learn: func(authpolicy.Login) {}, Now: time.Now})
	f.Fuzz(func(t *testing.T, command, body string) {
		r := httptest.NewRequest("POST", "/", strings.NewReader(body))
		q := r.URL.Query()
		q.Set("command", command)
		r.URL.RawQuery = q.Encode()
		r.Header.Set("X-API-Key", "s")
		w := httptest.NewRecorder()
		if h.ServeHTTP(w, r); w.Code != 200 && w.Code != 400 {
			t.Errorf("%d", w.Code)
		}
	})
}
