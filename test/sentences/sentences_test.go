// Package sentences holds what the program says with codes against the words of the desk.
package sentences

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"regexp/syntax"
	"slices"
	"strconv"
	"strings"
	"testing"

	"postern/internal/desk/words"
	"postern/internal/mailtest"
	"postern/internal/said"
)

var update = flag.Bool("update", false, "write the English of the sentences with codes anew")

// makers are the functions that make a sentence with a code, by their name as it is called in a
// package ("" = in all): where the code stands; the format and the pairs follow.
var makers = map[string]map[string]int{
	"":                    {"said.New": 0, "said.Errorf": 0, "said.Say": 0, "control.Refuse": 1, "dossier.Refuse": 1, "d.Fault": 1, "doc.Fault": 1},
	"internal/control":    {"Refuse": 1},
	"abuse/cases/dossier": {"Refuse": 1},
	"internal/strict":     {".fail": 1, "d.fail": 1},
	"internal/stamp/keys": {"refuse": 1},
	"rules/book":          {".fail": 1, "m.fail": 1},
	"rules":               {"problem": 1},
}

// source is the program's own code, tests aside, by its folder.
func source(t *testing.T) (*token.FileSet, map[string][]*ast.File) {
	t.Helper()
	root, fset, all := mailtest.ModuleRoot(t), token.NewFileSet(), map[string][]*ast.File{}
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() && (d.Name() == "testdata" || strings.HasPrefix(d.Name(), ".") && path != root) {
			if d != nil && d.IsDir() {
				return fs.SkipDir
			}
			return err
		}
		if !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
			return nil
		}
		f, err := parser.ParseFile(fset, path, nil, parser.SkipObjectResolution)
		if err != nil {
			return err
		}
		dir, err := filepath.Rel(root, filepath.Dir(path))
		all[dir] = append(all[dir], f)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return fset, all
}

// called is the name of a function as it is called: f, pkg.f, or .f for that of a value.
func called(call *ast.CallExpr) (plain, method string) {
	switch f := call.Fun.(type) {
	case *ast.Ident:
		return f.Name, ""
	case *ast.SelectorExpr:
		if x, ok := f.X.(*ast.Ident); ok {
			return x.Name + "." + f.Sel.Name, "." + f.Sel.Name
		}
		return "", "." + f.Sel.Name
	}
	return "", ""
}

func text(e ast.Expr) (string, bool) {
	l, ok := e.(*ast.BasicLit)
	if !ok || l.Kind != token.STRING {
		return "", false
	}
	s, err := strconv.Unquote(l.Value)
	return s, err == nil
}

// codes are the sentences with codes that the program makes: their English by their code.
func codes(t *testing.T) map[string]string {
	t.Helper()
	fset, all := source(t)
	out := map[string]string{said.Around: "{before}{said}{after}", said.And: "{before}; {what}"}
	note := func(at token.Pos, code, english string) {
		if old, ok := out[code]; ok && old != english {
			t.Errorf("%s: the code %s says %q here, elsewhere %q", fset.Position(at), code, english, old)
		}
		out[code] = english
	}
	for dir, files := range all {
		for _, f := range files {
			inside := ""
			ast.Inspect(f, func(n ast.Node) bool {
				switch n := n.(type) {
				case *ast.FuncDecl:
					inside = n.Name.Name
				case *ast.CallExpr:
					at, ok := maker(dir, n)
					if !ok || dir == "internal/said" || slices.Contains([]string{"Refuse", "refuse", "Fault", "fail", "problem"}, inside) && handed(n.Args[at]) {
						return true
					}
					code, english, err := sentence(n.Args[at:])
					if err != nil {
						t.Errorf("%s: %v", fset.Position(n.Pos()), err)
						return true
					}
					note(n.Pos(), code, english)
				}
				return true
			})
		}
	}
	for c := range regexpCodes() {
		out["regexp."+strings.ReplaceAll(c, " ", "-")] = c
	}
	return out
}

// handed reports whether the code is that of whoever called the maker.
func handed(e ast.Expr) bool {
	id, ok := e.(*ast.Ident)
	return ok && id.Name == "code"
}

func maker(dir string, call *ast.CallExpr) (int, bool) {
	plain, method := called(call)
	for _, of := range []map[string]int{makers[""], makers[dir]} {
		for name, at := range of {
			if (name == plain || name == method) && len(call.Args) > at {
				return at, true
			}
		}
	}
	return 0, false
}

