package view_test

import (
	"strings"
	"testing"

	"postern/internal/mime/view"
)

// newsletter is a page of about so many bytes as shops send them: a sheet, tables in tables, and
// styles on every element.
func newsletter(size int) []byte {
	var b strings.Builder
	b.WriteString(`<html><head><style type="text/css">body{margin:0;background:#f4f4f4}.btn{background:#0a58ca;color:#fff}
@media (max-width:600px){.wide{width:100%!important}.small{display:block!important}}</style></head><body>
<div style="display:none;max-height:0;overflow:hidden;mso-hide:all">New lamps are here&zwnj;&nbsp;&zwnj;&nbsp;</div>`)
	for b.Len() < size {
		b.WriteString(`<table role="presentation" width="100%" cellpadding="0" cellspacing="0" class="wide" style="border-collapse:collapse;background-color:#ffffff;">
<tr><td align="left" style="padding:10px 24px;font-family:Arial,Helvetica,sans-serif;font-size:15px;line-height:22px;color:#333333;">A lamp that
goes on when you come home, and off when you are gone: <strong>this week</strong> with a shade of linen. <a href="https://www.example.org/lamps/17?from=letter"
class="btn" style="display:inline-block;padding:8px 12px;color:#ffffff;text-decoration:none;">Look at it</a> <img src="https://www.example.org/p/17.png" alt="A lamp" width="120"></td></tr></table>
`)
	}
	return []byte(b.String())
}

func BenchmarkAddHTML(b *testing.B) {
	page := newsletter(20_000)
	b.SetBytes(int64(len(page)))
	b.ReportAllocs()
	for b.Loop() {
		c := view.NewCollector(view.Budget{Text: 4 << 20, Tokens: 200_000, URLs: 10_000})
		c.AddHTML(page)
	}
}
