package style

import (
	"bytes"
	"slices"
	"strings"
)

// Bounds of what is kept of the style sheets of one page.
const (
	MaxRules   = 2000    // selectors
	MaxSheets  = 1 << 20 // bytes of style sheets that are read
	mostNested = 4       // levels of blocks: @media within @supports and so on
	mostNames  = 8       // classes of one selector, and of one element that are looked up
	mostAlike  = 8       // selectors that begin with the same name
	mostClass  = 512     // bytes of the classes of one element
)

// Sheet is what the style sheets of a page say by simple selectors: a name of an element, classes
// and an id. A nil Sheet says nothing.
type Sheet struct {
	classes, ids, tags map[string][]rule
	rules              int
	switched           map[string]struct{} // classes and ids that some screens are shown
	unsure             bool
}

// rule is one selector.
type rule struct {
	tag, id string
	classes []string
	decl    Decl
}

// Unsure reports whether grounds or colours are set by selectors that are not followed.
func (s *Sheet) Unsure() bool { return s != nil && s.unsure }

// Sheets reads the style sheets of a page, wherever they stand in it; those that only some mail
// programs read, in comments, are left out. It returns nil if there are none.
func Sheets(page []byte) *Sheet {
	var s *Sheet
	left := MaxSheets
	for left > 0 {
		i := bytes.IndexByte(page, '<')
		if i < 0 {
			return s
		}
		page = page[i:]
		switch {
		case bytes.HasPrefix(page, []byte("<!--")):
			page = behindComment(page)
		case len(page) > 7 && bytes.EqualFold(page[:6], []byte("<style")) && !letter(page[6]):
			_, css, _ := bytes.Cut(page, []byte(">"))
			end := closing(css)
			if s == nil {
				s = &Sheet{classes: map[string][]rule{}, ids: map[string][]rule{}, tags: map[string][]rule{}, switched: map[string]struct{}{}}
			}
			s.read(css[:min(end, left)], 0, false)
			left -= end
			page = css[end:]
		default:
			page = page[1:]
		}
	}
	return s
}

// behindComment is what follows the comment that the page begins with.
func behindComment(page []byte) []byte {
	rest := page[len("<!--"):]
	if i := bytes.Index(rest, []byte("-->")); i >= 0 {
		return rest[i+len("-->"):]
	}
	return nil
}

// closing is where a style element ends.
func closing(css []byte) int {
	for at := 0; ; {
		i := bytes.Index(css[at:], []byte("</"))
		if i < 0 {
			return len(css)
		}
		at += i
		if end := at + len("</style"); end <= len(css) && bytes.EqualFold(css[at:end], []byte("</style")) {
			return at
		}
		at += len("</")
	}
}

func letter(c byte) bool { return c|0x20 >= 'a' && c|0x20 <= 'z' || c == '-' }

// read takes the rules of a block. Those of some screens alone only undo what hides.
func (s *Sheet) read(css []byte, level int, some bool) {
	if bytes.Contains(css, []byte("/*")) {
		css = uncommented(css)
	}
	for len(css) > 0 && s.rules < MaxRules {
		i := bytes.IndexAny(css, "{;")
		if i < 0 {
			return
		}
		head := bytes.TrimSpace(css[:i])
		for bytes.HasPrefix(head, []byte("<!--")) || bytes.HasPrefix(head, []byte("-->")) {
			head = bytes.TrimSpace(head[3:])
			head = bytes.TrimLeft(head, "-")
		}
		if css[i] == ';' { // @import, @charset, or something broken
			css = css[i+1:]
			continue
		}
		var block []byte
		block, css = braces(css[i+1:])
		switch {
		case len(head) == 0:
		case head[0] != '@':
			s.selectors(head, block, some)
		case bytes.HasPrefix(head, []byte("@media")) && level < mostNested:
			s.read(block, level+1, true)
		}
	}
}

// braces splits off a block up to the brace that closes it.
func braces(css []byte) (block, rest []byte) {
	depth := 1
	for i, c := range css {
		switch c {
		case '{':
			depth++
		case '}':
			if depth--; depth == 0 {
				return css[:i], css[i+1:]
			}
		}
	}
	return css, nil
}

