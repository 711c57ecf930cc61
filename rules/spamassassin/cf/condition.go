package cf

import (
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"
)

// Version is the SpamAssassin that conditions are asked of.
const Version = 4.000001

// plugins are those that Debian's spamassassin loads where nobody changes that. Their rules
// are taken as far as they are expressions.
var plugins = func() map[string]bool {
	out := map[string]bool{}
	for _, name := range strings.Fields(`AskDNS AutoLearnThreshold Bayes BodyEval Check DKIM DMARC DNSEval FreeMail HTMLEval
		HTTPSMismatch HashBL HeaderEval ImageInfo MIMEEval MIMEHeader Pyzor Razor2 RelayEval ReplaceTags SPF SpamCop
		URIDNSBL URIDetail URIEval VBounce WLBLEval WelcomeListSubject`) {
		out["Mail::SpamAssassin::Plugin::"+name] = true
	}
	return out
}()

// another is why a branch for other versions does not count.
const another = "is for another SpamAssassin"

// condition opens, turns or closes a block.
func (r *reader) condition(key, rest string) {
	last := len(r.blocks) - 1
	switch {
	case key == "ifplugin":
		b := block{on: plugins[rest], reason: "needs the plugin " + short(rest)}
		if b.on {
			b.reason = another
		}
		r.blocks = append(r.blocks, b)
	case key == "if":
		r.open(rest)
	case last < 0:
		r.odd("%s without a condition before it", key)
	case key == "endif":
		r.blocks = r.blocks[:last]
	case !r.blocks[last].odd:
		r.blocks[last].on = !r.blocks[last].on
	}
}

func (r *reader) open(condition string) {
	p := &asker{words: words.FindAllString(condition, -1)}
	yes, err := p.either()
	if err == nil && len(p.words) > 0 {
		err = fmt.Errorf("%q was not expected", p.words[0])
	}
	if err != nil {
		r.odd("the condition %.80q: %v", condition, err)
		r.blocks = append(r.blocks, block{odd: true, reason: "needs a condition that was not understood"})
		return
	}
	b := block{on: yes, reason: another}
	if p.lacks != "" {
		b.reason = "needs the plugin " + p.lacks
	}
	r.blocks = append(r.blocks, b)
}

func short(plugin string) string { return strings.TrimPrefix(plugin, "Mail::SpamAssassin::Plugin::") }

var words = regexp.MustCompile(`&&|\|\||[<>=!]=|[()!<>]|[0-9.]+|[A-Za-z_][A-Za-z0-9_]*(?:::[A-Za-z0-9_]+)*|\S`)

// asker evaluates a condition.
type asker struct {
	words []string
	depth int
	lacks string // a plugin that it asked for in vain
}

func (p *asker) take(any ...string) string {
	for _, w := range any {
		if len(p.words) > 0 && p.words[0] == w {
			p.words = p.words[1:]
			return w
		}
	}
	return ""
}

func (p *asker) next() string {
	if len(p.words) == 0 {
		return ""
	}
	w := p.words[0]
	p.words = p.words[1:]
	return w
}

func (p *asker) either() (bool, error) {
	yes, err := p.both()
	for err == nil && p.take("||", "or") != "" {
		var more bool
		more, err = p.both()
		yes = yes || more
	}
	return yes, err
}

func (p *asker) both() (bool, error) {
	yes, err := p.one()
	for err == nil && p.take("&&", "and") != "" {
		var more bool
		more, err = p.one()
		yes = yes && more
	}
	return yes, err
}

func (p *asker) one() (bool, error) {
	if p.depth++; p.depth > 60 {
		return false, errors.New("nested deeper than 60")
	}
	defer func() { p.depth-- }()
	switch w := p.next(); w {
	case "!", "not":
		yes, err := p.one()
		return !yes, err
	case "(":
		yes, err := p.either()
		if err == nil && p.take(")") == "" {
			err = errors.New("a parenthesis is not closed")
		}
		return yes, err
	case "version", "perl_version":
		return p.compared(map[string]float64{"version": Version, "perl_version": 5.036}[w])
	case "can", "plugin", "has":
		return p.asked(w)
	case "1", "true":
		return true, nil
	case "0", "false", "local_tests_only":
		return w == "local_tests_only", nil
	default:
		return false, fmt.Errorf("%q is not known", w)
	}
}

func (p *asker) compared(v float64) (bool, error) {
	op := p.take("<", ">", "<=", ">=", "==", "!=")
	than, err := strconv.ParseFloat(p.next(), 64)
	if op == "" || err != nil {
		return false, errors.New("a version is compared with a number")
	}
	return map[string]bool{"<": v < than, ">": v > than, "<=": v <= than, ">=": v >= than, "==": v == than, "!=": v != than}[op], nil
}

// asked answers can(...) and plugin(...).
func (p *asker) asked(what string) (bool, error) {
	if p.take("(") == "" {
		return false, fmt.Errorf("%s without a parenthesis", what)
	}
	name := p.next()
	if p.take(")") == "" {
		return false, fmt.Errorf("%s asks for no name", what)
	}
	if what == "plugin" {
		if !plugins[name] {
			p.lacks = short(name)
		}
		return plugins[name], nil
	}
	if feature, ok := strings.CutPrefix(name, "Mail::SpamAssassin::Conf::"); ok {
		return strings.HasPrefix(feature, "feature_") || strings.HasPrefix(feature, "perl_min_version_"), nil
	}
	i := strings.LastIndex(name, "::")
	if i < 0 || !strings.Contains(name, "::Plugin::") {
		return false, nil
	}
	if !plugins[name[:i]] {
		p.lacks = short(name[:i])
	}
	return plugins[name[:i]], nil
}
