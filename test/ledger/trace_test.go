package ledger_test

import (
	"bufio"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"postern/internal/mailtest"
	"postern/quarantine"
	"postern/test/rig"
	"postern/test/world"
)

// call is one system call of a trace. Its first and last line are where it began and where it
// had returned: one that ended on a line above another's first happened before it.
type call struct {
	first, last int
	name, args  string
	path        string // of the file descriptor
	failed      bool
}

var (
	whole   = regexp.MustCompile(`^(\d+) +(\w+)\((.*)\) += (-?\d+)`)
	begun   = regexp.MustCompile(`^(\d+) +(\w+)\((.*) <unfinished \.\.\.>$`)
	resumed = regexp.MustCompile(`^(\d+) +<\.\.\. (\w+) resumed>(.*)\) += (-?\d+)`)
	fd      = regexp.MustCompile(`^\d+<([^>]*)>`)
	quoted  = regexp.MustCompile(`"([^"]*)"`)
)

// readTrace reads what strace wrote.
func readTrace(t *testing.T, path string) []call {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var all []call
	open := map[string]int{} // by thread: a call that has not returned yet
	in := bufio.NewScanner(f)
	in.Buffer(nil, 1<<20)
	for n := 0; in.Scan(); n++ {
		line := in.Text()
		if m := begun.FindStringSubmatch(line); m != nil {
			open[m[1]] = len(all)
			all = append(all, call{first: n, last: 1 << 60, name: m[2], args: m[3]})
		} else if m := resumed.FindStringSubmatch(line); m != nil {
			if i, ok := open[m[1]]; ok {
				all[i].last, all[i].failed = n, strings.HasPrefix(m[4], "-")
				all[i].args += m[3]
			}
		} else if m := whole.FindStringSubmatch(line); m != nil {
			all = append(all, call{first: n, last: n, name: m[2], args: m[3], failed: strings.HasPrefix(m[4], "-")})
		}
	}
	if err := in.Err(); err != nil {
		t.Fatal(err)
	}
	for i := range all {
		if m := fd.FindStringSubmatch(all[i].args); m != nil {
			all[i].path = m[1]
		}
	}
	return all
}

// calls finds what comes after line n and has returned before line end.
func calls(all []call, n, end int, ok func(c call) bool) []call {
	var out []call
	for _, c := range all {
		if c.first > n && c.last < end && !c.failed && ok(c) {
			out = append(out, c)
		}
	}
	return out
}

func syncOf(path string) func(call) bool {
	return func(c call) bool { return (c.name == "fsync" || c.name == "fdatasync") && c.path == path }
}

// unproved says what is missing before the first byte of the 250 that named a hold: the body
// synced under its temporary name, renamed, the folder synced, and then two commits of the
// database synced, one for the provisional hold and one for its confirmation.
func unproved(all []call, state string, h quarantine.Hold) string {
	reply := slices.IndexFunc(all, func(c call) bool {
		return c.name == "write" && strings.Contains(c.path, "socket:") && strings.Contains(c.args, "250 2.0.0 held for review, id "+h.ID)
	})
	if reply < 0 {
		return "no 250 in the trace"
	}
	end := all[reply].first
	dir := filepath.Join(state, "bodies", h.SHA256[:2])
	var tmp string
	renames := calls(all, -1, end, func(c call) bool {
		names := quoted.FindAllStringSubmatch(c.args, -1)
		if !strings.HasPrefix(c.name, "rename") || len(names) != 2 || names[1][1] != filepath.Join(dir, h.SHA256+".zst") {
			return false
		}
		tmp = names[0][1]
		return true
	})
	if len(renames) != 1 {
		return "the body was not renamed before the 250"
	}
	moved := renames[0]
	synced := calls(all, -1, moved.first, syncOf(tmp))
	if len(synced) == 0 {
		return "the body was not synced before it was renamed"
	}
	if len(calls(all, synced[len(synced)-1].first-1, moved.first, func(c call) bool { return strings.HasSuffix(c.name, "write") && c.path == tmp })) > 0 {
		return "the body was written to after it was synced"
	}
	folder := calls(all, moved.last, end, syncOf(dir))
	if len(folder) == 0 {
		return "the folder was not synced between the rename and the 250"
	}
	made := calls(all, -1, end, func(c call) bool { return strings.HasPrefix(c.name, "mkdir") && strings.Contains(c.args, `"`+dir+`"`) })
	for _, m := range made {
		if len(calls(all, m.last, end, syncOf(filepath.Dir(dir)))) == 0 {
			return "the new folder was not synced into its parent"
		}
	}
	wal := filepath.Join(state, "postern.db-wal")
	first := calls(all, folder[0].last, end, syncOf(wal))
	if len(first) == 0 || len(calls(all, first[0].last, end, syncOf(wal))) == 0 {
		return "the database was not synced twice between the folder and the 250"
	}
	return ""
}