// sentence reads code, format and pairs of a call.
func sentence(args []ast.Expr) (code, english string, err error) {
	code, ok := text(args[0])
	if !ok || len(args) < 2 {
		return "", "", fmt.Errorf("a code is written out")
	}
	format, ok := text(args[1])
	if !ok {
		return "", "", fmt.Errorf("%s: the English is written out", code)
	}
	var names []string
	for i := 2; i < len(args); i += 2 {
		name, ok := text(args[i])
		if !ok || slices.Contains(names, name) || i+1 == len(args) {
			return "", "", fmt.Errorf("%s: each value has a name of its own before it", code)
		}
		names = append(names, name)
	}
	english = said.Template(format, names...)
	if strings.Count(english, "{") < len(names) || strings.Contains(english, "%!") {
		return "", "", fmt.Errorf("%s: %q has other values than %v", code, format, names)
	}
	return code, english, nil
}

// regexpCodes are what can be wrong with a regular expression.
func regexpCodes() map[string]bool {
	out := map[string]bool{}
	for _, c := range []syntax.ErrorCode{
		syntax.ErrInternalError, syntax.ErrInvalidCharClass, syntax.ErrInvalidCharRange, syntax.ErrInvalidEscape, syntax.ErrInvalidNamedCapture,
		syntax.ErrInvalidPerlOp, syntax.ErrInvalidRepeatOp, syntax.ErrInvalidRepeatSize, syntax.ErrInvalidUTF8, syntax.ErrMissingBracket,
		syntax.ErrMissingParen, syntax.ErrMissingRepeatArgument, syntax.ErrTrailingBackslash, syntax.ErrUnexpectedParen, syntax.ErrNestingDepth, syntax.ErrLarge,
	} {
		out[c.String()] = true
	}
	return out
}

