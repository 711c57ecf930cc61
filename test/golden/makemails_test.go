package golden_test

import (
	"bytes"
	"flag"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"postern/internal/mailtest"
)

var makeMails = flag.Bool("make", false, "write the mails of lists, forwarders and forgers anew")

// made is a golden mail that the templates write.
type made struct {
	name, about   string
	fires, misses string // symbols, blanks between them
	mail          *letter
	by            host   // who brings it
	ip            string // another address than that host's
	from          string // envelope sender
	to            string // "" = bob@example.com
	zone          mailtest.Zone
	more          []string           // further circumstances, as YAML
	earlier       map[string]*letter // files beside the mail
}

// files are what stands in the folder of the case.
func (m made) files() map[string][]byte {
	out := map[string][]byte{"circumstances.yaml": []byte(m.circumstances())}
	put := func(name string, l *letter) { out[name] = []byte(strings.ReplaceAll(l.text(), "\r\n", "\n")) }
	put("mail.eml", m.mail)
	for name, l := range m.earlier {
		put(name, l)
	}
	return out
}

func (m made) circumstances() string {
	var b strings.Builder
	line := func(format string, args ...any) { fmt.Fprintf(&b, format+"\n", args...) }
	line("about: %q", m.about)
	if m.fires != "" {
		line("fires: [%s]", strings.Join(strings.Fields(m.fires), ", "))
	}
	if m.misses != "" {
		line("misses: [%s]", strings.Join(strings.Fields(m.misses), ", "))
	}
	ip := m.ip
	if ip == "" {
		ip = m.by.ip
	}
	line("ip: %s\nhelo: %s\nfrom: %q", ip, m.by.name, m.from)
	if m.to != "" {
		line("to: [%s]", m.to)
	}
	for _, more := range m.more {
		line("%s", more)
	}
	line("dns:")
	for _, name := range slices.Sorted(maps.Keys(m.zone)) {
		line("  %q:", name)
		for _, r := range m.zone[name] {
			line("    - '%s'", r)
		}
	}
	return b.String()
}

// zones lays zones over each other.
func zones(all ...mailtest.Zone) mailtest.Zone {
	out := mailtest.Zone{}
	for _, z := range all {
		maps.Copy(out, z)
	}
	return out
}

func allMade(t testing.TB) []made {
	return slices.Concat(handedOn(t), strangers(t), spoofs(t), doubts(t), chains(t))
}

// TestMakeMails compares the folders with what the templates write, and with -make writes
// them.
func TestMakeMails(t *testing.T) {
	names := map[string]bool{}
	for _, m := range allMade(t) {
		if names[m.name] {
			t.Errorf("two cases are called %s", m.name)
		}
		names[m.name] = true
		dir := filepath.Join(folders[0], m.name)
		for file, want := range m.files() {
			path := filepath.Join(dir, file)
			if *makeMails {
				if err := os.MkdirAll(dir, 0o755); err != nil {
					t.Fatal(err)
				}
				if err := os.WriteFile(path, want, 0o644); err != nil {
					t.Fatal(err)
				}
			}
			if got, err := os.ReadFile(path); err != nil || !bytes.Equal(got, want) {
				t.Errorf("%s is not as the templates write it (%v): run with -make, then TestGoldenMails with -update", path, err)
			}
		}
	}
	cases, err := mailtest.ReadCases(folders[0])
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range cases {
		for _, prefix := range []string{viaPrefix, strangerPrefix, spoofPrefix, doubtPrefix, chainPrefix} {
			if strings.HasPrefix(c.Name, prefix) && !names[c.Name] {
				t.Errorf("no template writes %s", c.Name)
			}
		}
	}
}