// unsynced reports whether the database had unsynced writes when a reply went out; that can be
// told only where one message comes after the other.
func unsynced(all []call, state string, h quarantine.Hold) bool {
	wal := filepath.Join(state, "postern.db-wal")
	dirty := false
	for _, c := range all {
		switch {
		case c.name == "write" && strings.Contains(c.args, "250 2.0.0 held for review, id "+h.ID):
			return dirty
		case strings.HasSuffix(c.name, "write64") && c.path == wal:
			dirty = true
		case syncOf(wal)(c) && !c.failed:
			dirty = false
		}
	}
	return true
}

// What the kernel was asked for, in the order in which it was asked, before each 250 of a
// held message.
func TestSyncedBeforeReply(t *testing.T) {
	strace := world.Need(t, "strace", "strace")
	b := mailtest.NewBackend(t, mailtest.Script{Mailboxes: rig.Mailboxes()})
	r := rig.New(t, rig.Options{Behind: b.Addr()})
	trace := filepath.Join(r.Dir, "trace")
	r.Wrap = []string{
		strace, "-D", "-f", "-y", "-s", "100", "--seccomp-bpf", "-o", trace,
		"-e", "trace=fsync,fdatasync,rename,renameat,renameat2,write,pwrite64,mkdir,mkdirat",
	}
	r.Start()
	r.Ready()
	one := r.Load(51, 100)
	one.Parallel, one.Make = 1, bulky(51, rig.Ada)
	many := r.Load(52, 120)
	many.Parallel, many.Make = 8, bulky(52, rig.Ada)
	if _, err := one.Run(t.Context()); err != nil {
		t.Fatal(err)
	}
	alone := r.Holds()
	if _, err := many.Run(t.Context()); err != nil {
		t.Fatal(err)
	}
	holds := r.Holds()
	if err := r.Stop(); err != nil {
		t.Error(err)
	}
	all := readTrace(t, trace)
	if len(alone) != 100 || len(holds) != 220 {
		t.Fatalf("%d and %d holds", len(alone), len(holds))
	}
	for _, h := range holds {
		if why := unproved(all, r.State, h); why != "" {
			t.Errorf("hold %s: %s", h.ID, why)
		}
	}
	for _, h := range alone {
		if unsynced(all, r.State, h) {
			t.Errorf("hold %s: the database was not synced when the 250 went out", h.ID)
		}
	}
	t.Logf("%d holds, each synced before its 250, in a trace of %d calls", len(holds), len(all))
	missed(t, all, r.State, alone[50])
}

// missed shows that the oracle can say no: without any one kind of call a hold is unproved.
func missed(t *testing.T, all []call, state string, h quarantine.Hold) {
	t.Helper()
	dir := filepath.Join(state, "bodies", h.SHA256[:2])
	tmp := ""
	for _, c := range all {
		if names := quoted.FindAllStringSubmatch(c.args, -1); strings.HasPrefix(c.name, "rename") && strings.Contains(c.args, h.SHA256) {
			tmp = names[0][1]
		}
	}
	for what, gone := range map[string]func(call) bool{
		"sync of the body":     syncOf(tmp),
		"rename":               func(c call) bool { return strings.HasPrefix(c.name, "rename") && strings.Contains(c.args, h.SHA256) },
		"sync of the folder":   syncOf(dir),
		"sync of the database": syncOf(filepath.Join(state, "postern.db-wal")),
		"reply":                func(c call) bool { return strings.Contains(c.args, h.ID) },
	} {
		if unproved(slices.DeleteFunc(slices.Clone(all), gone), state, h) == "" {
			t.Errorf("without the %s nobody notices", what)
		}
	}
}
