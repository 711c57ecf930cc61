package house

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"postern/internal/mailtest"
)

// together are packages of the standard library that are there for several goroutines, or start
// some; meets are the calls that do.
var (
	together = []string{"sync", "sync/atomic", "net/http", "net/http/httptest", "os/exec"}
	meets    = []string{"Go", "AfterFunc", "Parallel", "RunParallel"}
)

// concurrent says where a file has something that starts a goroutine or speaks to another one.
func concurrent(fset *token.FileSet, f *ast.File) (where []string) {
	note := func(n ast.Node, what string) {
		where = append(where, fmt.Sprintf("%s: %s", fset.Position(n.Pos()), what))
	}
	for _, i := range f.Imports {
		if path := strings.Trim(i.Path.Value, `"`); slices.Contains(together, path) {
			note(i, "imports "+path)
		}
	}
	ast.Inspect(f, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.GoStmt:
			note(n, "starts a goroutine")
		case *ast.ChanType:
			note(n, "has a channel")
		case *ast.CallExpr:
			if s, ok := n.Fun.(*ast.SelectorExpr); ok && slices.Contains(meets, s.Sel.Name) {
				note(n, "calls "+s.Sel.Name)
			}
		}
		return true
	})
	return where
}

// starts keeps of such places those where a goroutine begins.
func starts(where []string) []string {
	return slices.DeleteFunc(where, func(w string) bool {
		return strings.HasSuffix(w, "imports sync") || strings.HasSuffix(w, "imports sync/atomic") || strings.HasSuffix(w, "has a channel")
	})
}

func read(t *testing.T, p pkg, files ...[]string) (where []string) {
	t.Helper()
	fset := token.NewFileSet()
	for _, name := range slices.Concat(files...) {
		f, err := parser.ParseFile(fset, filepath.Join(p.Dir, name), nil, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		where = append(where, concurrent(fset, f)...)
	}
	return where
}

// Rooms that the Makefile leaves out of the run with the race detector do everything in one
// goroutine, their tests too, and nothing that they use starts another.
func TestRoomsWithoutTheRaceDetectorAreAlone(t *testing.T) {
	text, err := os.ReadFile(filepath.Join(mailtest.ModuleRoot(t), "Makefile"))
	if err != nil {
		t.Fatal(err)
	}
	m := regexp.MustCompile(`(?m)^ALONE := ((?:.*\\\n)*.*)$`).FindSubmatch(text)
	if m == nil {
		t.Fatal("the Makefile has no ALONE")
	}
	all := map[string]pkg{}
	for _, p := range packages(t) {
		all[p.ImportPath] = p
	}
	begins := map[string][]string{} // by package, what is begun in it or in what it imports
	var below func(path string) []string
	below = func(path string) []string {
		p, ours := all[path]
		if got, known := begins[path]; known || !ours {
			return got
		}
		begins[path] = nil
		got := starts(read(t, p, p.GoFiles))
		for _, i := range p.Imports {
			got = append(got, below(i)...)
		}
		begins[path] = got[:min(len(got), 3)]
		return begins[path]
	}
	rooms := strings.Fields(strings.ReplaceAll(string(m[1]), "\\\n", " "))
	if len(rooms) < 10 {
		t.Fatalf("only %d rooms were read: %q", len(rooms), rooms)
	}
	for _, room := range rooms {
		p, there := all["postern/"+room]
		if !there {
			t.Errorf("%s: there is no such room", room)
			continue
		}
		found := read(t, p, p.GoFiles, p.TestGoFiles, p.XTestGoFiles)
		for _, i := range slices.Concat(p.Imports, p.TestImports, p.XTestImports) {
			if i != p.ImportPath {
				found = append(found, below(i)...)
			}
		}
		if len(found) > 0 {
			t.Errorf("%s belongs under the race detector (take it out of ALONE): %s", room, found[0])
		}
	}
}

// The reader sees each way in which goroutines meet.
func TestConcurrent(t *testing.T) {
	for text, want := range map[string]int{
		`import "strings"; func f() { strings.Fields("") }`: 0, `func f() { go f() }`: 1, `import "sync/atomic"; var n atomic.Int64`: 1,
		`var c chan int`: 1, `import "time"; func f() { time.AfterFunc(1, f) }`: 1, `import "testing"; func f(t *testing.T) { t.Parallel() }`: 1,
	} {
		fset := token.NewFileSet()
		f, err := parser.ParseFile(fset, "x.go", "package x; "+text, 0)
		if err != nil {
			t.Fatal(err)
		}
		if got := concurrent(fset, f); len(got) != want {
			t.Errorf("%s: %v", text, got)
		}
	}
}
