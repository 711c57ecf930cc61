package api_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"reflect"
	"strings"
	"testing"
	"time"

	"postern/internal/desk/api"
	"postern/internal/desk/once"
	"postern/internal/desk/openapi"
	"postern/internal/mailtest/entities"
)

type who struct{}

var errTaken = errors.New("taken")

func handler(log io.Writer, now func() time.Time) http.Handler {
	made := 0
	h, err := api.New(api.Options{
		Describe: []openapi.Call{
			{Name: "case.list", Scope: "cases:read", Params: reflect.TypeFor[struct{}](), Result: reflect.TypeFor[[]string]()},
			{Name: "case.open", Scope: "cases:act", Acts: true, Params: reflect.TypeFor[struct{}](), Result: reflect.TypeFor[[]string]()},
			{Name: "case.taken", Scope: "cases:act", Acts: true, Params: reflect.TypeFor[struct{}](), Result: reflect.TypeFor[[]string]()},
			{Name: "case.broken", Scope: "cases:act", Acts: true, Params: reflect.TypeFor[struct{}](), Result: reflect.TypeFor[[]string]()},
			{Name: "case.secret", Scope: "cases:act", Acts: true, Params: reflect.TypeFor[struct{}](), Result: reflect.TypeFor[[]string]()},
		},
		Keys: once.New(&entities.Memory{}, now), Secret: func(call string) bool { return call == "case.secret" },
		Caller: func(ctx context.Context) string { return ctx.Value(who{}).(string) },
		Who: func(ctx context.Context, token string) (context.Context, error) {
			switch token {
			case "good", "narrow":
				return context.WithValue(ctx, who{}, token), nil
			case "away":
				return ctx, errors.New("redis: connection refused at 10.0.0.9")
			}
			return ctx, api.ErrDenied
		},
		May: func(ctx context.Context, call string) (string, bool) {
			switch {
			case call == "complaint.take" && ctx.Value(who{}) == "good":
				return "", true
			case !strings.HasPrefix(call, "case."):
				return "", false
			case ctx.Value(who{}) == "narrow":
				return "the token lacks the scope cases:read", false
			}
			return "", true
		},
		Call: func(ctx context.Context, call string, params json.RawMessage) (any, error) {
			switch call {
			case "case.taken":
				return nil, errTaken
			case "case.broken":
				return nil, errors.New("disk at /var/lib/postern is gone")
			}
			made++
			return map[string]any{"call": call, "params": params, "who": ctx.Value(who{}), "made": made}, nil
		},
		Calls: func(context.Context) []api.Call { return []api.Call{{Name: "case.list", Scope: "cases:read"}} },
		Explain: func(err error) (int, string) {
			if errors.Is(err, errTaken) {
				return http.StatusConflict, "somebody else took it"
			}
			return http.StatusInternalServerError, "a fault of ours"
		},
		Now: now, Log: slog.New(slog.NewTextHandler(log, nil)),
	})
	if err != nil {
		panic(err) // of the types above
	}
	return h
}

type request struct{ method, path, token, kind, body string }

