// Package keys says what may stand where in the operator's files.
package keys

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"postern/internal/config"
)

// Entry is a key that may be written.
type Entry struct {
	Path     string   `json:"path"` // "patterns[].in"; * stands for any name
	Type     string   `json:"type"` // text, number, yes-no, list, keys, duration, size ...
	Values   []string `json:"values,omitempty"`
	Describe string   `json:"describe"`
	Example  string   `json:"example,omitempty"`
}

// Of are all keys of a kind of files.
func Of(kind string) ([]Entry, error) {
	switch kind {
	case "rules", "default":
		return rulesKeys(), nil
	case "calendar", "calendar-own":
		return calendarKeys(), nil
	case "config":
		return configKeys()
	}
	return nil, fmt.Errorf("kind: rules, config or calendar; not %q", kind)
}

// Find is the key at a path, if it is one, and those that may stand at that place: its own, or
// else those beside it.
func Find(all []Entry, path string) (*Entry, []Entry) {
	for at := path; ; {
		var here *Entry
		if i := index(all, at); i >= 0 {
			here = &all[i]
		}
		if under := children(all, at); here != nil && len(under) > 0 || at == "" {
			if at != path {
				return nil, under
			}
			return here, under
		}
		parent := above(at)
		if here != nil && at == path {
			return here, children(all, parent)
		}
		at = parent
	}
}

// index finds the key at a path; one with a name that has dots only where there is no other.
func index(all []Entry, path string) int {
	same := func(k Entry) bool { return len(parts(k.Path)) == len(parts(path)) && fits(k.Path, path) }
	if i := slices.IndexFunc(all, same); i >= 0 {
		return i
	}
	return slices.IndexFunc(all, func(k Entry) bool { return fits(k.Path, path) })
}

// above is the path without its last step.
func above(path string) string {
	if rest, ok := strings.CutSuffix(path, "[]"); ok {
		return rest
	}
	return path[:max(strings.LastIndexByte(path, '.'), 0)]
}

func children(all []Entry, path string) []Entry {
	out := []Entry{}
	for _, k := range all {
		switch parent := above(k.Path); {
		case parent == "" && path == "" && k.Path != "":
			out = append(out, k)
		case path == "" || parent == "":
		case fits(parent, path), strings.HasSuffix(parent, "[]") && fits(strings.TrimSuffix(parent, "[]"), path):
			out = append(out, k)
		}
	}
	return out
}

// fits compares the path of a key with one in a file. A name in a file may hold dots.
func fits(key, path string) bool {
	a, b := parts(key), parts(path)
	if len(a) > 1 && len(b) > len(a) && a[1] == "*" && slices.Contains([]string{"recipients", "accounts", "routes"}, a[0]) { // dots in the name
		i := slices.Index(a, "*")
		tail := len(a) - i - 1
		if fits := slices.Equal(a[:i], b[:i]) && slices.Equal(a[i+1:], b[len(b)-tail:]); fits {
			return true
		}
	}
	if len(a) != len(b) {
		return false
	}
	for i := range a {
		if a[i] != "*" && a[i] != b[i] {
			return false
		}
	}
	return true
}

func parts(path string) []string {
	if path == "" {
		return nil
	}
	return strings.Split(strings.ReplaceAll(path, "[]", ".[]"), ".")
}

// schema is the part of a JSON Schema that matters here.
type schema struct {
	Ref         string             `json:"$ref"`
	Type        any                `json:"type"`
	Description string             `json:"description"`
	Enum        []any              `json:"enum"`
	Properties  map[string]*schema `json:"properties"`
	Additional  json.RawMessage    `json:"additionalProperties"`
	Items       *schema            `json:"items"`
	Defs        map[string]*schema `json:"$defs"`
	Examples    []any              `json:"examples"`
}

// configKeys reads the schema of the configuration.
func configKeys() ([]Entry, error) {
	raw, err := config.Schema()
	if err != nil {
		return nil, err
	}
	var root schema
	if err := json.Unmarshal(raw, &root); err != nil {
		return nil, err
	}
	var out []Entry
	root.walk("", root.Defs, &out, 0)
	slices.SortStableFunc(out, func(a, b Entry) int { return strings.Compare(a.Path, b.Path) })
	return out, nil
}

// maxSteps bounds how deep a schema is followed.
const maxSteps = 8

func (s *schema) walk(path string, defs map[string]*schema, out *[]Entry, depth int) {
	n := s
	if n.Ref != "" {
		if n = defs[n.Ref[strings.LastIndexByte(n.Ref, '/')+1:]]; n == nil {
			return
		}
	}
	if path != "" {
		*out = append(*out, s.key(path, n))
	}
	if depth == maxSteps {
		return
	}
	for name, p := range n.Properties {
		p.walk(strings.TrimPrefix(path+"."+name, "."), defs, out, depth+1)
	}
	var more schema
	if len(n.Additional) > 0 && n.Additional[0] == '{' && json.Unmarshal(n.Additional, &more) == nil {
		more.walk(path+".*", defs, out, depth+1)
	}
	if n.Items != nil {
		inner := n.Items
		if inner.Ref != "" {
			inner = defs[inner.Ref[strings.LastIndexByte(inner.Ref, '/')+1:]]
		}
		if inner != nil {
			for name, p := range inner.Properties {
				p.walk(path+"[]."+name, defs, out, depth+1)
			}
		}
	}
}

func (s *schema) key(path string, n *schema) Entry {
	k := Entry{Path: path, Type: "text", Describe: s.Description}
	if k.Describe == "" {
		k.Describe = n.Description
	}
	switch {
	case strings.HasSuffix(s.Ref, "/Duration"):
		k.Type, k.Example = "duration", "90s, 5m, 12h, 30d"
	case strings.HasSuffix(s.Ref, "/Size"):
		k.Type, k.Example = "size", "256kB, 25MB, 5GB"
	case n.Items != nil:
		k.Type = "list"
	case len(n.Properties) > 0 || len(n.Additional) > 0 && n.Additional[0] == '{':
		k.Type = "keys"
	case n.Type == "boolean":
		k.Type, k.Values = "yes-no", []string{"true", "false"}
	case n.Type == "integer", n.Type == "number":
		k.Type = "number"
	}
	values := n.Enum
	if s != n { // where it is used may say more than what it is
		values = slices.Concat(s.Enum, n.Enum)
	}
	for _, e := range values {
		k.Values = append(k.Values, fmt.Sprint(e))
	}
	return k
}
