package strict

import (
	"errors"
	"fmt"
	"reflect"
	"strings"

	"postern/internal/said"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
)

// syntax turns the parser's error into one with a place.
func (d *Document) syntax(err error) {
	at := Place{File: d.File}
	message := err.Error()
	var syn *yaml.SyntaxError
	if errors.As(err, &syn) {
		message = syn.Message
		if syn.Token != nil && syn.Token.Position != nil {
			at.Line, at.Column = syn.Token.Position.Line, syn.Token.Position.Column
		}
	}
	d.fail(at, "yaml.syntax", "%s", "what", strings.SplitN(message, "\n", 2)[0])
}

// value decodes one node into v, which stands at path.
func (d *Document) value(n ast.Node, v reflect.Value, path string, depth int) {
	if path != "" {
		d.places[path] = d.place(n)
	}
	if depth > MaxDepth {
		d.fail(d.place(n), "yaml.nested-deeper-than", "nested deeper than %d", "most", MaxDepth)
		return
	}
	switch n.Type() {
	case ast.AnchorType, ast.AliasType, ast.MergeKeyType, ast.TagType:
		d.fail(d.place(n), "yaml.anchors-aliases-merge-keys-and-tags-are", "anchors, aliases, merge keys and tags are not read here")
		return
	case ast.NullType:
		return
	}
	if t, ok := v.Addr().Interface().(Text); ok {
		d.text(n, t)
		return
	}
	switch v.Kind() {
	case reflect.Pointer:
		if v.IsNil() {
			v.Set(reflect.New(v.Type().Elem()))
		}
		d.value(n, v.Elem(), path, depth)
	case reflect.Struct:
		d.fields(n, v, path, depth)
	case reflect.Map:
		d.entries(n, v, path, depth)
	case reflect.Slice:
		d.elements(n, v, path, depth)
	default:
		d.scalar(n, v)
	}
}

// pairs lists the key-value pairs of a mapping.
func (d *Document) pairs(n ast.Node) ([]*ast.MappingValueNode, bool) {
	switch m := n.(type) {
	case *ast.MappingNode:
		return m.Values, true
	case *ast.MappingValueNode:
		return []*ast.MappingValueNode{m}, true
	}
	d.fail(d.place(n), "yaml.expected-keys-and-values-found", "expected keys and values, found %s", "found", kindName(n))
	return nil, false
}

// key is the text of a mapping key; ok is false when it was written twice or is no plain key.
func (d *Document) key(kv *ast.MappingValueNode, seen map[string]Place) (string, bool) {
	at := d.place(kv.Key)
	name, ok := plain(kv.Key)
	if !ok {
		d.fail(at, "yaml.this-is-no-plain-key", "this is no plain key")
		return "", false
	}
	if before, twice := seen[name]; twice {
		d.fail(at, "yaml.is-written-twice-first-at-line", "%q is written twice, first at line %d", "name", name, "line", before.Line)
		return "", false
	}
	seen[name] = at
	return name, true
}

func (d *Document) fields(n ast.Node, v reflect.Value, path string, depth int) {
	pairs, ok := d.pairs(n)
	if !ok {
		return
	}
	byName := map[string]reflect.Value{}
	var known []string
	for i := range v.NumField() {
		if name, _, _ := strings.Cut(v.Type().Field(i).Tag.Get("yaml"), ","); name != "" && name != "-" {
			byName[name] = v.Field(i)
			known = append(known, name)
		}
	}
	seen := map[string]Place{}
	for _, kv := range pairs {
		name, ok := d.key(kv, seen)
		if !ok {
			continue
		}
		field, ok := byName[name]
		if !ok {
			d.fail(d.place(kv.Key), "yaml.unknown-key", "unknown key %q%s", "name", name, "hint", Hint(name, known))
			continue
		}
		d.value(kv.Value, field, join(path, name), depth+1)
	}
}

