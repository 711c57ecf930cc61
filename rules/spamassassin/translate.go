package spamassassin

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"postern/rules/look"
	"postern/rules/spamassassin/cf"
	"postern/rules/spamassassin/meta"
	"postern/rules/spamassassin/perlre"
)

// maxCount is how often a rule counts that names no maximum, maxWhen the longest condition
// and MaxMatch the longest expression that rule files may hold.
const (
	maxCount = 30
	maxWhen  = 4096
	MaxMatch = 8 << 10
)

// translate fills m, with a reason where it cannot.
func (im *importer) translate(r *cf.Rule, m *made) {
	if name, ok := strings.CutPrefix(r.Test, "eval:"); ok {
		name, _, _ = strings.Cut(name, "(")
		m.reason = "calls the Perl function " + strings.TrimSpace(name)
		return
	}
	var err error
	switch r.Kind {
	case "meta":
		err = im.condition(r, m)
	case "header", "mimeheader":
		err = im.header(r, m)
	case "body":
		if slices.Contains(im.conf.Flags[r.Name], "nosubject") {
			m.notes = append(m.notes, "the subject is searched too")
		}
		err = im.text(r, m, "paragraphs", perlre.Options{Lines: true})
	case "rawbody":
		err = im.text(r, m, "rawbody", perlre.Options{})
	case "uri":
		err = im.text(r, m, "uri", perlre.Options{})
	case "full":
		m.notes = append(m.notes, "the first megabyte of the message is searched")
		err = im.text(r, m, "raw", perlre.Options{CRLF: true})
	default:
		err = fmt.Errorf("%s has no like here", r.Kind)
	}
	if err != nil {
		m.reason = err.Error()
		return
	}
	for _, f := range im.conf.Flags[r.Name] {
		if f == "multiple" && len(m.patterns) == 1 && m.when == "" {
			m.max = maxCount
		}
		if n, ok := strings.CutPrefix(f, "maxhits="); ok && m.max > 1 {
			m.max, _ = strconv.Atoi(n)
		}
	}
}

// expression reads /.../flags or m{...}flags and turns it.
func (im *importer) expression(name, test string, o perlre.Options, m *made) (string, error) {
	from, open := 1, byte('/')
	switch {
	case strings.HasPrefix(test, "/"):
	case len(test) > 1 && test[0] == 'm' && strings.IndexByte(" \t", test[1]) < 0:
		from, open = 2, test[1]
	default:
		return "", fmt.Errorf("%.30q is no expression", test)
	}
	closing := open
	if other := map[byte]byte{'{': '}', '(': ')', '[': ']', '<': '>'}[open]; other != 0 {
		closing = other
	}
	end := strings.LastIndexByte(test, closing)
	if end < from {
		return "", errors.New("the expression has no end")
	}
	source, flags := test[from:end], test[end+1:]
	if i := strings.IndexFunc(flags, func(r rune) bool { return !strings.ContainsRune("gimosxaunlcdp", r) }); i >= 0 {
		return "", fmt.Errorf("%.20q stands behind the expression", flags)
	}
	if im.conf.Replaced[name] {
		source = im.replaced(source)
	}
	o.Flags = flags
	res, err := perlre.Translate(source, o)
	m.notes = append(m.notes, res.Notes...)
	if err == nil && len(res.Match) > MaxMatch {
		err = fmt.Errorf("its expression has %d bytes; at most %d are compiled", len(res.Match), MaxMatch)
	}
	return res.Match, err
}

// errEmpty is why an expression is not taken that any text matches.
var errEmpty = errors.New("its expression matches the empty text")

// text makes a pattern that looks at a text there always is.
func (im *importer) text(r *cf.Rule, m *made, in string, o perlre.Options) error {
	match, err := im.expression(r.Name, r.Test, o, m)
	if err != nil {
		return err
	}
	if regexp.MustCompile(match).MatchString("") {
		return errEmpty
	}
	m.patterns = []pattern{{m.symbol, in, match}}
	return nil
}

var tag = regexp.MustCompile(`<([^<>]+)>`)

// replaced puts expressions in the place of the tags they are named by, as the plugin
// ReplaceTags does.
func (im *importer) replaced(source string) string {
	for range 5 {
		before := source
		around := map[string]string{}
		for _, what := range []string{"pre", "post", "inter"} {
			if at := regexp.MustCompile(`<` + what + ` (.+?)>`).FindStringSubmatchIndex(source); at != nil {
				around[what] = im.conf.Tags[what+" "+source[at[2]:at[3]]]
				source = source[:at[0]] + source[at[1]:]
			}
		}
		if inter := around["inter"]; inter != "" {
			source = strings.ReplaceAll(source, "><", ">"+inter+"<")
		}
		source = tag.ReplaceAllStringFunc(source, func(t string) string {
			if text, ok := im.conf.Tags[t[1:len(t)-1]]; ok {
				t = text
			}
			return around["pre"] + t + around["post"]
		})
		if source == before || len(source) > 64<<10 {
			break
		}
	}
	return source
}

