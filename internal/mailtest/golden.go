package mailtest

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/goccy/go-yaml"

	"postern/filter"
)

// Circumstances are what a golden mail cannot say of itself: who brought it, and the world
// around it. Every key may be left out; what then holds is the runner's business.
type Circumstances struct {
	About  string    `yaml:"about"`  // one sentence for whoever reads the folder
	Fires  []string  `yaml:"fires"`  // symbols the case is about: -update never takes them away
	Misses []string  `yaml:"misses"` // symbols the case is a near miss of
	Time   time.Time `yaml:"time"`

	Envelope `yaml:",inline"`
	Earlier  []GoldenEarlier `yaml:"earlier"` // what was seen before, the oldest first

	DNS       Zone              `yaml:"dns"`       // laid over the runner's own zone
	Lists     []GoldenList      `yaml:"lists"`     // DNS lists
	Block     []string          `yaml:"block"`     // the operator's block list
	Allow     []string          `yaml:"allow"`     // the operator's allow list
	Suspended []string          `yaml:"suspended"` // accounts
	Sent      []string          `yaml:"sent"`      // Message-IDs of what left here
	Measures  map[string]int    `yaml:"measures"`  // accounts by the level of a measure, 0 to 7
	OptedOut  map[string]string `yaml:"opted_out"` // recipients by the account of which they want no mail
	Learned   int               `yaml:"learned"`   // how often a letter of spam and one of good mail were learned
	Letters   map[string]string `yaml:"letters"`   // good, bad or reported: a file of the case's folder of which somebody said so
	Rates     map[string]int    `yaml:"rates"`     // messages a minute by ip, net, domain, account or recipient; further as configured
	Refusals  int               `yaml:"refusals"`  // commands of this client that were refused just before
	Unknown   int               `yaml:"unknown"`   // recipients that were, as nobody has such a name
	Virus     map[string]string `yaml:"virus"`     // text in the mail -> signature the scanner reports

	Sealers    map[string][]string `yaml:"sealers"`    // auth.trusted_sealers
	Forwarders []GoldenForwarder   `yaml:"forwarders"` // auth.forwarders
	Senders    string              `yaml:"senders"`    // what accounts may write as: own, hosted or any
	Grants     map[string][]string `yaml:"grants"`     // senders.allow
	Greylist   bool                `yaml:"greylist"`   // whether first contacts are looked for
}

// Envelope is who brings a message to whom.
type Envelope struct {
	IP      string   `yaml:"ip"`
	Helo    string   `yaml:"helo"`
	From    *string  `yaml:"from"` // "" is the null sender
	To      []string `yaml:"to"`
	Readers int      `yaml:"readers"` // so many recipients instead, each with a name of his own
	Login   string   `yaml:"account"` // set = outbound
}

// GoldenEarlier is a message that came, or went, before the golden mail. Of its envelope only
// what differs from that of the golden mail needs to be said.
type GoldenEarlier struct {
	Mail     string        `yaml:"mail"`     // a file of the case's folder; "" = the golden mail itself
	DaysAgo  []int         `yaml:"days_ago"` // one on each day; none = just before
	Before   time.Duration `yaml:"before"`   // and so much before that time of day
	Envelope `yaml:",inline"`
}

// GoldenForwarder is an entry of auth.forwarders.
type GoldenForwarder struct {
	Name     string   `yaml:"name"`
	Networks []string `yaml:"networks"`
	Hosts    []string `yaml:"hosts"`
	For      []string `yaml:"for"`
}

// Over returns e with what it leaves out taken from whole, but for the account.
func (e Envelope) Over(whole Envelope) Envelope {
	if len(e.To) == 0 && e.Readers == 0 {
		e.To, e.Readers = whole.To, whole.Readers
	}
	if e.From == nil {
		e.From = whole.From
	}
	e.IP, e.Helo = cmp.Or(e.IP, whole.IP), cmp.Or(e.Helo, whole.Helo)
	return e
}

// GoldenList is a DNS list of a golden case.
type GoldenList struct {
	Zone  string            `yaml:"zone"`
	Of    string            `yaml:"of"` // ip, helo, domain or link
	Codes map[string]string `yaml:"codes"`
}

// Case is one golden mail: a folder with mail.eml, circumstances.yaml and expected.txt.
type Case struct {
	Name string
	Dir  string
	Mail []byte // line ends as in the file
	Circumstances
}

// Runner runs the checks over a case. An error fails the case.
type Runner func(ctx context.Context, t testing.TB, c Case) ([]filter.Finding, error)

