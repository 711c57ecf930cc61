// Package openapi describes the API to programs: an OpenAPI 3.1 document made from the Go types
// that the calls take and answer, so that it cannot say anything else than they do.
package openapi

import (
	"encoding/json"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
)

// Versions of the OpenAPI Specification, and of the API.
const (
	Version    = "3.1.0"
	APIVersion = "1"
)

// Call is a named call of the API.
type Call struct {
	Name    string
	Scope   string
	Summary string // one sentence
	Acts    bool   // it changes something: an Idempotency-Key is kept
	Params  reflect.Type
	Result  reflect.Type
}

// Route is an endpoint beside the calls.
type Route struct {
	Method, Path string // as net/http writes them, with {name}
	Scope        string // "": any token
	Summary      string
	Acts         bool
	Query        []Param
	Body         []string // media types of a body that is taken as it is; nil: none
	Status       int      // of the answer
	Media        string   // of the answer; "": application/json
	Result       reflect.Type
}

// Param is a parameter in the query.
type Param struct {
	Name, Summary string
	Number        bool
}

// object is a JSON object of the document.
type object = map[string]any

// Document writes the document. The error names a call whose types
// cannot be described.
func Document(calls []Call, routes []Route) ([]byte, error) {
	s := newSchemas()
	paths := object{}
	for _, c := range calls {
		item, err := s.call(c)
		if err != nil {
			return nil, err
		}
		paths["/api/v1/calls/"+c.Name] = object{"post": item}
	}
	for _, r := range routes {
		item, err := s.route(r)
		if err != nil {
			return nil, err
		}
		at, ok := paths[r.Path].(object)
		if !ok {
			at = object{}
			paths[r.Path] = at
		}
		at[strings.ToLower(r.Method)] = item
	}
	s.all["Problem"] = problem()
	return json.Marshal(object{
		"openapi": Version,
		"info": object{
			"title": "Postern", "version": APIVersion, "license": object{"name": "Apache-2.0", "identifier": "Apache-2.0"},
			"description": "What the command line and the desk in the browser do, for programs. A token calls what its scopes allow.",
		},
		"servers":  []any{object{"url": "/", "description": "where this document came from"}},
		"security": []any{object{"token": []any{}}},
		"tags":     tags(calls),
		"paths":    paths,
		"components": object{
			"securitySchemes": object{"token": object{"type": "http", "scheme": "bearer", "description": "postern token add NAME --scope SCOPE"}},
			"schemas":         s.all,
			"responses":       refusals(),
			"parameters":      object{"Idempotency-Key": key()},
		},
	})
}

func tags(calls []Call) []any {
	seen := map[string]bool{"other": true}
	for _, c := range calls {
		seen[family(c.Name)] = true
	}
	out := []any{}
	for _, name := range slices.Sorted(maps.Keys(seen)) {
		out = append(out, object{"name": name})
	}
	return out
}

// family is what a call is about: "case" of "case.list".
func family(call string) string {
	name, _, _ := strings.Cut(call, ".")
	return name
}

func (s *schemas) call(c Call) (object, error) {
	params, err := s.params(c.Params)
	if err != nil {
		return nil, fmt.Errorf("parameters of %s: %w", c.Name, err)
	}
	result, err := s.result(c.Result)
	if err != nil {
		return nil, fmt.Errorf("answer of %s: %w", c.Name, err)
	}
	return operation(object{
		"operationId": c.Name,
		"tags":        []any{family(c.Name)},
		"requestBody": object{"required": false, "content": media("application/json", params)},
	}, c.Summary, c.Scope, c.Acts, 200, media("application/json", result)), nil
}

func (s *schemas) route(r Route) (object, error) {
	media200 := object{}
	switch {
	case r.Result != nil:
		result, err := s.result(r.Result)
		if err != nil {
			return nil, fmt.Errorf("answer of %s %s: %w", r.Method, r.Path, err)
		}
		media200 = media("application/json", result)
	case r.Media != "":
		media200 = media(r.Media, object{"type": "string"})
	}
	o := object{"operationId": strings.ToLower(r.Method) + r.Path, "tags": []any{"other"}}
	params := []any{}
	for _, name := range inPath(r.Path) {
		params = append(params, object{"name": name, "in": "path", "required": true, "schema": object{"type": "string"}})
	}
	for _, q := range r.Query {
		kind := "string"
		if q.Number {
			kind = "integer"
		}
		params = append(params, object{"name": q.Name, "in": "query", "description": q.Summary, "schema": object{"type": kind}})
	}
	if len(params) > 0 {
		o["parameters"] = params
	}
	if len(r.Body) > 0 {
		content := object{}
		for _, m := range r.Body {
			content[m] = object{}
		}
		o["requestBody"] = object{"required": true, "content": content}
	}
	return operation(o, r.Summary, r.Scope, r.Acts, r.Status, media200), nil
}

// inPath lists the {names} of a path.
func inPath(path string) (names []string) {
	for part := range strings.SplitSeq(path, "/") {
		if strings.HasPrefix(part, "{") {
			names = append(names, strings.Trim(part, "{}."))
		}
	}
	return names
}

func media(kind string, schema any) object { return object{kind: object{"schema": schema}} }

// operation adds what all operations have.
func operation(o object, summary, scope string, acts bool, status int, content object) object {
	o["summary"] = summary
	if scope != "" {
		o["security"] = []any{object{"token": []any{scope}}}
		o["description"] = "Needs the scope `" + scope + "`."
	}
	if acts {
		params, _ := o["parameters"].([]any)
		o["parameters"] = append(params, object{"$ref": "#/components/parameters/Idempotency-Key"})
	}
	done := object{"description": "done"}
	if len(content) > 0 {
		done["content"] = content
	}
	answers := object{fmt.Sprint(status): done}
	for code, name := range refused {
		answers[code] = object{"$ref": "#/components/responses/" + name}
	}
	if acts {
		answers["422"] = object{"$ref": "#/components/responses/KeyReused"}
	}
	o["responses"] = answers
	return o
}
