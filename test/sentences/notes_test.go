package sentences

import (
	"go/ast"
	"go/token"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// told are the fields of records in which it stands why something is as it is.
var told = []string{"Text", "Reason", "Why", "Detail", "Sentence"}

// letters are words that somebody wrote for people; of strangers, to the log, or over SMTP they
// are none of ours.
var letters = regexp.MustCompile(`[a-z]{3}`)

// records are the rooms whose records say what the machine did and why: all of the abuse desk, and
// of the program what is no command.
func records(dir string) bool {
	return strings.HasPrefix(dir, "abuse") || strings.HasPrefix(dir, "cmd/postern/") && !strings.HasSuffix(dir, "cmd")
}

// What the machine writes into a record has a code: no field that says why is set to words that
// stand in the source, and nothing that a person did not type is called so.
func TestNotesHaveCodes(t *testing.T) {
	fset, all := source(t)
	typed := 0
	for dir, files := range all {
		if !records(dir) {
			continue
		}
		for _, f := range files {
			ast.Inspect(f, func(n ast.Node) bool {
				switch n := n.(type) {
				case *ast.CompositeLit:
					if foreign(n.Type) {
						return false
					}
					for _, e := range n.Elts {
						if kv, ok := e.(*ast.KeyValueExpr); ok {
							if key, ok := kv.Key.(*ast.Ident); ok && slices.Contains(told, key.Name) {
								plain(t, fset, key.Name, kv.Value)
							}
						}
					}
				case *ast.AssignStmt:
					for i, to := range n.Lhs {
						if sel, ok := to.(*ast.SelectorExpr); ok && slices.Contains(told, sel.Sel.Name) && i < len(n.Rhs) {
							plain(t, fset, sel.Sel.Name, n.Rhs[i])
						}
					}
				case *ast.CallExpr:
					if name, _ := called(n); name == "said.Typed" {
						typed++
						plain(t, fset, "said.Typed", n.Args[0])
					}
				}
				return true
			})
		}
	}
	if typed < 10 {
		t.Errorf("only %d texts of people were found", typed)
	}
}

// foreign reports whether a literal is of what is no record of the desk: what filters found, an
// answer of SMTP, an entry of a list that goes to other programs.
func foreign(e ast.Expr) bool {
	if of, ok := e.(*ast.ArrayType); ok {
		e = of.Elt
	}
	sel, ok := e.(*ast.SelectorExpr)
	if !ok {
		return false
	}
	x, ok := sel.X.(*ast.Ident)
	return ok && slices.Contains([]string{"filter", "smtpd", "client", "blocklist"}, x.Name)
}

// plain fails the test where words stand in a value, other than those of a sentence with a code.
func plain(t *testing.T, fset *token.FileSet, field string, value ast.Expr) {
	t.Helper()
	ast.Inspect(value, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.CallExpr:
			name, method := called(n)
			return !strings.HasPrefix(name, "said.") && method != ".Say" || name == "said.Typed"
		case *ast.IndexExpr:
			return false // the name of a value
		case *ast.BasicLit:
			if s, ok := text(n); ok && letters.MatchString(s) {
				t.Errorf("%s: %s is set to %q, which has no code: use said.Say, and its words in each language", fset.Position(n.Pos()), field, s)
			}
		}
		return true
	})
}