// Golden runs golden mails.
type Golden struct {
	Dirs   []string // folders of cases; one that is missing is passed over
	Update bool     // rewrite expected.txt
	Run    Runner
	Known  func(symbol string) bool // whether rules give a symbol a worth; nil = not asked
}

// The files of a case.
const (
	goldenMail          = "mail.eml"
	goldenCircumstances = "circumstances.yaml"
	goldenExpected      = "expected.txt"
)

// ReadCase reads the folder of a case.
func ReadCase(dir string) (Case, error) {
	c := Case{Name: filepath.Base(dir), Dir: dir}
	var err error
	if c.Mail, err = os.ReadFile(filepath.Join(dir, goldenMail)); err != nil {
		return c, err
	}
	src, err := os.ReadFile(filepath.Join(dir, goldenCircumstances))
	if errors.Is(err, fs.ErrNotExist) {
		return c, nil
	}
	if err != nil {
		return c, err
	}
	if err := yaml.UnmarshalWithOptions(src, &c.Circumstances, yaml.Strict()); err != nil {
		return c, fmt.Errorf("%s: %w", filepath.Join(dir, goldenCircumstances), err)
	}
	return c, nil
}

// ReadCases reads every case below the folders, by name.
func ReadCases(dirs ...string) ([]Case, error) {
	var all []Case
	for _, dir := range dirs {
		entries, err := os.ReadDir(dir)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, err
		}
		for _, e := range entries {
			if !e.IsDir() {
				continue
			}
			c, err := ReadCase(filepath.Join(dir, e.Name()))
			if err != nil {
				return nil, err
			}
			all = append(all, c)
		}
	}
	slices.SortFunc(all, func(a, b Case) int { return cmp.Or(strings.Compare(a.Name, b.Name), strings.Compare(a.Dir, b.Dir)) })
	return all, nil
}

// Test runs every case as a subtest.
func (g Golden) Test(t *testing.T) {
	cases, err := ReadCases(g.Dirs...)
	if err != nil {
		t.Fatal(err)
	}
	if len(cases) == 0 {
		t.Fatal("there are no golden mails")
	}
	for _, c := range cases {
		t.Run(c.Name, func(t *testing.T) { g.test(t, c) })
	}
}

func (g Golden) test(t *testing.T, c Case) {
	t.Parallel()
	found, err := g.Run(t.Context(), t, c)
	if err != nil {
		t.Fatal(err)
	}
	got := symbolsOf(found)
	for _, complaint := range g.complaints(c, got) {
		t.Error(complaint)
	}
	path := filepath.Join(c.Dir, goldenExpected)
	text := strings.Join(got, "\n") + "\n"
	if g.Update {
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(want, []byte(text)) {
		t.Errorf("%s\n%s\nrun with -update when that is right", c.About, difference(strings.Fields(string(want)), got))
	}
}

// complaints are what is wrong whatever expected.txt says.
func (g Golden) complaints(c Case, got []string) []string {
	var out []string
	for _, s := range c.Fires {
		if !slices.Contains(got, s) {
			out = append(out, "does not fire "+s)
		}
	}
	for _, s := range c.Misses {
		if slices.Contains(got, s) {
			out = append(out, "fires "+s+", of which it is to be a near miss")
		}
	}
	for _, s := range slices.Concat(got, c.Fires, c.Misses) {
		if g.Known != nil && !g.Known(s) {
			out = append(out, "no rule knows "+s)
		}
	}
	return out
}

// symbolsOf are the distinct symbols, sorted.
func symbolsOf(found []filter.Finding) []string {
	seen := map[string]bool{}
	for _, f := range found {
		seen[f.Symbol] = true
	}
	return slices.Sorted(maps.Keys(seen))
}

func difference(want, got []string) string {
	var b strings.Builder
	for _, s := range want {
		if !slices.Contains(got, s) {
			b.WriteString("- " + s + "\n")
		}
	}
	for _, s := range got {
		if !slices.Contains(want, s) {
			b.WriteString("+ " + s + "\n")
		}
	}
	return b.String()
}

// Uncovered are those of the symbols that no case fires, and those that none is a near miss
// of.
func Uncovered(cases []Case, symbols []string) (unfired, unmissed []string) {
	fired, missed := map[string]bool{}, map[string]bool{}
	for _, c := range cases {
		for _, s := range c.Fires {
			fired[s] = true
		}
		for _, s := range c.Misses {
			missed[s] = true
		}
	}
	for _, s := range symbols {
		if !fired[s] {
			unfired = append(unfired, s)
		}
		if !missed[s] {
			unmissed = append(unmissed, s)
		}
	}
	return unfired, unmissed
}