func (d *Document) entries(n ast.Node, v reflect.Value, path string, depth int) {
	pairs, ok := d.pairs(n)
	if !ok {
		return
	}
	if v.IsNil() {
		v.Set(reflect.MakeMap(v.Type()))
	}
	seen := map[string]Place{}
	for _, kv := range pairs {
		name, ok := d.key(kv, seen)
		if !ok {
			continue
		}
		key := reflect.New(v.Type().Key()).Elem()
		if t, ok := key.Addr().Interface().(Text); ok {
			if err := t.UnmarshalText([]byte(name)); err != nil {
				d.because(d.place(kv.Key), err)
				continue
			}
		} else {
			key.SetString(name)
		}
		one := reflect.New(v.Type().Elem()).Elem()
		if old := v.MapIndex(key); old.IsValid() {
			one.Set(old)
		}
		d.value(kv.Value, one, path+"["+name+"]", depth+1)
		v.SetMapIndex(key, one)
	}
}

func (d *Document) elements(n ast.Node, v reflect.Value, path string, depth int) {
	seq, ok := n.(*ast.SequenceNode)
	if _, one := v.Addr().Interface().(List); one && !ok {
		v.Set(reflect.MakeSlice(v.Type(), 1, 1))
		d.value(n, v.Index(0), path, depth+1)
		return
	}
	if !ok {
		d.fail(d.place(n), "yaml.expected-a-list-found", "expected a list, found %s", "found", kindName(n))
		return
	}
	v.Set(reflect.MakeSlice(v.Type(), len(seq.Values), len(seq.Values)))
	for i, one := range seq.Values {
		d.value(one, v.Index(i), fmt.Sprintf("%s[%d]", path, i), depth+1)
	}
}

func (d *Document) text(n ast.Node, t Text) {
	s, ok := plain(n)
	if !ok {
		d.fail(d.place(n), "yaml.expected-one-value-found", "expected one value, found %s", "found", kindName(n))
		return
	}
	if err := t.UnmarshalText([]byte(s)); err != nil {
		d.because(d.place(n), err)
	}
}

func (d *Document) scalar(n ast.Node, v reflect.Value) {
	switch v.Kind() {
	case reflect.String:
		if s, ok := plain(n); ok {
			v.SetString(s)
			return
		}
		d.fail(d.place(n), "yaml.expected-text-found", "expected text, found %s", "found", kindName(n))
	case reflect.Bool:
		if b, ok := n.(*ast.BoolNode); ok {
			v.SetBool(b.Value)
			return
		}
		d.fail(d.place(n), "yaml.expected-true-or-false-found", "expected true or false, found %s", "found", kindName(n))
	case reflect.Int, reflect.Int64:
		if i, ok := n.(*ast.IntegerNode); ok {
			switch x := i.Value.(type) {
			case int64:
				v.SetInt(x)
				return
			case uint64:
				if x < 1<<63 {
					v.SetInt(int64(x))
					return
				}
			}
		}
		d.fail(d.place(n), "yaml.expected-a-whole-number-found", "expected a whole number, found %s", "found", kindName(n))
	default:
		d.fail(d.place(n), "yaml.a-value-of-this-kind-cannot-be", "a value of this kind cannot be read")
	}
}

// plain is the text of a scalar as written.
func plain(n ast.Node) (string, bool) {
	switch x := n.(type) {
	case *ast.StringNode:
		return x.Value, true
	case *ast.LiteralNode:
		return x.Value.Value, true
	case *ast.IntegerNode, *ast.FloatNode, *ast.BoolNode:
		return x.GetToken().Value, true
	}
	return "", false
}

func kindName(n ast.Node) said.Words {
	switch x := n.(type) {
	case *ast.MappingNode, *ast.MappingValueNode:
		return said.Say("yaml.keys-and-values", "keys and values")
	case *ast.SequenceNode:
		return said.Say("yaml.a-list", "a list")
	default:
		if s, ok := plain(x); ok {
			if len(s) > 40 {
				s = s[:40] + "..."
			}
			return said.Words{English: fmt.Sprintf("%q", s)}
		}
		return said.Say("yaml.something-else", "something else")
	}
}

func join(path, name string) string {
	if path == "" {
		return name
	}
	return path + "." + name
}
