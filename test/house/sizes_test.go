package house

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// What keeps a room livable.
const (
	maxFunc    = 60   // lines of a function; more needs its reason in longFuncs, or is a table of a test kit
	neverFunc  = 100  // lines of a function, whatever the reason
	maxFile    = 400  // lines of a file
	maxPackage = 1000 // code lines of a package, tests aside
)

// longFuncs may be longer than maxFunc, each for the reason beside it.
var longFuncs = map[string]string{}

// codeLines counts lines that are neither blank nor only a comment.
func codeLines(src []byte) int {
	n := 0
	block := false
	for line := range strings.Lines(string(src)) {
		s := strings.TrimSpace(line)
		switch {
		case block:
			block = !strings.Contains(s, "*/")
		case s == "" || strings.HasPrefix(s, "//"):
		case strings.HasPrefix(s, "/*"):
			block = !strings.Contains(s, "*/")
		default:
			n++
		}
	}
	return n
}

func TestSizes(t *testing.T) {
	code, tests := 0, 0
	for _, p := range packages(t) {
		inPackage := 0
		for _, f := range p.GoFiles {
			path := filepath.Join(p.Dir, f)
			src, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			if n := strings.Count(string(src), "\n"); n > maxFile {
				t.Errorf("%s has %d lines, more than %d", path, n, maxFile)
			}
			inPackage += codeLines(src)
			checkFuncs(t, p.ImportPath, path, src, testKit(strings.TrimPrefix(p.ImportPath, "postern/")))
		}
		isTestKit := testKit(strings.TrimPrefix(p.ImportPath, "postern/"))
		if inPackage > maxPackage && !isTestKit {
			t.Errorf("%s has %d code lines, more than %d", p.ImportPath, inPackage, maxPackage)
		}
		if isTestKit {
			tests += inPackage
		} else {
			code += inPackage
		}
		for _, f := range append(p.TestGoFiles, p.XTestGoFiles...) {
			src, err := os.ReadFile(filepath.Join(p.Dir, f))
			if err != nil {
				t.Fatal(err)
			}
			tests += codeLines(src)
		}
	}
	t.Logf("%d lines of code, %d lines of tests", code, tests)
	if tests < code {
		t.Errorf("%d lines of tests for %d lines of code: at least as many are owed", tests, code)
	}
}

// testKit reports whether a package only serves tests; its lines count as those of tests.
func testKit(path string) bool {
	return within(path, "internal/mailtest") || within(path, "internal/store/storetest") || within(path, "test") || strings.HasSuffix(path, "test")
}

func checkFuncs(t *testing.T, pkgPath, path string, src []byte, kit bool) {
	t.Helper()
	fset := token.NewFileSet()
	file, err := parser.ParseFile(fset, path, src, parser.SkipObjectResolution)
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range file.Decls {
		f, ok := d.(*ast.FuncDecl)
		if !ok {
			continue
		}
		if f.Name.Name == "init" && f.Recv == nil {
			t.Errorf("%s: init() hides order; build it in main", path)
		}
		n := fset.Position(f.End()).Line - fset.Position(f.Pos()).Line + 1
		if n > neverFunc || n > maxFunc && !kit && longFuncs[pkgPath+"."+f.Name.Name] == "" {
			t.Errorf("%s: %s has %d lines, more than %d", fset.Position(f.Pos()), f.Name.Name, n, maxFunc)
		}
	}
}

func TestModulesHaveReasons(t *testing.T) {
	for _, p := range packages(t)[:1] {
		root := p.Dir
		for {
			if _, err := os.Stat(filepath.Join(root, "go.mod")); err == nil {
				break
			}
			root = filepath.Dir(root)
		}
		src, err := os.ReadFile(filepath.Join(root, "go.mod"))
		if err != nil {
			t.Fatal(err)
		}
		for line := range strings.Lines(string(src)) {
			s := strings.TrimSpace(line)
			if !strings.Contains(s, " v") || strings.HasPrefix(s, "//") || strings.HasSuffix(s, "// indirect") || strings.HasPrefix(s, "module") {
				continue
			}
			if _, reason, ok := strings.Cut(s, "//"); !ok || len(strings.TrimSpace(reason)) < 10 {
				t.Errorf("go.mod: %q has no reason beside it", s)
			}
		}
	}
}
