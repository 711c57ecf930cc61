// Package house tests the building itself: which room may import which, and how large a
// room may grow.
package house

import (
	"encoding/json"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"postern/internal/mailtest"
)

type pkg struct {
	ImportPath   string
	Dir          string
	Imports      []string
	TestImports  []string
	XTestImports []string
	GoFiles      []string
	TestGoFiles  []string
	XTestGoFiles []string
}

func packages(t *testing.T) []pkg {
	t.Helper()
	cmd := exec.Command("go", "list", "-json", "./...")
	cmd.Dir = mailtest.ModuleRoot(t)
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("go list: %v", err)
	}
	var all []pkg
	for dec := json.NewDecoder(strings.NewReader(string(out))); dec.More(); {
		var p pkg
		if err := dec.Decode(&p); err != nil {
			t.Fatal(err)
		}
		all = append(all, p)
	}
	if len(all) < 10 {
		t.Fatalf("go list found only %d packages", len(all))
	}
	return all
}

// ground is what leaves may import too.
const ground = "internal/said"

// leaves import the standard library, third parties and the ground, never each other.
var leaves = []string{ground, "internal/address", "internal/mime", "internal/spool", "internal/dns", "internal/breaker", "internal/archive", "internal/strict", "internal/canon", "internal/entity", "internal/diff", "internal/filemark"}

// rooms says what each room may import besides its own sub-rooms; "leaf" stands for all
// leaves and "filter/*" for every check. The longest matching name rules.
var rooms = map[string][]string{
	"filter":                         {"leaf"},
	"filter/":                        {"filter", "leaf"}, // every check
	"rules":                          {"filter", "leaf"},
	"rules/fit":                      {"filter"},
	"rules/fit/kin":                  {"leaf"},
	"rules/spamassassin":             {"rules", "filter", "leaf"},
	"blocklist":                      {"filter", "leaf"},
	"quarantine":                     {"filter", "leaf"},
	"abuse":                          {"filter", "leaf"},
	"internal/stamp":                 {"filter", "leaf"},
	"internal/smtpd":                 {"filter", "leaf"},
	"internal/relay":                 {"filter", "leaf"},
	"internal/desk":                  {"filter", "leaf"},
	"internal/people":                {"filter", "leaf"},
	"internal/opfiles":               {"leaf"},
	"internal/inbox":                 {"filter", "leaf"},
	"internal/backup":                {"filter", "leaf"},
	"internal/control":               {"filter", "leaf"},
	"internal/alert":                 {"filter", "leaf"},
	"internal/record":                {"filter", "leaf"},
	"internal/report":                {"filter", "leaf"},
	"internal/config":                {"leaf"},
	"internal/mailtest":              {"filter", "leaf"},
	"internal/mailtest/accounts":     {"abuse"},
	"internal/mailtest/measures":     {"abuse", "internal/mailtest", "internal/entity"},
	"internal/store/local":           {"filter", "leaf", "quarantine", "abuse", "blocklist", "filter/greylist", "filter/limit", "filter/bayes", "filter/campaign", "filter/history", "internal/relay", "internal/record", "internal/report", "internal/people"},
	"internal/store/redis":           {"filter", "leaf", "quarantine", "abuse", "blocklist", "filter/greylist", "filter/limit", "filter/bayes", "filter/campaign", "filter/history", "internal/relay", "internal/record", "internal/report", "internal/people"},
	"internal/store/storetest":       {"filter", "leaf", "quarantine", "abuse", "blocklist", "filter/greylist", "filter/limit", "filter/bayes", "filter/campaign", "filter/history", "internal/relay", "internal/record", "internal/report", "internal/people"},
	"internal/store/move":            {"filter", "leaf", "quarantine", "abuse", "blocklist", "filter/greylist", "filter/limit", "filter/bayes", "filter/campaign", "filter/history", "internal/relay", "internal/record", "internal/report", "internal/people"},
	"internal/store/dump":            {"filter", "leaf", "quarantine", "abuse", "blocklist", "filter/greylist", "filter/limit", "filter/bayes", "filter/campaign", "filter/history", "internal/relay", "internal/record", "internal/report", "internal/people", "internal/store/move", "internal/backup"},
	"internal/store/redis/redistest": {"internal/store/redis", "internal/mailtest"}, // imported by tests alone
	"internal/demo":                  {"*"},
	"cmd/":                           {"*"},
	"test":                           {"*"},
	"deploy":                         {},
}

func within(path, room string) bool {
	return path == room || strings.HasPrefix(path, strings.TrimSuffix(room, "/")+"/")
}

// roomOf is the entry of the table that rules a package, "leaf" for leaves.
func roomOf(path string) (room string, allowed []string) {
	for _, l := range leaves {
		if within(path, l) {
			return l, []string{ground}
		}
	}
	if strings.HasPrefix(path, "filter/") { // a check: filter/X with its own sub-rooms
		x := strings.SplitN(path, "/", 3)
		return "filter/" + x[1], rooms["filter/"]
	}
	best := ""
	for name := range rooms {
		if within(path, name) && len(name) > len(best) && name != "filter/" {
			best = name
		}
	}
	return best, rooms[best]
}

func mayImport(from, to string) bool {
	room, allowed := roomOf(from)
	if room == "" {
		return false
	}
	if within(to, room) {
		return room != "filter" || to == "filter" // filter/X is not a sub-room of filter
	}
	for _, a := range allowed {
		switch {
		case a == "*":
			return true
		case a == "leaf":
			if r, _ := roomOf(to); slices.Contains(leaves, r) {
				return true
			}
		case to == a || a != "filter" && within(to, a):
			return true
		}
	}
	return false
}

func TestImportsPointOneWay(t *testing.T) {
	for _, p := range packages(t) {
		from := strings.TrimPrefix(p.ImportPath, "postern/")
		for _, imp := range p.Imports {
			to, ours := strings.CutPrefix(imp, "postern/")
			if ours && !mayImport(from, to) {
				t.Errorf("%s may not import %s", from, to)
			}
		}
		for _, imp := range p.TestImports { // internal tests; external ones are free to use mailtest
			if imp == "postern/internal/mailtest" && !within(from, "internal/mailtest") && !within(from, "test") {
				t.Errorf("tests of %s that use internal/mailtest must be external (package x_test)", from)
			}
		}
	}
}

func TestTheTableItself(t *testing.T) {
	for _, c := range []struct {
		from, to string
		want     bool
	}{
		{"filter", "internal/mime", true},
		{"filter", "rules", false},
		{"filter", "filter/auth", false},
		{"filter/auth", "filter/auth/spf", true},
		{"filter/auth", "filter/clamav", false},
		{"filter/clamav", "filter", true},
		{"internal/dns", "internal/mime", false},
		{"internal/mime", "internal/mime/view", true},
		{"internal/smtpd", "internal/relay", false},
		{"internal/store/local", "quarantine", true},
		{"internal/store/local", "filter/auth", false},
		{"cmd/postern", "internal/smtpd", true},
		{"quarantine", "abuse", false},
		{"rules", "internal/smtpd", false},
	} {
		if got := mayImport(c.from, c.to); got != c.want {
			t.Errorf("mayImport(%s, %s) = %v", c.from, c.to, got)
		}
	}
}

func TestNoVagueNames(t *testing.T) {
	for _, p := range packages(t) {
		switch p.ImportPath[strings.LastIndexByte(p.ImportPath, '/')+1:] {
		case "util", "utils", "common", "helpers", "helper", "types", "misc":
			t.Errorf("%s: a package is named after what it holds", p.ImportPath)
		}
	}
}
