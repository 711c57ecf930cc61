package account

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"postern/internal/address"
	"postern/internal/filemark"
)

// Bounds of a file of senders.
const (
	maxFile  = 64 << 20 // bytes
	maxLine  = 64 << 10
	lookWait = time.Second // how often the file is looked at for changes
)

// grants say which accounts may write as an address, or as any address of a domain.
type grants struct {
	addresses map[key]map[string]bool
	domains   map[string]map[string]bool
}

// has reports whether the address, without its +tag or as a whole domain, is granted to one of
// the names.
func (g grants) has(a key, names ...string) bool {
	for _, n := range names {
		n = accountKey(n)
		if g.addresses[a][n] || g.addresses[a.base()][n] || g.domains[a.domain][n] {
			return true
		}
	}
	return false
}

func (g *grants) add(as string, accounts []string) error {
	into, err := g.entry(as)
	if err != nil {
		return err
	}
	if len(accounts) == 0 {
		return fmt.Errorf("%q %w", as, errNoAccount)
	}
	for _, a := range accounts {
		if strings.TrimSpace(a) == "" {
			return fmt.Errorf("%q names an account without a name", as)
		}
		into[accountKey(a)] = true
	}
	return nil
}

// entry is where the accounts of an address or "@domain" are kept.
func (g *grants) entry(as string) (map[string]bool, error) {
	if domain, whole := strings.CutPrefix(as, "@"); whole {
		ascii, err := address.ToASCII(domain)
		if err != nil || !address.ValidDomain(ascii) {
			return nil, fmt.Errorf("%q is neither an address nor @domain", as)
		}
		return entryOf(&g.domains, ascii), nil
	}
	k, ok := parse(as)
	if !ok {
		return nil, fmt.Errorf("%q is neither an address nor @domain", as)
	}
	return entryOf(&g.addresses, k), nil
}

func entryOf[K comparable](all *map[K]map[string]bool, k K) map[string]bool {
	if *all == nil {
		*all = map[K]map[string]bool{}
	}
	if (*all)[k] == nil {
		(*all)[k] = map[string]bool{}
	}
	return (*all)[k]
}

func grantsOf(allow map[string][]string) (grants, error) {
	var g grants
	for _, as := range slices.Sorted(maps.Keys(allow)) {
		if err := g.add(as, allow[as]); err != nil {
			return grants{}, fmt.Errorf("senders.allow: %w", err)
		}
	}
	return g, nil
}

// CheckFile reads a file of senders: on each line an address or "@domain", blanks, and the
// accounts that may write as it, parted by commas or blanks; "#" begins a comment. The error
// names file and line.
func CheckFile(path string) error {
	_, err := readFile(path)
	return err
}

func readFile(path string) (grants, error) {
	f, err := os.Open(path)
	if err != nil {
		return grants{}, fmt.Errorf("senders: %w", err)
	}
	defer f.Close()
	return read(path, f)
}

func read(name string, r io.Reader) (grants, error) {
	var g grants
	left := &io.LimitedReader{R: r, N: maxFile + 1}
	in := bufio.NewScanner(left)
	in.Buffer(nil, maxLine)
	n := 0
	for in.Scan() {
		n++
		as, rest, ok := cutLine(in.Text())
		if !ok {
			continue
		}
		accounts := strings.FieldsFunc(rest, func(r rune) bool { return r == ',' || r == ' ' || r == '\t' || r == '\r' })
		if err := g.add(as, accounts); err != nil {
			return grants{}, fmt.Errorf("senders: %s:%d: %w", name, n, err)
		}
	}
	if err := in.Err(); err != nil {
		return grants{}, fmt.Errorf("senders: %s:%d: %w", name, n+1, err)
	}
	if left.N <= 0 {
		return grants{}, fmt.Errorf("senders: %s is larger than %d bytes", name, maxFile)
	}
	return g, nil
}

// cutLine parts the address from the accounts; ok is false for a line that says nothing. A
// quoted local part may hold blanks and "#".
func cutLine(line string) (as, rest string, ok bool) {
	line = strings.TrimSpace(line)
	quoted, escaped := false, false
	end := len(line)
scan:
	for i := range len(line) {
		switch c := line[i]; {
		case escaped:
			escaped = false
		case quoted && c == '\\':
			escaped = true
		case c == '"':
			quoted = !quoted
		case quoted:
		case c == ' ' || c == '\t' || c == '#':
			end = i
			break scan
		}
	}
	rest, _, _ = strings.Cut(line[end:], "#")
	return line[:end], strings.TrimSpace(rest), end > 0
}

// file is a file of senders as it was last read.
type file struct {
	path string

	mu      sync.Mutex
	looked  time.Time     // when it was last looked at
	looking bool          // somebody does so now
	seen    filemark.Mark // of the file that was read, or tried; zero where it could not be opened
	grants  grants
	fault   string // why the latest try failed
}

// read reads the file for the first time.
func (f *file) read(now time.Time) error {
	f.mu.Lock()
	f.looked, f.looking = now, true
	f.mu.Unlock()
	return f.look()
}

// current returns the grants as the file has them now; while one caller looks, the others get
// those of before. Where it cannot be read the last good ones stand, and fault says why. news
// says that this was not so before.
func (f *file) current(now time.Time) (g grants, fault string, news bool) {
	f.mu.Lock()
	before, since := f.fault, now.Sub(f.looked)
	if f.looking || since >= 0 && since < lookWait {
		defer f.mu.Unlock()
		return f.grants, f.fault, false
	}
	f.looked, f.looking = now, true
	f.mu.Unlock()
	err := f.look()
	f.mu.Lock()
	defer f.mu.Unlock()
	if err != nil {
		f.fault = err.Error()
	}
	return f.grants, f.fault, f.fault != before
}

// look reads the file where it has changed; who calls it has set looking. On an error what was
// read before stays.
func (f *file) look() error {
	info, err := os.Stat(f.path)
	f.mu.Lock()
	same := err == nil && filemark.From(info) == f.seen
	f.mu.Unlock()
	var g grants
	switch {
	case err != nil:
		err = fmt.Errorf("senders: %w", err)
	case !same:
		g, err = readFile(f.path)
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.looking = false
	var closed *fs.PathError
	switch {
	case same:
	case errors.As(err, &closed): // that may end while the file stays as it is
		f.seen = filemark.Mark{}
	default:
		f.seen = filemark.From(info)
	}
	if !same && err == nil {
		f.grants, f.fault = g, ""
	}
	return err
}

// broken reports whether the file cannot be read.
func (f *file) broken() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.fault != ""
}