// selectors takes one rule of a sheet.
func (s *Sheet) selectors(head, block []byte, some bool) {
	var d Decl
	d.Parse(block)
	if !d.Says() {
		return
	}
	for one := range bytes.SplitSeq(head, []byte(",")) {
		if s.rules++; s.rules > MaxRules {
			return
		}
		one = bytes.TrimSpace(one)
		simple := len(one) > 0 && !bytes.ContainsAny(one, " \t\r\n>+~:[*")
		r, ok := parseSelector(lastOf(one))
		switch {
		case some || !simple || !ok:
			if d.Shows() {
				s.shows(&r)
			}
			s.unsure = s.unsure || !some && d.has&(ground|ink) != 0 && !bytes.Contains(one, []byte(":"))
		default:
			r.decl = d
			s.keep(r)
		}
	}
}

// lastOf is the part of a selector that names the element itself.
func lastOf(selector []byte) []byte {
	if i := bytes.LastIndexAny(selector, " \t\r\n>+~"); i >= 0 {
		selector = selector[i+1:]
	}
	if i := bytes.IndexAny(selector, ":["); i >= 0 {
		selector = selector[:i]
	}
	return selector
}

// parseSelector reads a name, an id and classes.
func parseSelector(b []byte) (r rule, ok bool) {
	i := bytes.IndexAny(b, ".#")
	if i < 0 {
		i = len(b)
	}
	r.tag = strings.ToLower(string(b[:i]))
	for b = b[i:]; len(b) > 0; {
		end := bytes.IndexAny(b[1:], ".#") + 1
		if end == 0 {
			end = len(b)
		}
		switch name := string(b[1:end]); {
		case name == "" || len(r.classes) == mostNames:
			return r, false
		case b[0] == '#':
			r.id = name
		default:
			r.classes = append(r.classes, name)
		}
		b = b[end:]
	}
	return r, r.tag != "" || r.id != "" || len(r.classes) > 0
}

// shows remembers what some screens are shown.
func (s *Sheet) shows(r *rule) {
	for _, c := range r.classes {
		s.switched["."+c] = struct{}{}
	}
	if r.id != "" {
		s.switched["#"+r.id] = struct{}{}
	}
}

func (s *Sheet) keep(r rule) {
	in, name := s.tags, r.tag
	if r.id != "" {
		in, name = s.ids, r.id
	} else if len(r.classes) > 0 {
		in, name = s.classes, r.classes[0]
	}
	for i := range in[name] {
		if have := &in[name][i]; have.tag == r.tag && have.id == r.id && slices.Equal(have.classes, r.classes) {
			have.decl.Add(&r.decl)
			return
		}
	}
	if len(in[name]) < mostAlike {
		in[name] = append(in[name], r)
	}
}

// Of is what a page says of an element: by its sheets, and by its own declarations. shown reports
// that rules for some screens, or of selectors that are not followed, show what may be hidden.
func (s *Sheet) Of(tag string, class, id, own []byte) (d Decl, shown bool) {
	if s != nil {
		class = class[:min(len(class), mostClass)]
		for i := range s.tags[tag] {
			d.Add(&s.tags[tag][i].decl)
		}
		n := 0
		for name := range bytes.FieldsSeq(class) {
			if n++; n > mostNames {
				break
			}
			s.matching(&d, s.classes[string(name)], tag, class, id)
			shown = shown || s.switches('.', name)
		}
		if len(id) > 0 {
			s.matching(&d, s.ids[string(id)], tag, class, id)
			shown = shown || s.switches('#', id)
		}
	}
	if len(own) > 0 {
		var inner Decl
		inner.Parse(own)
		d.Add(&inner)
	}
	return d, shown
}

func (s *Sheet) switches(mark byte, name []byte) bool {
	if len(s.switched) == 0 || len(name) > 64 {
		return false
	}
	var buf [65]byte
	_, ok := s.switched[string(append(append(buf[:0], mark), name...))]
	return ok
}

// matching adds those of the rules that are about the element.
func (s *Sheet) matching(d *Decl, rules []rule, tag string, class, id []byte) {
	for i := range rules {
		r := &rules[i]
		if r.tag != "" && r.tag != tag || r.id != "" && r.id != string(id) {
			continue
		}
		if len(r.classes) == 0 || len(r.classes) == 1 && r.id == "" || hasAll(r.classes, class) {
			d.Add(&r.decl)
		}
	}
}

// hasAll reports whether an element has all the classes.
func hasAll(names []string, class []byte) bool {
	for _, name := range names {
		found := false
		for one := range bytes.FieldsSeq(class) {
			found = found || string(one) == name
		}
		if !found {
			return false
		}
	}
	return true
}
