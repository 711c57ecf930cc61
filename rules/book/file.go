package book

import (
	"reflect"
	"regexp"
	"strconv"
	"strings"

	"postern/filter"
	"postern/internal/said"
	"postern/internal/strict"
)

// points is a score as written: a decimal number with at most two places.
type points filter.Score

// maxPoints bounds what may be written, in hundredths.
const maxPoints = 100 * 100

var decimal = regexp.MustCompile(`^(-?)(0|[1-9][0-9]{0,8})(?:\.([0-9]{1,2}))?$`)

// UnmarshalText reads the number exactly, without a float in between. One that cannot be
// read stands as the smallest, so that no later check complains of the same place.
func (p *points) UnmarshalText(text []byte) error {
	*p = 1
	m := decimal.FindSubmatch(text)
	if m == nil {
		return said.Errorf("rule.expected-a-decimal-number-with-at-most", "expected a decimal number with at most two places, such as 1.5, found %q", "text", clip(string(text)))
	}
	whole, err := strconv.Atoi(string(m[2]))
	if err != nil {
		return err
	}
	part, err := strconv.Atoi((string(m[3]) + "00")[:2])
	if err != nil {
		return err
	}
	n := whole*100 + part
	if n > maxPoints {
		return said.Errorf("rule.is-outside-100-to-100", "%s is outside -100 to 100", "text", text)
	}
	if len(m[1]) > 0 {
		n = -n
	}
	*p = points(n)
	return nil
}

// waiting is the score from which a stranger is asked to come again; 0 = off.
type waiting filter.Score

// UnmarshalText reads a threshold or the word off.
func (w *waiting) UnmarshalText(text []byte) error {
	if string(text) == "off" {
		*w = 0
		return nil
	}
	p := (*points)(w)
	if err := p.UnmarshalText(text); err != nil {
		return err
	}
	if *p <= 0 {
		*p = 1
		return said.New("rule.a-threshold-is-above-0-off-asks", "a threshold is above 0; off asks nobody to come again")
	}
	return nil
}

// names is one symbol or a list of them.
type names []string

// OneOrMore implements strict.List.
func (*names) OneOrMore() {}

func clip(s string) string {
	if len(s) > 40 {
		return strings.ToValidUTF8(s[:40], "") + "..."
	}
	return s
}

// The files as written. A nil pointer is a key the file does not have, so that one layer can
// override another field by field.
type file struct {
	Symbols    map[string]*worth       `yaml:"symbols"`
	Patterns   []patternEntry          `yaml:"patterns"`
	Composites []compositeEntry        `yaml:"composites"`
	Policies   map[string]*policyEntry `yaml:"policies"`
	Recipients map[string]string       `yaml:"recipients"`
	Accounts   map[string]string       `yaml:"accounts"`
}

// worth holds the keys that symbols, patterns and composites share.
type worth struct {
	Score    *points `yaml:"score"`
	Action   *string `yaml:"action"`
	Stage    *string `yaml:"stage"`
	Unless   *names  `yaml:"unless"`
	Describe *string `yaml:"describe"`
}

type patternEntry struct {
	ID       *string    `yaml:"id"`
	Describe *string    `yaml:"describe"`
	In       *string    `yaml:"in"`
	Match    *string    `yaml:"match"`
	Times    *int       `yaml:"times"`
	Score    *points    `yaml:"score"`
	Action   *string    `yaml:"action"`
	Unless   *names     `yaml:"unless"`
	Tests    *testEntry `yaml:"tests"`
}

func (e *patternEntry) worth() *worth {
	return &worth{Score: e.Score, Action: e.Action, Unless: e.Unless, Describe: e.Describe}
}

type testEntry struct {
	Hit  []string `yaml:"hit"`
	Miss []string `yaml:"miss"`
}

type compositeEntry struct {
	ID       *string `yaml:"id"`
	Describe *string `yaml:"describe"`
	When     *string `yaml:"when"`
	Score    *points `yaml:"score"`
	Action   *string `yaml:"action"`
	Stage    *string `yaml:"stage"`
}

func (e *compositeEntry) worth() *worth {
	return &worth{Score: e.Score, Action: e.Action, Stage: e.Stage, Describe: e.Describe}
}

type policyEntry struct {
	Extends     *string         `yaml:"extends"`
	Tag         *points         `yaml:"tag"`
	Greylist    *waiting        `yaml:"greylist"`
	Quarantine  *points         `yaml:"quarantine"`
	Reject      *points         `yaml:"reject"`
	Most        *string         `yaml:"most"`
	Antivirus   *antivirusEntry `yaml:"antivirus"`
	DMARC       *dmarcEntry     `yaml:"dmarc"`
	Unscannable *string         `yaml:"unscannable"`
	Encrypted   *string         `yaml:"encrypted"`
	KeepDays    *int            `yaml:"keep_days"`
	Digest      *string         `yaml:"digest"`
	Infected    *bool           `yaml:"digest_infected"`

	extendsAt strict.Place
}

type antivirusEntry struct {
	Scan         *bool   `yaml:"scan"`
	Infected     *string `yaml:"infected"`
	KeepOriginal *bool   `yaml:"keep_original"`
}

type dmarcEntry struct {
	Reject     *string `yaml:"reject"`
	Quarantine *string `yaml:"quarantine"`
	OnList     *string `yaml:"on_list"`
}

// hollow reports keys of a struct of pointers that the file has without a value, as a file
// that was cut off while it was written does.
func hollow(d *strict.Document, path string, entry any) {
	v := reflect.ValueOf(entry).Elem()
	for i := range v.NumField() {
		f := v.Field(i)
		name := v.Type().Field(i).Tag.Get("yaml")
		if name == "" || f.Kind() != reflect.Pointer {
			continue
		}
		at := path + "." + name
		switch {
		case f.IsNil():
			if d.Has(at) {
				d.Fault(at, "rule.has-no-value", "%s has no value", "name", name)
			}
		case f.Elem().Kind() == reflect.Struct:
			hollow(d, at, f.Interface())
		}
	}
}

// oneOf checks a word against the words allowed.
func oneOf(d *strict.Document, path string, word *string, allowed ...string) {
	if word == nil {
		return
	}
	for _, a := range allowed {
		if a == *word {
			return
		}
	}
	d.Fault(path, "rule.expected-one-of-found", "expected one of %s; found %q", "ways", strings.Join(allowed, ", "), "word", clip(*word))
}
