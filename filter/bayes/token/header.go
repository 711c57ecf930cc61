package token

import (
	"iter"
	"net/netip"
	"path"
	"strconv"
	"strings"
	"unicode"

	"postern/internal/address"
	"postern/internal/mime"
	"postern/internal/mime/style"
)

// header adds what the author wrote into the header: the subject, the names, the program.
func (b *bag) header(tree *mime.Tree) {
	b.text(kindSubject, cut(tree.Subject(), MaxText), MaxSubject)
	h := &tree.Root.Header
	from := ""
	for i, m := range tree.From() {
		if i == 2 {
			break
		}
		b.plain(kindFrom, m.Name)
		from = organization(m.Domain)
		b.domain(kindFromDomain, m.Domain)
	}
	if d := addressDomain(h.Get("Reply-To")); d != "" {
		b.domain(kindReply, d)
		if organization(d) != from {
			b.add(kindReply, "another domain")
		}
	}
	for _, name := range []string{"X-Mailer", "User-Agent"} {
		b.plain(kindMailer, h.Get(name))
	}
	b.plain(kindList, h.Decoded("List-Id"))
	for _, name := range []string{"X-Priority", "Importance", "Precedence", "Content-Language"} {
		if v := strings.ToLower(strings.TrimSpace(cut(h.Get(name), 20))); v != "" {
			b.add(kindShape, name+" "+v)
		}
	}
}

// plain adds the words of a short text, without pairs.
func (b *bag) plain(k kind, text string) {
	words := strings.FieldsFunc(cut(text, 400), func(r rune) bool { return !unicode.IsLetter(r) })
	for i, w := range words {
		if i == MaxSubject {
			return
		}
		b.add(k, strings.ToLower(cut(w, 4*maxWord)))
	}
}

// domain adds the domain as registered, and the suffix that it was registered under.
func (b *bag) domain(k kind, domain string) {
	if domain == "" {
		return
	}
	org := organization(domain)
	b.add(k, org)
	if _, suffix, ok := strings.Cut(org, "."); ok {
		b.add(k, "."+suffix)
	}
}

func organization(domain string) string {
	return address.Registered(strings.ToLower(strings.TrimSuffix(cut(domain, 255), ".")))
}

func addressDomain(field string) string {
	_, d, ok := strings.Cut(cut(field, 1000), "@")
	if !ok {
		return ""
	}
	if i := strings.IndexFunc(d, func(r rune) bool { return r != '.' && r != '-' && !unicode.IsLetter(r) && !unicode.IsDigit(r) }); i >= 0 {
		d = d[:i]
	}
	return d
}

// maxParts bounds the parts whose types and names are tokens.
const maxParts = 50

// structure adds types, charsets, endings of files, and rough sizes.
func (b *bag) structure(tree *mime.Tree) {
	text, html, images, files := 0, 0, 0, 0
	for i, p := range tree.Parts {
		if i == maxParts {
			break
		}
		b.add(kindShape, "type "+cut(p.MediaType, 60))
		if p.Charset != "" {
			b.add(kindShape, "charset "+cut(p.Charset, 40))
		}
		switch {
		case p.MediaType == "text/html":
			html++
		case p.MediaType == "text/plain":
			text++
		case strings.HasPrefix(p.MediaType, "image/"):
			images++
		}
		for _, name := range p.FileNames[:min(len(p.FileNames), 4)] {
			files++
			b.add(kindFile, strings.ToLower(cut(path.Ext(name), 12)))
		}
	}
	b.add(kindShape, "parts "+rough(len(tree.Parts))+" text "+rough(text)+" html "+rough(html))
	b.add(kindShape, "images "+rough(images)+" files "+rough(files))
	words, source := len(tree.Text()), len(tree.HTMLText())
	b.add(kindShape, "text "+rough(words/64)+" source "+rough(source/64))
	b.add(kindShape, "links "+rough(len(tree.URLs())))
	b.pages(tree.Pages())
}

// pages adds what pages hide from their reader, and what they are made of.
func (b *bag) pages(p *mime.Pages) {
	for _, what := range []struct {
		name string
		n    int
	}{
		{"hidden lead ", p.Lead / 64}, {"hidden text ", (p.Hidden - p.Lead) / 64}, {"tiny text ", p.Tiny / 16},
		{"forms ", len(p.Forms)}, {"handlers ", p.Handler}, {"empty tags ", p.Empty / 4}, {"unknown tags ", p.Unknown},
	} {
		if what.n > 0 {
			b.add(kindShape, what.name+rough(what.n))
		}
	}
	if p.Hidden-p.Lead > p.Shown {
		b.add(kindShape, "hidden most")
	}
	if p.Anchors > 0 && p.Anchors == p.OfImage {
		b.add(kindShape, "links of pictures alone")
	}
	var told [style.Alike + 1]bool
	for _, s := range p.Spans {
		if !s.Lead && !told[s.Cause] {
			told[s.Cause] = true
			b.add(kindShape, "hidden "+s.Cause.String())
		}
	}
}

// rough is a number to the next power of two.
func rough(n int) string {
	p := 1
	for p < n && p < 1<<20 {
		p *= 2
	}
	if n == 0 {
		p = 0
	}
	return strconv.Itoa(p)
}

// links adds where links lead, and whether they say so. Where images and styles are loaded from
// tells how a message was made and by whose tools, not what it wants.
func (b *bag) links(all []mime.URL) {
	for u := range followed(all) {
		if _, err := netip.ParseAddr(strings.Trim(u.Host, "[]")); err == nil {
			b.add(kindHost, "an address")
		} else {
			b.domain(kindHost, u.Host)
			if strings.Count(u.Host, ".") > 3 {
				b.add(kindHost, "deep")
			}
		}
		if strings.Contains(u.Text, ".") && !strings.Contains(strings.ToLower(u.Text), organization(u.Host)) && looksLikeLink(u.Text) {
			b.add(kindHost, "shows another")
		}
		b.path(u.Raw)
	}
}

// followed are the links that a reader can follow, at most MaxLinks.
func followed(all []mime.URL) iter.Seq[mime.URL] {
	return func(yield func(mime.URL) bool) {
		n := 0
		for _, u := range all {
			if u.Host == "" || u.Embedded {
				continue
			}
			if n++; n > MaxLinks || !yield(u) {
				return
			}
		}
	}
}

func looksLikeLink(text string) bool {
	return strings.Contains(text, "://") || strings.HasPrefix(strings.ToLower(text), "www.")
}

// path adds the words of a path, and of the names of parameters.
func (b *bag) path(raw string) {
	if _, rest, ok := strings.Cut(raw, "://"); ok {
		raw = rest
	}
	_, rest, _ := strings.Cut(raw, "/")
	words := strings.FieldsFunc(cut(rest, 200), func(r rune) bool { return !unicode.IsLetter(r) })
	for i, w := range words {
		if i == 8 {
			return
		}
		if len(w) >= 3 && len(w) <= 16 {
			b.add(kindPath, strings.ToLower(w))
		}
	}
}
