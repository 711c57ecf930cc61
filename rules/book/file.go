package book

import (
	"reflect"
	"strings"

	"postern/internal/strict"
	"postern/rules/book/attachment"
	"postern/rules/book/number"
)

// The numbers as written.
type (
	points  = number.Points
	waiting = number.Waiting
)

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
	Quiet    *bool      `yaml:"quiet"`
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
	Quiet    *bool   `yaml:"quiet"`
	Score    *points `yaml:"score"`
	Action   *string `yaml:"action"`
	Stage    *string `yaml:"stage"`
}

func (e *compositeEntry) worth() *worth {
	return &worth{Score: e.Score, Action: e.Action, Stage: e.Stage, Describe: e.Describe}
}

type policyEntry struct {
	Extends     *string           `yaml:"extends"`
	Tag         *points           `yaml:"tag"`
	Greylist    *waiting          `yaml:"greylist"`
	Quarantine  *points           `yaml:"quarantine"`
	Reject      *points           `yaml:"reject"`
	Most        *string           `yaml:"most"`
	Antivirus   *antivirusEntry   `yaml:"antivirus"`
	DMARC       *dmarcEntry       `yaml:"dmarc"`
	Unscannable *string           `yaml:"unscannable"`
	Encrypted   *string           `yaml:"encrypted"`
	Attachments *attachment.Entry `yaml:"attachments"`
	KeepDays    *int              `yaml:"keep_days"`
	Digest      *string           `yaml:"digest"`
	Infected    *bool             `yaml:"digest_infected"`

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
