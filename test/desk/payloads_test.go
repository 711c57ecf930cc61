package desk

import (
	"fmt"
	"math/rand/v2"
	"strings"
)

// payloads are n texts that try to run a script or to load something from canary, made from
// families of templates by a seed. Each carries mark, with its number, as plain text, so that it
// can be seen where it is shown.
func payloads(seed uint64, n int, canary, mark string) []string {
	r := rand.New(rand.NewPCG(seed, seed^0x9e3779b97f4a7c15)) //nolint:gosec // it is to be the same again
	out := make([]string, n)
	for i := range out {
		run := fmt.Sprintf("fetch('%s/run/%s%d');window.top.name='ran%d';alert(%d)", canary, mark, i, i, i)
		f := families[i%len(families)]
		p := f(r, run, fmt.Sprintf("%s/load/%s%d", canary, mark, i))
		out[i] = vary(r, p) + fmt.Sprintf(" %s%d.", mark, i)
	}
	return out
}

// seed of all payloads of the tests.
const seed = 20261122

func one(r *rand.Rand, of ...string) string { return of[r.IntN(len(of))] }

// families of payloads: of each, run is a script and load an address.
var families = []func(r *rand.Rand, run, load string) string{
	func(r *rand.Rand, run, _ string) string { // plain scripts, and out of what may stand around them
		return one(r, "", `">`, "'>", "`>", "-->", "]]>", "</textarea>", "</title>", "</style>", "</pre>", "</noscript>", "</select>", "</iframe>", "</a>", "</bdi></td></table>") +
			one(r, "<script>", "<script/x>", "<script\t>", "<script type=module>", "<script async>", "<scr\x00ipt>", "<<script>") + run + "</script>"
	},
	func(r *rand.Rand, run, load string) string { // handlers of things that load or fail at once
		tag := one(r, "img src=x", "image src=x", "video><source", "audio src=x", "body", "svg", "input autofocus", "details open", "marquee", "object data=x", "embed src=x", "link rel=stylesheet href="+load, "iframe", "select autofocus", "math", "style", "p tabindex=1 autofocus", "dialog open", "button autofocus popovertarget=x")
		on := one(r, "onerror", "onload", "onfocus", "ontoggle", "onstart", "onanimationstart", "onpageshow", "onbegin", "onscroll", "onpointerenter")
		return one(r, "", `">`, `'>`, `"`) + "<" + tag + one(r, " ", "/", "\t", "\n", "\f") + on + one(r, "=", " = ", "=\n") + `"` + run + `">`
	},
	func(r *rand.Rand, run, _ string) string { // names of other trees, which parsers change between
		return one(r,
			`<svg><style><img src=x onerror="%s"></style></svg>`, `<math><mtext><table><mglyph><style><!--</style><img title="--&gt;&lt;img src=x onerror='%s'&gt;">`,
			`<svg></p><style><a id="</style><img src=x onerror='%s'>">`, `<math><annotation-xml encoding="text/html"><script>%s</script></annotation-xml></math>`,
			`<svg><foreignObject><p/onfocus="%s" autofocus tabindex=0></foreignObject></svg>`, `<noscript><p title="</noscript><img src=x onerror='%s'>"></noscript>`,
			`<form><math><mtext></form><form><mglyph><style></math><img src onerror='%s'>`, `<svg><animate onbegin="%s" attributeName=x dur=1s></svg>`, `<svg><set onbegin="%s" attributename=x></svg>`,
			`<select><template><style><!--</style><a rel="--></style></template></select><img src onerror='%s'>">`) + strings.Repeat("</b>", r.IntN(3)) + run[:0] + "\x01" + run + "\x01"
	},
	func(r *rand.Rand, run, _ string) string { // addresses that are scripts
		scheme := one(r, "javascript:", "JaVaScRiPt:", "java\tscript:", "java\nscript:", "\x01javascript:", "&#106;avascript:", "javascript&colon;", "javascript&#x3a;", " javascript:", "vbscript:", "livescript:", "jav&#x0A;ascript:")
		return one(r, `<a href="%s">x</a>`, `<iframe src="%s"></iframe>`, `<form action="%s"><button autofocus>x</button></form>`, `<object data="%s"></object>`, `<embed src="%s">`, `<svg><a xlink:href="%s"><text>x</text></a></svg>`, `<math href="%s">x</math>`, `<base href="%s">`, `<meta http-equiv=refresh content="0;url=%s">`, `<area href="%s">`, `[x](%s)`) + "\x01" + scheme + run + "\x01"
	},
	func(r *rand.Rand, run, _ string) string { // addresses that carry a page
		return one(r, `<a href="%s">x</a>`, `<iframe src="%s"></iframe>`, `<object data="%s"></object>`, `<embed src="%s">`, `<img src="%s">`, `<link rel=import href="%s">`, `<script src="%s"></script>`, `<svg><use href="%s#x"/></svg>`) + "\x01" +
			one(r, "data:text/html,<script>", "data:text/html;charset=utf-8,<script>", "data:image/svg+xml,<svg xmlns='http://www.w3.org/2000/svg'><script>", "data:application/xhtml+xml,<html xmlns='http://www.w3.org/1999/xhtml'><script>", "data:,<script>") + run + "</script>\x01"
	},
	func(r *rand.Rand, _, load string) string { // things that load without a script
		return one(r, `<img src="%s">`, `<img srcset="%s 1x">`, `<picture><source srcset="%s"><img></picture>`, `<link rel=stylesheet href="%s">`, `<link rel=prefetch href="%s">`, `<link rel=preconnect href="%s">`, `<iframe src="%s"></iframe>`, `<video poster="%s">`, `<audio src="%s" autoplay>`, `<body background="%s">`, `<table background="%s"><td background="%[1]s">`, `<input type=image src="%s">`, `<svg><image href="%s"/></svg>`, `<object data="%s"></object>`, `<script src="%s"></script>`, `<track src="%s">`, `<a href=x ping="%s">x</a>`, `<frameset><frame src="%s"></frameset>`, `<bgsound src="%s">`, `<meta http-equiv=refresh content="0;url=%s">`, `<base href="%s/"><img src=x>`, `<svg><feImage href="%s"/></svg>`) + "\x01" + load + "\x01"
	},
	func(r *rand.Rand, _, load string) string { // styles
		css := one(r, "@import '%s';", "@import url(%s);", "body{background:url(%s)}", "*{background:url('%s')!important}", "@font-face{font-family:x;src:url(%s)}*{font-family:x}", "li{list-style:url(%s)}", "*{cursor:url(%s),auto}", "p::before{content:url(%s)}", "*{position:fixed;top:0;left:0;width:100vw;height:100vh;background:url(%s)}", "*{border-image:url(%s)}", "@namespace url(%s);", "*{mask:url(%s#x)}", "*{filter:url(%s#x)}", "*{background:image-set('%s' 1x)}")
		if r.IntN(2) == 0 {
			return one(r, "", "</style>", `">`) + "<style>" + css + "</style><p>x</p>\x01" + load + "\x01"
		}
		return `<p style="` + one(r, "background:url(%s)", "background:u\\72l(%s)", "list-style-image:url(%s)", "content:url(%s)", "behavior:url(%s)", "-moz-binding:url(%s)", "background:url(&#x27;%s&#x27;)", "width:expression(open('%s'))", "color:red;background-image:url(%s)") + `">x</p>` + "\x01" + load + "\x01"
	},
	func(r *rand.Rand, run, load string) string { // frames, forms and bases
		return one(r, `<iframe srcdoc="<script>%s</script>"></iframe>`, `<iframe srcdoc='<img src=x onerror="%s">'></iframe>`, `<form action=x id=f><input name=form><button form=f formaction="javascript:%s" autofocus>x</button></form>`, `<template shadowrootmode=open><script>%s</script></template>`, `<base target="%s"><a href=x>x</a>`, `<portal src="javascript:%s">`, `<fencedframe src="javascript:%s">`, `<isindex action="javascript:%s">`, `<keygen autofocus onfocus="%s">`, `<meta http-equiv="Content-Security-Policy" content="script-src 'unsafe-inline'"><script>%s</script>`) + "\x01" + run + "\x01" + load[:0]
	},
	func(r *rand.Rand, run, _ string) string { // out of attributes
		return one(r, `" `, `' `, "` ", `"/`, `x `, "\t", `&quot; `, `\" `, `"\n`, `x" `) + one(r, "onmouseover", "onfocus", "onclick", "onload", "onerror", "style=animation-name:x onanimationend", "autofocus onfocus", "tabindex=0 autofocus onfocus", "data-key=? accesskey=x onclick") + `="` + run + `" ` + one(r, "x=", `x="`, "x='", "//", ">")
	},
	func(r *rand.Rand, run, _ string) string { // words of templates and scripts
		return one(r, `{{%s}}`, `{{define "content"}}%s{{end}}`, `{{.Token}}{{template "frame" .}}%s`, `${%s}`, "`-%s-`", `';%s;//`, `";%s;//`, `\u003cscript\u003e%s\u003c/script\u003e`, `#{%s}`, `<%%= %s %%>`, `hx-on:load="%s"`, `<p hx-get="javascript:%s" hx-trigger=load>`, `<div data-hx-on="load:%s">`, `<p hx-on::after-request="%s" hx-get="/held" hx-trigger=load>`, `<button data-key="j" data-sure="%s">`) + "\x01" + run + "\x01"
	},
	func(r *rand.Rand, run, _ string) string { // other writings of the same signs
		p := "<img src=x onerror=" + run + ">"
		switch r.IntN(6) {
		case 0:
			return strings.NewReplacer("<", "&lt;", ">", "&gt;").Replace(p)
		case 1:
			return strings.NewReplacer("<", "＜", ">", "＞").Replace(p)
		case 2:
			return strings.NewReplacer("<", "+ADw-", ">", "+AD4-").Replace(p)
		case 3:
			return strings.NewReplacer("<", "\xc0\xbc", ">", "\xc0\xbe").Replace(p)
		case 4:
			return strings.NewReplacer("<", "%3C", ">", "%3E").Replace(p)
		}
		return strings.NewReplacer("<", "\\x3c", ">", "\\x3e").Replace(p)
	},
	func(r *rand.Rand, run, _ string) string { // what nobody sees, in between
		odd := one(r, "\u202e", "\u200b", "\ufeff", "\u2028", "\x00", "\x1b[2J", "\x7f", "\u2066", "\U000e0041", "\xff")
		return odd + "<script" + odd + ">" + odd + run + odd + "</script" + odd + ">" + odd
	},
}

