package house

import (
	"go/ast"
	"go/parser"
	"go/token"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"postern/internal/mailtest"
)

// actions are the names that a package writes into the audit: what is handed to a function as
// its "action", what a variable of that name is set to, and the Action of an event. A name that
// is made of a beginning and a state ends with "*".
type actions struct {
	fset  *token.FileSet
	files []*ast.File
	dir   string
	takes map[string][]int    // functions of the package by name: where their action stands
	named map[string]ast.Expr // constants
	found map[string]string
}

func (a *actions) read() {
	for _, f := range a.files {
		ast.Inspect(f, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.FuncDecl:
				a.takesAction(n.Name.Name, n.Type)
			case *ast.ValueSpec:
				for i := range min(len(n.Names), len(n.Values)) {
					a.named[n.Names[i].Name] = n.Values[i]
				}
			case *ast.Field: // a part that is a function
				if fn, ok := n.Type.(*ast.FuncType); ok && len(n.Names) == 1 {
					a.takesAction(n.Names[0].Name, fn)
				}
			}
			return true
		})
	}
	for _, f := range a.files {
		ast.Inspect(f, func(n ast.Node) bool {
			a.look(n)
			return true
		})
	}
}

func (a *actions) takesAction(name string, fn *ast.FuncType) {
	at := 0
	for _, field := range fn.Params.List {
		for _, p := range field.Names {
			if kind, ok := field.Type.(*ast.Ident); ok && p.Name == "action" && kind.Name == "string" {
				a.takes[name] = append(a.takes[name], at)
			}
			at++
		}
		if len(field.Names) == 0 {
			at++
		}
	}
}

func (a *actions) look(n ast.Node) {
	switch n := n.(type) {
	case *ast.CallExpr:
		name := called(n)
		places := a.takes[name]
		if strings.EqualFold(name, "audit") && len(n.Args) == 7 || name == "Write" && len(n.Args) == 7 {
			places = []int{2}
		}
		if name == "Note" && len(n.Args) == 4 {
			places = []int{2}
		}
		for _, at := range places {
			if at < len(n.Args) {
				a.note(n.Args[at], "")
			}
		}
	case *ast.AssignStmt:
		for i, to := range n.Lhs {
			if id, ok := to.(*ast.Ident); ok && id.Name == "action" && len(n.Rhs) == len(n.Lhs) {
				a.note(n.Rhs[i], "")
			}
		}
	case *ast.CompositeLit:
		a.event(n)
	}
}

func called(n *ast.CallExpr) string {
	switch f := n.Fun.(type) {
	case *ast.Ident:
		return f.Name
	case *ast.SelectorExpr:
		return f.Sel.Name
	}
	return ""
}

func (a *actions) event(n *ast.CompositeLit) {
	of := ""
	switch t := n.Type.(type) {
	case *ast.Ident:
		of = t.Name
	case *ast.SelectorExpr:
		of = t.Sel.Name
	case nil: // in a list of them
		of = "Event"
	}
	for _, e := range n.Elts {
		kv, ok := e.(*ast.KeyValueExpr)
		if !ok || of != "Event" && of != "Change" {
			continue
		}
		if key, ok := kv.Key.(*ast.Ident); ok && key.Name == "Action" {
			before := ""
			if of == "Event" && a.dir != "quarantine" {
				before = "case-"
			}
			a.note(kv.Value, before)
		}
	}
}

// note remembers a name, if it is one that stands in the source.
func (a *actions) note(e ast.Expr, before string) {
	end := ""
	if sum, ok := e.(*ast.BinaryExpr); ok {
		e, end = sum.X, "*"
	}
	if id, ok := e.(*ast.Ident); ok {
		e = a.named[id.Name]
	}
	lit, ok := e.(*ast.BasicLit)
	if !ok || lit.Kind != token.STRING {
		return
	}
	if a.dir == "abuse/cases" {
		before = "case-"
	}
	if name, err := strconv.Unquote(lit.Value); err == nil && name != "" {
		if !strings.HasPrefix(name, before) {
			name = before + name
		}
		a.found[name+end] = a.fset.Position(lit.Pos()).String()
	}
}

// written are the names that the program writes into the audit, and where.
func written(t *testing.T) map[string]string {
	t.Helper()
	root, found := mailtest.ModuleRoot(t), map[string]string{}
	for _, p := range packages(t) {
		dir, err := filepath.Rel(root, p.Dir)
		if err != nil {
			t.Fatal(err)
		}
		if strings.HasPrefix(dir, "test/") || strings.HasPrefix(dir, "internal/mailtest") || dir == "internal/demo" || strings.HasPrefix(dir, "internal/store/storetest") {
			continue
		}
		a := &actions{fset: token.NewFileSet(), dir: dir, takes: map[string][]int{}, named: map[string]ast.Expr{}, found: found}
		for _, name := range p.GoFiles {
			f, err := parser.ParseFile(a.fset, filepath.Join(p.Dir, name), nil, parser.SkipObjectResolution)
			if err != nil {
				t.Fatal(err)
			}
			a.files = append(a.files, f)
		}
		a.read()
	}
	return found
}

// TestEveryAuditActionIsDocumented holds docs/audit.md against the names in the source.
func TestEveryAuditActionIsDocumented(t *testing.T) {
	text, err := os.ReadFile(filepath.Join(mailtest.ModuleRoot(t), "docs/audit.md"))
	if err != nil {
		t.Fatal(err)
	}
	told := map[string]bool{}
	for row := range strings.Lines(string(text)) {
		if cells := strings.Split(row, "|"); len(cells) > 2 {
			for _, name := range regexp.MustCompile("`([a-z0-9-]+)`").FindAllStringSubmatch(cells[1], -1) {
				told[name[1]] = true
			}
		}
	}
	found := written(t)
	if len(found) < 100 {
		t.Fatalf("only %d names were found", len(found))
	}
	for _, name := range slices.Sorted(maps.Keys(found)) {
		head, made := strings.CutSuffix(name, "*")
		switch {
		case !made && !told[name]:
			t.Errorf("%s: docs/audit.md does not tell of %s", found[name], name)
		case made && !slices.ContainsFunc(slices.Collect(maps.Keys(told)), func(s string) bool { return strings.HasPrefix(s, head) }):
			t.Errorf("%s: docs/audit.md tells of nothing that begins with %s", found[name], head)
		}
	}
	for name := range told {
		_, is := found[name]
		made := slices.ContainsFunc(slices.Collect(maps.Keys(found)), func(s string) bool {
			head, ok := strings.CutSuffix(s, "*")
			return ok && head != "case-" && head != "" && strings.HasPrefix(name, head)
		})
		if !is && !made {
			t.Errorf("docs/audit.md tells of %s, which nothing writes", name)
		}
	}
}
