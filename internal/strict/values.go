package strict

import (
	"errors"
	"fmt"
	"reflect"
	"strings"

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
	d.fail(at, "%s", strings.SplitN(message, "\n", 2)[0])
}

// value decodes one node into v, which stands at path.
func (d *Document) value(n ast.Node, v reflect.Value, path string, depth int) {
	if path != "" {
		d.places[path] = d.place(n)
	}
	if depth > MaxDepth {
		d.fail(d.place(n), "nested deeper than %d", MaxDepth)
		return
	}
	switch n.Type() {
	case ast.AnchorType, ast.AliasType, ast.MergeKeyType, ast.TagType:
		d.fail(d.place(n), "anchors, aliases, merge keys and tags are not read here")
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
	d.fail(d.place(n), "expected keys and values, found %s", kindName(n))
	return nil, false
}

// key is the text of a mapping key; ok is false when it was written twice or is no plain key.
func (d *Document) key(kv *ast.MappingValueNode, seen map[string]Place) (string, bool) {
	at := d.place(kv.Key)
	name, ok := plain(kv.Key)
	if !ok {
		d.fail(at, "this is no plain key")
		return "", false
	}
	if before, twice := seen[name]; twice {
		d.fail(at, "%q is written twice, first at line %d", name, before.Line)
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
			hint := ""
			if like := nearest(name, known); like != "" {
				hint = fmt.Sprintf("; did you mean %q?", like)
			}
			d.fail(d.place(kv.Key), "unknown key %q%s", name, hint)
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
				d.fail(d.place(kv.Key), "%v", err)
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
		d.fail(d.place(n), "expected a list, found %s", kindName(n))
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
		d.fail(d.place(n), "expected one value, found %s", kindName(n))
		return
	}
	if err := t.UnmarshalText([]byte(s)); err != nil {
		d.fail(d.place(n), "%v", err)
	}
}

func (d *Document) scalar(n ast.Node, v reflect.Value) {
	switch v.Kind() {
	case reflect.String:
		if s, ok := plain(n); ok {
			v.SetString(s)
			return
		}
		d.fail(d.place(n), "expected text, found %s", kindName(n))
	case reflect.Bool:
		if b, ok := n.(*ast.BoolNode); ok {
			v.SetBool(b.Value)
			return
		}
		d.fail(d.place(n), "expected true or false, found %s", kindName(n))
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
		d.fail(d.place(n), "expected a whole number, found %s", kindName(n))
	default:
		d.fail(d.place(n), "a value of this kind cannot be read")
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

func kindName(n ast.Node) string {
	switch x := n.(type) {
	case *ast.MappingNode, *ast.MappingValueNode:
		return "keys and values"
	case *ast.SequenceNode:
		return "a list"
	default:
		if s, ok := plain(x); ok {
			if len(s) > 40 {
				s = s[:40] + "..."
			}
			return fmt.Sprintf("%q", s)
		}
		return "something else"
	}
}

func join(path, name string) string {
	if path == "" {
		return name
	}
	return path + "." + name
}
