package recipient

import (
	"bufio"
	"fmt"
	"os"
	"strings"
	"sync"
	"time"

	"postern/internal/address"
	"postern/internal/filemark"
	"postern/internal/relay/client"
)

// file is a recipient file as it was last read.
type file struct {
	mu     sync.Mutex
	looked time.Time       // when it was last looked at
	seen   filemark.Mark   // of the file that was read, or tried
	set    map[string]bool // nil until it could be read
	err    error           // why the latest try failed
}

// lookEvery is how often a file is looked at for changes.
const lookEvery = time.Second

// CheckFile reads a recipient file: one address or "@domain" per line, "#" begins a comment.
// The error names file and line.
func CheckFile(path string) error {
	_, err := readFile(path)
	return err
}

func readFile(path string) (map[string]bool, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("recipients: %w", err)
	}
	defer f.Close()
	set := map[string]bool{}
	in := bufio.NewScanner(f)
	for n := 1; in.Scan(); n++ {
		line, _, _ := strings.Cut(in.Text(), "#")
		line = strings.TrimSpace(line)
		switch domain, whole := strings.CutPrefix(line, "@"); {
		case line == "":
		case whole && address.ValidDomain(domain):
			set["@"+address.DomainOf(address.Normalize("x@"+domain))] = true
		default:
			if _, err := address.Parse(line, true); err != nil {
				return nil, fmt.Errorf("recipients: %s:%d: %q is neither an address nor @domain", path, n, line)
			}
			set[address.Normalize(line)] = true
		}
	}
	if err := in.Err(); err != nil {
		return nil, fmt.Errorf("recipients: %s: %w", path, err)
	}
	return set, nil
}

// inFile looks an address up, with and without its +tag, after reading the file again when
// it has changed.
func (v *Verifier) inFile(path, addr string) (Answer, error) {
	v.mu.Lock()
	f := v.files[path]
	if f == nil {
		f = &file{}
		v.files[path] = f
	}
	v.mu.Unlock()
	set, err := v.refresh(f, path)
	if set == nil {
		return Answer{}, cannot(err)
	}
	key := address.Normalize(addr)
	base := key
	if a, err := address.Parse(key, true); err == nil {
		base = a.Base().String()
	}
	if set[key] || set[base] || set["@"+address.DomainOf(key)] {
		return Answer{Known: true, Verified: true}, nil
	}
	return Answer{Verified: true, Reply: client.Reply{Code: 550, Enhanced: "5.1.1", Text: "no such recipient here"}}, nil
}

// refresh returns the set as it is now. A file that cannot be read leaves the last good one
// standing; its fault is logged once per change.
func (v *Verifier) refresh(f *file, path string) (map[string]bool, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	now := v.now()
	if !f.looked.IsZero() && now.Sub(f.looked) < lookEvery {
		return f.set, f.err
	}
	first := f.looked.IsZero()
	f.looked = now
	info, err := os.Stat(path)
	if err != nil {
		return f.set, v.fault(f, path, err)
	}
	mark := filemark.From(info)
	if !first && mark == f.seen {
		return f.set, f.err
	}
	f.seen = mark
	set, err := readFile(path)
	if err != nil {
		return f.set, v.fault(f, path, err)
	}
	f.set, f.err = set, nil
	return f.set, nil
}

func (v *Verifier) fault(f *file, path string, err error) error {
	if f.err == nil || f.err.Error() != err.Error() {
		v.log.Error("recipient file cannot be read, the last good one stands", "path", path, "err", err)
	}
	f.err = err
	return err
}