// Every sentence with a code stands in the words of the desk, in English as the program says it,
// and in each of its languages.
func TestSentencesHaveWords(t *testing.T) {
	all := codes(t)
	if len(all) < 300 {
		t.Fatalf("only %d sentences were found", len(all))
	}
	path := filepath.Join(mailtest.ModuleRoot(t), "internal/desk/words/lang/en/said.json")
	if *update {
		for code, english := range readWords(t, path) {
			if named(code) {
				all[code] = english
			}
		}
		var raw bytes.Buffer
		enc := json.NewEncoder(&raw)
		enc.SetEscapeHTML(false)
		enc.SetIndent("", " ")
		if err := enc.Encode(all); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, raw.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	english := readWords(t, path)
	for code, want := range all {
		if english[code] != want {
			t.Errorf("%s: the words have %q, the program says %q", code, english[code], want)
		}
	}
	for code := range english {
		if _, ok := all[code]; !ok && !named(code) {
			t.Errorf("%s: nothing says it", code)
		}
	}
	book, err := words.Open()
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range book.Languages() {
		l, _ := book.Language(name)
		for code := range all {
			if got, ok := l.Said(said.Words{Code: code, English: "?"}); !ok || name != words.Default && got == all[code] && len(strings.Trim(got, "{}abcdefghijklmnopqrstuvwxyz,: .;%-/`")) != 0 {
				t.Errorf("%s lacks words for %s: %q", name, code, all[code])
			}
		}
	}
}

// named reports whether a code is that of a word which other sentences name.
func named(code string) bool {
	return strings.HasPrefix(code, "state-") || strings.HasPrefix(code, "word-")
}

func readWords(t *testing.T, path string) map[string]string {
	t.Helper()
	raw, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var english map[string]string
	if err := json.Unmarshal(raw, &english); err != nil {
		t.Fatal(err)
	}
	return english
}

// An error that a call turns into a refusal has a code, and so has whatever is said around it:
// no fmt.Errorf wraps one in words of its own.
func TestRefusalsHaveCodes(t *testing.T) {
	fset, all := source(t)
	coded, plain := map[string]bool{}, map[string]bool{}
	for dir, files := range all {
		for _, f := range files {
			for name, call := range sentinels(f) {
				switch {
				case strings.HasPrefix(call, "said."):
					coded[filepath.Base(dir)+"."+name] = true
				case call == "errors.New":
					plain[filepath.Base(dir)+"."+name] = true
				}
			}
		}
	}
	refused := map[string]token.Pos{}
	for dir, files := range all {
		for _, f := range files {
			if strings.HasPrefix(dir, "cmd/postern") {
				maps.Copy(refused, turned(f))
			}
			ast.Inspect(f, func(n ast.Node) bool {
				call, ok := n.(*ast.CallExpr)
				if !ok {
					return true
				}
				name, _ := called(call)
				if name == "control.Refuse" && len(call.Args) < 3 {
					t.Errorf("%s: a refusal without a code", fset.Position(call.Pos()))
				}
				if name != "fmt.Errorf" || !strings.ContainsFunc(strip(call.Args[0]), func(r rune) bool { return r >= 'a' && r <= 'z' }) {
					return true
				}
				if strings.HasPrefix(dir, "internal/store/") {
					return true // which record it was, and why, is for the log
				}
				for _, a := range call.Args[1:] {
					of := filepath.Base(dir) + "."
					if sel, ok := a.(*ast.SelectorExpr); ok {
						if x, ok := sel.X.(*ast.Ident); ok && coded[x.Name+"."+sel.Sel.Name] {
							t.Errorf("%s: %s.%s is wrapped in words that have no code", fset.Position(call.Pos()), x.Name, sel.Sel.Name)
						}
					} else if id, ok := a.(*ast.Ident); ok && coded[of+id.Name] {
						t.Errorf("%s: %s is wrapped in words that have no code", fset.Position(call.Pos()), id.Name)
					}
				}
				return true
			})
		}
	}
	if len(refused) < 40 {
		t.Errorf("only %d errors are turned into refusals", len(refused))
	}
	for name, at := range refused {
		if plain[name] && !coded[name] {
			t.Errorf("%s: %s becomes a refusal and has no code", fset.Position(at), name)
		}
	}
}

// strip is a format without its verbs.
func strip(e ast.Expr) string {
	format, _ := text(e)
	var b strings.Builder
	for i := 0; i < len(format); i++ {
		if format[i] == '%' {
			for i++; i < len(format) && strings.IndexByte("+-# 0123456789.", format[i]) >= 0; i++ {
			}
			continue
		}
		b.WriteByte(format[i])
	}
	return b.String()
}

// sentinels are the errors of a file by name, with the function that makes each.
func sentinels(f *ast.File) map[string]string {
	out := map[string]string{}
	for _, d := range f.Decls {
		g, ok := d.(*ast.GenDecl)
		if !ok || g.Tok != token.VAR {
			continue
		}
		for _, s := range g.Specs {
			v, _ := s.(*ast.ValueSpec)
			for i := range min(len(v.Names), len(v.Values)) {
				if call, ok := v.Values[i].(*ast.CallExpr); ok {
					out[v.Names[i].Name], _ = called(call)
				}
			}
		}
	}
	return out
}

// turned are the errors of others that a file turns into refusals: what its functions named
// known, or those that make a control.Kind of an error, compare with.
func turned(f *ast.File) map[string]token.Pos {
	out := map[string]token.Pos{}
	note := func(e ast.Expr) {
		if sel, ok := e.(*ast.SelectorExpr); ok {
			if x, ok := sel.X.(*ast.Ident); ok && strings.HasPrefix(sel.Sel.Name, "Err") {
				out[x.Name+"."+sel.Sel.Name] = sel.Pos()
			}
		}
	}
	for _, d := range f.Decls {
		fn, ok := d.(*ast.FuncDecl)
		if !ok || fn.Body == nil || !refuses(fn) {
			continue
		}
		ast.Inspect(fn, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.KeyValueExpr:
				note(n.Key)
			case *ast.CompositeLit:
				for _, e := range n.Elts {
					note(e)
				}
			case *ast.CallExpr:
				if name, _ := called(n); name == "errors.Is" {
					note(n.Args[1])
				}
			}
			return true
		})
	}
	return out
}

// refuses reports whether a function makes refusals of errors.
func refuses(fn *ast.FuncDecl) bool {
	found := false
	ast.Inspect(fn, func(n ast.Node) bool {
		if call, ok := n.(*ast.CallExpr); ok {
			name, _ := called(call)
			found = found || name == "control.Because" || name == "control.Refuse"
		}
		return !found
	})
	return found
}