func ask(h http.Handler, q request) *httptest.ResponseRecorder {
	r := httptest.NewRequest(q.method, q.path, strings.NewReader(q.body))
	if q.token != "" {
		r.Header.Set("Authorization", "Bearer "+q.token)
	}
	if q.kind != "" {
		r.Header.Set("Content-Type", q.kind)
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

func TestAnswers(t *testing.T) {
	const calls = "/api/v1/calls"
	for name, c := range map[string]struct {
		request
		status int
		part   string
	}{
		"a call":         {request{"POST", calls + "/case.list", "good", "application/json; charset=utf-8", `{"limit":3}`}, 200, `"params":{"limit":3}`},
		"no kind":        {request{"POST", calls + "/case.list", "good", "", `{}`}, 200, `"who":"good"`},
		"list":           {request{"GET", calls, "good", "", ""}, 200, `"scope":"cases:read"`},
		"no token":       {request{"POST", calls + "/case.list", "", "", `{}`}, 401, "a token that is in force is needed"},
		"bad token":      {request{"POST", calls + "/case.list", "bad", "", `{}`}, 401, "a token"},
		"long token":     {request{"POST", calls + "/case.list", strings.Repeat("x", 600), "", `{}`}, 401, "a token"},
		"list, no token": {request{"GET", calls, "", "", ""}, 401, "a token"},
		"elsewhere":      {request{"GET", "/", "", "", ""}, 401, "a token"},
		"unknown call":   {request{"POST", calls + "/nothing", "good", "", `{}`}, 404, "there is no such call"},
		"scope":          {request{"POST", calls + "/case.list", "narrow", "", `{}`}, 403, "lacks the scope cases:read"},
		"other kind":     {request{"POST", calls + "/case.list", "good", "text/plain", `{}`}, 415, "application/json"},
		"too large":      {request{"POST", calls + "/case.list", "good", "", strings.Repeat(" ", api.MaxBody+1)}, 413, "1048576 octets"},
		"refused":        {request{"POST", calls + "/case.taken", "good", "", `{}`}, 409, "somebody else took it"},
		"broken":         {request{"POST", calls + "/case.broken", "good", "", `{}`}, 500, "a fault of ours"},
		"store away":     {request{"POST", calls + "/case.list", "away", "", `{}`}, 503, "the store does not answer"},
		"other method":   {request{"DELETE", calls + "/case.list", "good", "", ""}, 405, ""},
	} {
		var log bytes.Buffer
		w := ask(handler(&log, time.Now), c.request)
		if w.Code != c.status || !strings.Contains(w.Body.String(), c.part) {
			t.Errorf("%s: %d %s", name, w.Code, w.Body)
		}
		if strings.Contains(w.Body.String(), "10.0.0.9") || strings.Contains(w.Body.String(), "/var/lib") {
			t.Errorf("%s: the caller reads what broke: %s", name, w.Body)
		}
		if c.status >= 500 && log.Len() == 0 {
			t.Errorf("%s: nothing in the log", name)
		}
		if w.Header().Get("Cache-Control") != "no-store" {
			t.Errorf("%s: may be cached", name)
		}
		if c.status < 400 || c.status == 405 {
			continue
		}
		var p api.Problem
		if err := json.Unmarshal(w.Body.Bytes(), &p); err != nil || p.Status != c.status || p.Title == "" || w.Header().Get("Content-Type") != "application/problem+json" {
			t.Errorf("%s: no problem as RFC 9457 writes it: %s", name, w.Body)
		}
	}
}

func TestGuessingTokensIsSlow(t *testing.T) {
	now := time.Unix(1_900_000_000, 0)
	h := handler(io.Discard, func() time.Time { return now })
	q := request{"GET", "/api/v1/calls", "bad", "", ""}
	for i := range api.Failures {
		if w := ask(h, q); w.Code != 401 {
			t.Fatalf("try %d: %d", i, w.Code)
		}
	}
	q.token = "good" // not even looked at: guesses cost nothing more
	if w := ask(h, q); w.Code != 429 || w.Header().Get("Retry-After") == "" {
		t.Errorf("after %d wrong tokens: %d", api.Failures, w.Code)
	}
	now = now.Add(time.Minute)
	if w := ask(h, q); w.Code != 200 {
		t.Errorf("a minute later: %d", w.Code)
	}
}

func TestComplaintsAreHandedIn(t *testing.T) {
	h := handler(io.Discard, time.Now)
	post := func(token, kind, key, body string) (int, string) {
		r := httptest.NewRequest("POST", "/api/v1/complaints", strings.NewReader(body))
		r.Header.Set("Authorization", "Bearer "+token)
		r.Header.Set("Content-Type", kind)
		r.Header.Set("Idempotency-Key", key)
		rec := httptest.NewRecorder()
		h.ServeHTTP(rec, r)
		if rec.Code >= 400 && rec.Header().Get("Content-Type") != "application/problem+json" {
			t.Errorf("%d is %s", rec.Code, rec.Header().Get("Content-Type"))
		}
		return rec.Code, rec.Body.String()
	}
	for name, c := range map[string]struct {
		token, kind, key, body string
		code                   int
	}{
		"XARF": {"good", "application/xarf+json", "k1", "{}", 202}, "JSON": {"good", "application/json; charset=utf-8", "", "{}", 202}, "mail": {"good", "message/rfc822", "", "From: a@b\r\n\r\n", 202},
		"ARF": {"good", `multipart/report; boundary="x"; report-type=feedback-report`, "", "--x--", 202}, "text": {"good", "text/plain", "", "x", 415}, "no type": {"good", "", "", "x", 415},
		"empty": {"good", "application/json", "", "", 400}, "long key": {"good", "application/json", strings.Repeat("k", api.MaxKey+1), "{}", 400},
		"large": {"good", "message/rfc822", "", strings.Repeat("x", api.MaxComplaint+1), 413}, "no scope": {"narrow", "application/json", "", "{}", 403}, "nobody": {"bad", "application/json", "", "{}", 401},
	} {
		code, body := post(c.token, c.kind, c.key, c.body)
		if code != c.code {
			t.Errorf("%s: %d %s", name, code, body)
		}
		if name == "XARF" && (!strings.Contains(body, `"key":"k1"`) || !strings.Contains(body, `"document":"e30="`)) {
			t.Errorf("%s", body)
		}
	}
}

func TestAnActWithAKeyHappensOnce(t *testing.T) {
	var log bytes.Buffer
	now := time.Unix(1_900_000_000, 0)
	h := handler(&log, func() time.Time { return now })
	post := func(token, call, key, body string) *httptest.ResponseRecorder {
		r := httptest.NewRequest("POST", "/api/v1/calls/"+call, strings.NewReader(body))
		r.Header.Set("Authorization", "Bearer "+token)
		r.Header.Set("Idempotency-Key", key)
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		return w
	}
	first := post("good", "case.open", "k", `{"a":1}`)
	for i, c := range []struct {
		call, key, body string
		code            int
		again           bool
		like            string // a part of the body; "": that of the first
	}{
		{"case.open", "k", `{"a":1}`, 200, true, ""},
		{"case.open", "k", `{"a":2}`, 422, false, "another request"},
		{"case.secret", "k", `{"a":1}`, 422, false, "another request"},
		{"case.open", "l", `{"a":1}`, 200, false, `"made":2`},
		{"case.list", "k", `{}`, 200, false, `"made":3`}, // what only reads keeps no key
		{"case.list", "k", `{}`, 200, false, `"made":4`},
		{"case.taken", "t", `{}`, 409, false, "somebody else took it"},
		{"case.taken", "t", `{}`, 409, true, "somebody else took it"},
		{"case.broken", "b", `{}`, 500, false, "a fault of ours"},
		{"case.broken", "b", `{}`, 500, false, "a fault of ours"}, // a fault is nobody's last word
		{"case.secret", "s", `{}`, 200, false, `"made":5`},
		{"case.secret", "s", `{}`, 204, true, ""},
		{"case.open", strings.Repeat("k", api.MaxKey+1), `{}`, 400, false, "200 octets"},
	} {
		w := post("good", c.call, c.key, c.body)
		want := c.like
		if want == "" && c.code == 200 {
			want = first.Body.String()
		}
		if w.Code != c.code || (w.Header().Get("Idempotent-Replayed") == "true") != c.again || !strings.Contains(w.Body.String(), want) {
			t.Errorf("%d %s %s: %d again %q: %s", i, c.call, c.key, w.Code, w.Header().Get("Idempotent-Replayed"), w.Body)
		}
		if c.code >= 400 != (w.Header().Get("Content-Type") == "application/problem+json") {
			t.Errorf("%d %s: %d is %s", i, c.call, w.Code, w.Header().Get("Content-Type"))
		}
	}
	now = now.Add(once.Kept)
	if w := post("good", "case.open", "k", `{"a":1}`); w.Code != 200 || w.Header().Get("Idempotent-Replayed") != "" {
		t.Errorf("a day later: %d %v", w.Code, w.Header())
	}
}

func TestTheDocumentDescribesEveryRoute(t *testing.T) {
	w := ask(handler(io.Discard, time.Now), request{"GET", "/api/v1/openapi.json", "narrow", "", ""})
	var d struct {
		OpenAPI string                               `json:"openapi"`
		Paths   map[string]map[string]map[string]any `json:"paths"`
	}
	if err := json.Unmarshal(w.Body.Bytes(), &d); err != nil || w.Code != 200 || d.OpenAPI != openapi.Version {
		t.Fatalf("%d %v %s", w.Code, err, w.Body)
	}
	for path, method := range map[string]string{"/api/v1/calls": "get", "/api/v1/openapi.json": "get", "/api/v1/complaints": "post", "/api/v1/calls/case.open": "post"} {
		if d.Paths[path][method] == nil {
			t.Errorf("%s %s is not described", method, path)
		}
	}
	if w := ask(handler(io.Discard, time.Now), request{"GET", "/api/v1/openapi.json", "", "", ""}); w.Code != 401 {
		t.Errorf("nobody reads it without a token: %d", w.Code)
	}
}