// vary puts what a template was given into it, and writes it in one of several ways.
func vary(r *rand.Rand, p string) string {
	if parts := strings.Split(p, "\x01"); len(parts) >= 3 && strings.Contains(parts[0], "%") {
		p = strings.NewReplacer("%[1]s", parts[1], "%s", strings.Join(parts[1:len(parts)-1], ""), "%%", "%").Replace(parts[0]) + parts[len(parts)-1]
	}
	p = strings.ReplaceAll(p, "\x01", "")
	switch r.IntN(6) {
	case 0: // letters of names in another case
		return swap(r, p)
	case 1: // not closed
		return p + one(r, "<", "<!--", "<a href='", `<p title="`, "<![CDATA[", "&#")
	case 2: // twice, the one within the other
		return strings.Replace(p, "<", "<"+one(r, "<", "b><", "!--><", "/><"), 1)
	case 3:
		return one(r, "x ", "\n", "]]>", "*/", "{", "</") + p
	}
	return p
}

func swap(r *rand.Rand, p string) string {
	in := false
	return strings.Map(func(c rune) rune {
		switch {
		case c == '<':
			in = true
		case c == ' ' || c == '>' || c == '=':
			in = false
		case in && c >= 'a' && c <= 'z' && r.IntN(2) == 0:
			return c - 'a' + 'A'
		}
		return c
	}, p)
}