// condition makes a composite of a meta rule.
func (im *importer) condition(r *cf.Rule, m *made) error {
	circle, lost := "", false
	c, err := meta.Parse(r.Test, func(name string) meta.Known {
		switch o := im.make(name); {
		case o == nil || o.off != "":
			return meta.Known{}
		case o.busy:
			circle = name
			return meta.Known{State: meta.Missing}
		case o.reason != "":
			lost = true
			return meta.Known{State: meta.Missing}
		default:
			return meta.Known{State: meta.Taken, Max: o.max}
		}
	})
	switch {
	case circle != "":
		return errors.New("depends on itself through " + circle)
	case errors.Is(err, meta.ErrNever) && !lost:
		m.off = "never fires"
		return nil
	case err != nil:
		return err
	}
	m.when = c.Write(func(u meta.Use) string {
		if u.Times > 1 {
			return timesName(im.made[u.Rule].symbol, u.Times)
		}
		return im.made[u.Rule].symbol
	})
	if len(m.when) > maxWhen {
		return fmt.Errorf("its condition has %d bytes; at most %d are read", len(m.when), maxWhen)
	}
	for _, u := range c.Uses {
		if u.Times > 1 {
			im.made[u.Rule].times[u.Times] = true
		}
	}
	if len(c.Missing) > 0 {
		m.notes = append(m.notes, "fires less often, without "+strings.Join(c.Missing, ", "))
	}
	return nil
}

func timesName(symbol string, times int) string { return fmt.Sprintf("%s_N%d", symbol, times) }

// Ways to look that header rules name by words of their own.
var ofFields = map[string]string{
	"ToCc": "fields:to,cc", "MESSAGEID": "fields:x-message-id,resent-message-id,x-original-message-id,message-id",
	"EnvelopeFrom": "mailfrom", "ALL": "headers", "ALL:raw": "headers:raw",
}

var headerTest = regexp.MustCompile(`^([^\s=!~]+)\s*(=~|!~)\s*(.*?)(?:\s+\[if-unset:\s+(.*)\])?$`)

// header makes what looks at fields: a pattern, or a composite where their absence counts.
func (im *importer) header(r *cf.Rule, m *made) error {
	if name, ok := strings.CutPrefix(r.Test, "exists:"); ok && r.Kind == "header" {
		name = strings.TrimSpace(name)
		if in := ofFields[name]; in != "" {
			m.patterns = []pattern{{m.symbol, in, `(?s).`}}
			return nil
		}
		return m.exists(name)
	}
	parts := headerTest.FindStringSubmatch(r.Test)
	if parts == nil {
		return fmt.Errorf("%.40q is no test of a field", r.Test)
	}
	in, err := way(parts[1], r.Kind)
	if err != nil {
		return err
	}
	match, err := im.expression(r.Name, parts[3], perlre.Options{}, m)
	if err != nil {
		return err
	}
	return m.fields(in, match, parts[2] == "!~", parts[4])
}

func (m *made) exists(name string) error {
	if _, _, err := look.Parse("fields:" + name); err != nil || strings.Contains(name, ",") {
		return fmt.Errorf("%.40q is no field", name)
	}
	m.patterns = []pattern{{m.symbol, "headers", "(?im)^" + regexp.QuoteMeta(strings.ToLower(name)) + ":"}}
	return nil
}

// way is the way to look of a field and its modifiers.
func way(field, kind string) (string, error) {
	if in := ofFields[field]; in != "" && kind == "header" {
		return in, nil
	}
	name, take, _ := strings.Cut(field, ":")
	in := "fields:" + strings.ToLower(name)
	switch {
	case strings.HasPrefix(name, "ALL"), strings.HasPrefix(strings.ToLower(name), "x-spam-"), strings.HasPrefix(name, "X-Relay"):
		return "", errors.New("looks at what SpamAssassin itself says of the message: " + name)
	case kind == "mimeheader" && take != "":
		return "", errors.New("takes :" + take + " of a part's field")
	case kind == "mimeheader":
		in = "part:" + strings.ToLower(name)
	case ofFields[name] != "" && take != "":
		in = ofFields[name] + ":" + take
	case take != "":
		in += ":" + take
	}
	if _, _, err := look.Parse(in); err != nil || take != "" && take != "addr" && take != "name" && take != "raw" || strings.Contains(name, ",") {
		return "", errors.New("takes of a field what has no like here: " + field)
	}
	return in, nil
}

// blank are expressions of a field that is empty or not there.
var blank = regexp.MustCompile(`^(?:\(\?[ims]+\))?(?:\^|\\A)(?:\\s\*)?(?:\$|\\z)$`)

// fields makes patterns of a test of fields. unset is the text that stands for fields that
// are not there.
func (m *made) fields(in, match string, not bool, unset string) error {
	re := regexp.MustCompile(match)
	p, e := pattern{m.symbol, in, match}, pattern{m.symbol + "_E", in, `(?s).`}
	absent := re.MatchString(unset)
	if re.MatchString("") {
		switch {
		case blank.MatchString(match):
			// Fields that are not there are as good as empty.
			p.match = `\S`
			not = !not
			absent = unset != "" && !absent
		default:
			return errEmpty
		}
	}
	if !not && !absent {
		m.patterns = []pattern{p}
		return nil
	}
	p.id += "_P"
	m.patterns = []pattern{p}
	switch {
	case not && !absent:
		m.when = "not " + p.id
		return nil
	case not:
		m.when = e.id + " and not " + p.id
	default:
		m.when = p.id + " or not " + e.id
	}
	m.patterns = append(m.patterns, e)
	return nil
}
