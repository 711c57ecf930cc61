package openapi

import (
	"encoding"
	"encoding/json"
	"fmt"
	"path"
	"reflect"
	"time"

	"github.com/invopop/jsonschema"
)

// schemas are the types met so far. A type has two: what is taken may leave out every field,
// what is answered has all that are never left out.
type schemas struct {
	all   object
	owner map[string]reflect.Type
	clash error
}

func newSchemas() *schemas { return &schemas{all: object{}, owner: map[string]reflect.Type{}} }

// params is the schema of what a call takes, which knows no field beside its own.
func (s *schemas) params(t reflect.Type) (any, error) {
	v, err := s.reflect(t, "-in", true)
	if o, ok := v.(object); ok && err == nil && t.Kind() == reflect.Struct {
		o["unevaluatedProperties"] = false
	}
	return v, err
}

func (s *schemas) result(t reflect.Type) (any, error) { return s.reflect(t, "", false) }

func (s *schemas) reflect(t reflect.Type, suffix string, in bool) (schema any, err error) {
	defer func() {
		if p := recover(); p != nil { // the reflector's word for a type that JSON has not
			err = fmt.Errorf("%v cannot be described: %v", t, p)
		}
	}()
	r := &jsonschema.Reflector{
		Anonymous: true, AllowAdditionalProperties: true, RequiredFromJSONSchemaTags: in, Mapper: mapped,
		Namer: func(t reflect.Type) string { return s.name(t, suffix) },
	}
	text, err := json.Marshal(r.ReflectFromType(t))
	if err != nil {
		return nil, err
	}
	var v any
	if err := json.Unmarshal(text, &v); err != nil {
		return nil, err
	}
	o, ok := s.tidy(v, in).(object)
	if !ok {
		return v, s.clash
	}
	delete(o, "$schema")
	defs, _ := o["$defs"].(object)
	delete(o, "$defs")
	for name, d := range defs {
		s.all[name] = d
	}
	return o, s.clash
}

// name is a type's among the schemas: of its package and itself.
func (s *schemas) name(t reflect.Type, suffix string) string {
	if t.Name() == "" {
		return ""
	}
	name := path.Base(t.PkgPath()) + "." + t.Name() + suffix
	if had, ok := s.owner[name]; ok && had != t {
		s.clash = fmt.Errorf("%v of %s and %v of %s have one name", t, t.PkgPath(), had, had.PkgPath())
	}
	s.owner[name] = t
	return name
}

// mapped are the types that write themselves.
func mapped(t reflect.Type) *jsonschema.Schema {
	switch {
	case t == reflect.TypeFor[time.Time]():
		return &jsonschema.Schema{Type: "string", Format: "date-time"}
	case t == reflect.TypeFor[time.Duration]():
		return &jsonschema.Schema{Type: "integer", Description: "nanoseconds"}
	case is[json.Marshaler](t):
		return &jsonschema.Schema{}
	case is[encoding.TextMarshaler](t):
		return &jsonschema.Schema{Type: "string"}
	}
	return nil
}

func is[I any](t reflect.Type) bool {
	want := reflect.TypeFor[I]()
	return t.Implements(want) || reflect.PointerTo(t).Implements(want)
}

// tidy moves references to where the document keeps its schemas, and lets lists, maps and octets
// of an answer be null, which is how Go writes one that was never made.
func (s *schemas) tidy(v any, in bool) any {
	switch v := v.(type) {
	case []any:
		for i := range v {
			v[i] = s.tidy(v[i], in)
		}
	case object:
		for k, x := range v {
			v[k] = s.tidy(x, in)
		}
		if ref, ok := v["$ref"].(string); ok {
			v["$ref"] = "#/components/schemas/" + path.Base(ref)
		}
		kind, _ := v["type"].(string)
		_, fields := v["properties"]
		_, octets := v["contentEncoding"]
		if !in && (kind == "array" || kind == "object" && !fields || octets) {
			v["type"] = []any{kind, "null"}
		}
	}
	return v
}
