package access_test

import (
	"bytes"
	"context"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"postern/cmd/postern/access"
	"postern/cmd/postern/gateway"
	"postern/internal/desk/once"
	"postern/internal/mailtest/entities"
	"postern/internal/people"
)

// programs is the API of a gateway, and the token of a postmaster.
func programs(t *testing.T, g *gateway.Gateway) (http.Handler, string) {
	dir := people.New(&entities.Memory{}, time.Now, func(context.Context, string, string, string, any, any, string) error { return nil })
	h, err := (&access.Access{Calls: g.Calls(), People: dir, Keys: once.New(&entities.Memory{}, time.Now), Now: time.Now, Log: slog.New(slog.NewTextHandler(io.Discard, nil))}).Handler()
	if err != nil {
		t.Fatal(err)
	}
	u, err := dir.Add(t.Context(), "root", people.User{Name: "post", Role: people.Postmaster}, "")
	if err != nil {
		t.Fatal(err)
	}
	token, _, err := dir.AddToken(t.Context(), "root", u.Name, "t", nil, time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	return h, token
}

func get(t *testing.T, h http.Handler, token, method, path, body string) (int, []byte) {
	r := httptest.NewRequest(method, path, strings.NewReader(body))
	r.Header.Set("Authorization", "Bearer "+token)
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w.Code, w.Body.Bytes()
}

// TestAnswersAreAsDescribed makes the calls that need no parameters, and holds each answer
// against the schema that the document has for it.
func TestAnswersAreAsDescribed(t *testing.T) {
	h, token := programs(t, build(t))
	code, text := get(t, h, token, "GET", "/api/v1/openapi.json", "")
	if code != 200 {
		t.Fatalf("%d %s", code, text)
	}
	if file := os.Getenv("POSTERN_OPENAPI"); file != "" { // for a judge outside
		if err := os.WriteFile(file, text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	c := jsonschema.NewCompiler()
	c.DefaultDraft(jsonschema.Draft2020)
	if err := c.AddResource("postern:api", doc); err != nil {
		t.Fatal(err)
	}
	tried := 0
	for _, name := range access.Known() {
		at := "postern:api#/paths/~1api~1v1~1calls~1" + name + "/post"
		params, err := c.Compile(at + "/requestBody/content/application~1json/schema")
		if err != nil {
			t.Errorf("parameters of %s: %v", name, err)
			continue
		}
		result, err := c.Compile(at + "/responses/200/content/application~1json/schema")
		if err != nil {
			t.Errorf("answer of %s: %v", name, err)
			continue
		}
		if params.Validate(map[string]any{"no such field": 1.0}) == nil && name != "status" {
			t.Errorf("%s: the document lets in a field that the call refuses", name)
		}
		scope, _ := access.Needs(name)
		if !scope.Reads() {
			continue
		}
		code, body := get(t, h, token, "POST", "/api/v1/calls/"+name, `{}`)
		if code != 200 {
			continue // it needs to know of what
		}
		tried++
		v, err := jsonschema.UnmarshalJSON(bytes.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		if err := result.Validate(v); err != nil {
			t.Errorf("%s: %v\n%s", name, err, body)
		}
	}
	if tried < 30 {
		t.Errorf("only %d calls answered", tried)
	}
	t.Logf("%d of %d calls answered", tried, len(access.Known()))
}
