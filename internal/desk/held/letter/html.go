package letter

import (
	"regexp"
	"sync"

	"github.com/microcosm-cc/bluemonday"
)

var inlineImage = regexp.MustCompile(`^data:image/(?:png|gif|jpeg|webp);base64,[A-Za-z0-9+/=\s]+$`)

// policy leaves looks and nothing else: no link, script, form, frame or anything that loads. The
// colours and sizes are those of a fixed list.
var policy = sync.OnceValue(func() *bluemonday.Policy {
	p := bluemonday.NewPolicy()
	p.AllowElements("p", "br", "div", "span", "b", "i", "u", "s", "em", "strong", "small", "sub", "sup", "h1", "h2", "h3", "h4", "h5", "h6", "ul", "ol", "li", "dl", "dt", "dd",
		"blockquote", "pre", "code", "hr", "table", "thead", "tbody", "tfoot", "tr", "td", "th", "caption", "center", "font")
	p.AllowAttrs("colspan", "rowspan", "align", "valign", "width", "height", "bgcolor").Matching(regexp.MustCompile(`^[#A-Za-z0-9%]{1,20}$`)).OnElements("table", "tr", "td", "th")
	p.AllowAttrs("color", "size").Matching(regexp.MustCompile(`^[#A-Za-z0-9+-]{1,20}$`)).OnElements("font")
	p.AllowElements("img")
	p.AllowAttrs("src").Matching(inlineImage).OnElements("img")
	p.AllowAttrs("width", "height").Matching(regexp.MustCompile(`^[0-9]{1,4}$`)).OnElements("img")
	p.AllowDataURIImages()
	p.AllowStyles("color", "background-color").Matching(regexp.MustCompile(`^(?i:#[0-9a-f]{3,8}|[a-z]{3,20})$`)).Globally()
	p.AllowStyles("text-align", "font-weight", "font-style").Matching(regexp.MustCompile(`^(?i:[a-z]{3,12}|[1-9]00)$`)).Globally()
	return p
})

// Safe is the HTML of the message with all that could act taken out.
func (l *Letter) Safe() string { return policy().Sanitize(Clip(l.tree.HTMLText(), MaxHTML)) }
