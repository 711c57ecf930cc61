package openapi_test

import (
	"bytes"
	"encoding/json"
	"net/netip"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"postern/internal/desk/openapi"
)

type Inner struct {
	Name string   `json:"name"`
	List []string `json:"list"`
}

type taken struct {
	Limit int   `json:"limit"`
	Inner Inner `json:"inner"`
}

type answered struct {
	At    time.Time         `json:"at"`
	For   time.Duration     `json:"for"`
	From  netip.Addr        `json:"from"`
	Raw   []byte            `json:"raw"`
	Any   json.RawMessage   `json:"any"`
	Inner []Inner           `json:"inner"`
	Map   map[string]*Inner `json:"map"`
	Self  *answered         `json:"self,omitempty"`
}

func document(t *testing.T, calls []openapi.Call, routes []openapi.Route) (map[string]any, *jsonschema.Compiler) {
	text, err := openapi.Document(calls, routes)
	if err != nil {
		t.Fatal(err)
	}
	v, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	c := jsonschema.NewCompiler()
	c.DefaultDraft(jsonschema.Draft2020)
	if err := c.AddResource("x:doc", v); err != nil {
		t.Fatal(err)
	}
	return v.(map[string]any), c
}

func TestWhatGoWritesFitsTheSchema(t *testing.T) {
	_, c := document(t, []openapi.Call{{Name: "a.b", Scope: "a:read", Params: reflect.TypeFor[taken](), Result: reflect.TypeFor[answered]()}}, nil)
	const at = "x:doc#/paths/~1api~1v1~1calls~1a.b/post/"
	result, err := c.Compile(at + "responses/200/content/application~1json/schema")
	if err != nil {
		t.Fatal(err)
	}
	params, err := c.Compile(at + "requestBody/content/application~1json/schema")
	if err != nil {
		t.Fatal(err)
	}
	full := answered{
		At: time.Unix(1, 0), For: time.Second, From: netip.MustParseAddr("::1"), Raw: []byte("x"), Any: json.RawMessage(`[1,{"a":null}]`),
		Inner: []Inner{{"n", nil}}, Map: map[string]*Inner{"k": {Name: "m", List: []string{"l"}}}, Self: &answered{Any: json.RawMessage("null")},
	}
	for name, v := range map[string]any{"full": full, "nothing made": answered{Any: json.RawMessage("null")}} {
		if err := result.Validate(through(t, v)); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	for text, fits := range map[string]bool{
		`{}`: true, `{"limit":1}`: true, `{"inner":{}}`: true, `{"limit":"1"}`: false, `{"limits":1}`: false, `{"inner":{"name":1}}`: false, `[]`: false,
	} {
		v, err := jsonschema.UnmarshalJSON(strings.NewReader(text))
		if err != nil {
			t.Fatal(err)
		}
		if err := params.Validate(v); (err == nil) != fits {
			t.Errorf("%s: %v", text, err)
		}
	}
	for _, text := range []string{`{}`, `{"at":1}`} {
		v, _ := jsonschema.UnmarshalJSON(strings.NewReader(text))
		if result.Validate(v) == nil {
			t.Errorf("an answer %s fits", text)
		}
	}
}

func through(t *testing.T, v any) any {
	text, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	out, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func TestOperations(t *testing.T) {
	doc, _ := document(t,
		[]openapi.Call{
			{Name: "a.read", Scope: "a:read", Summary: "Reads.", Params: reflect.TypeFor[struct{}](), Result: reflect.TypeFor[string]()},
			{Name: "a.act", Scope: "a:act", Summary: "Acts.", Acts: true, Params: reflect.TypeFor[struct{}](), Result: reflect.TypeFor[any]()},
		},
		[]openapi.Route{
			{Method: "GET", Path: "/api/v1/x/{id}", Query: []openapi.Param{{Name: "n", Number: true}}, Status: 200, Media: "message/rfc822"},
			{Method: "DELETE", Path: "/api/v1/x/{id}", Acts: true, Status: 204},
			{Method: "POST", Path: "/api/v1/y", Body: []string{"message/rfc822"}, Status: 202, Result: reflect.TypeFor[Inner]()},
		})
	paths := doc["paths"].(map[string]any)
	op := func(path, method string) string {
		text, err := json.Marshal(paths[path].(map[string]any)[method])
		if err != nil {
			t.Fatal(err)
		}
		return string(text)
	}
	for _, c := range []struct {
		path, method string
		has, lacks   []string
	}{
		{"/api/v1/calls/a.read", "post", []string{`"token":["a:read"]`, `"Reads."`, `"401"`}, []string{"Idempotency-Key", "422"}},
		{"/api/v1/calls/a.act", "post", []string{"Idempotency-Key", "KeyReused"}, nil},
		{"/api/v1/x/{id}", "get", []string{`"in":"path","name":"id"`, `"in":"query","name":"n"`, `"integer"`, "message/rfc822"}, []string{"requestBody"}},
		{"/api/v1/x/{id}", "delete", []string{`"204":{"description":"done"}`, "Idempotency-Key"}, nil},
		{"/api/v1/y", "post", []string{`"202"`, "openapi_test.Inner", "requestBody"}, nil},
	} {
		got := op(c.path, c.method)
		for _, part := range c.has {
			if !strings.Contains(got, part) {
				t.Errorf("%s %s lacks %s: %s", c.method, c.path, part, got)
			}
		}
		for _, part := range c.lacks {
			if strings.Contains(got, part) {
				t.Errorf("%s %s has %s: %s", c.method, c.path, part, got)
			}
		}
	}
}

func TestWhatCannotBeDescribedIsNamed(t *testing.T) {
	for name, typ := range map[string]reflect.Type{"channel": reflect.TypeFor[struct{ C chan int }]()} {
		_, err := openapi.Document([]openapi.Call{{Name: "a.b", Params: typ, Result: reflect.TypeFor[string]()}}, nil)
		if err == nil || !strings.Contains(err.Error(), "a.b") {
			t.Errorf("%s: %v", name, err)
		}
	}
}
