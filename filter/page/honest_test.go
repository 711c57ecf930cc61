package page_test

import (
	"strings"
	"testing"

	"postern/filter/page"
)

// honest are pages put together as the tools of shops, editors of text and mail programs do it.
// Each hides something, and none of them from its reader.
func honest() map[string]string {
	return map[string]string{
		"a preview with padding that many tools write": `
<body style="margin:0;padding:0;background-color:#f4f4f4">
<span class="preheader" style="display:none!important;visibility:hidden;opacity:0;color:transparent;height:0;width:0;
  max-height:0;max-width:0;overflow:hidden;mso-hide:all">
  Thirty lamps for less than you think, a shade for each of them, and what our carpenters
  say about oak in the winter
  ` + strings.Repeat("&#847;&zwnj;&nbsp;&#8199;&shy; ", 150) + `
</span>
<table role="presentation" width="100%" bgcolor="#f4f4f4">
  <tr><td align="center" style="padding:24px">
    <h1 style="font:700 24px/1.3 Helvetica,Arial,sans-serif;color:#222">New in the shop</h1>
    <p style="font-size:15px;line-height:22px;color:#444">Lamps, shades and tables for the dark months.</p>
  </td></tr>
</table>`,

		"two versions for wide and narrow screens": `
<style>
  .narrow { display: none; max-height: 0; overflow: hidden; font-size: 0 }
  @media only screen and (max-width: 480px) {
    .wide { display: none !important }
    .narrow { display: block !important; max-height: none !important; font-size: 14px !important }
  }
</style>
<div class="wide">
  <p>On a wide screen the table of what we serve stands beside the map of the house, and
  below it the hours of the kitchen, the bar and the terrace, from Monday to Sunday.</p>
</div>
<div class="narrow">
  <p>Where the screen is small you find first the hours of the kitchen, then those of bar and
  terrace, then a short map with stairs and lift, and the card for each day of the week behind
  a line of its own that opens when it is touched by a finger.</p>
</div>`,

		"a part that one program shows by a rule of importance": `
<style>
  .opens { display: block !important; font-size: 16px !important }
</style>
<p>Dear members,</p>
<div class="opens" style="display:none;font-size:0">
  <p>the meeting of the spring is on the third of April in the hall of the school. Please bring
  the papers that we sent in February, and tell us whether you stay for the supper, for which
  the kitchen wants to know how many of us there are.</p>
</div>`,

		"cells without a size of letters, their contents with one": `
<table width="600" cellspacing="0"><tr>
  <td style="font-size:0;line-height:0;text-align:center">
    <div style="display:inline-block;width:300px;vertical-align:top;font-size:14px;line-height:20px">
      <p>The left of two columns that stand beside each other without a gap between them, for
      white space without a size takes no room at all.</p>
    </div>
    <div style="display:inline-block;width:300px;vertical-align:top;font-size:14px;line-height:20px">
      <p>The right one, with what was new in the garden this week and when the gates are open.</p>
    </div>
  </td>
</tr></table>`,

		"white letters on what is dark": `
<style>
  .button { background: #0a58ca; color: #ffffff; padding: 8px 14px }
  .foot { background-color: rgb(34, 34, 34) }
  .foot p { line-height: 18px }
</style>
<table width="100%" background="https://www.example.org/night.jpg"><tr><td>
  <h1 style="color:#fff">A long night of music in the old halls of the harbour, with bands from
  seven towns and a market on the quay until the morning comes</h1>
</td></tr></table>
<a class="button" href="https://www.example.org/tickets">Tickets for members and for their guests</a>
<div style="background-image:linear-gradient(90deg,#111,#333);color:white">
  <p>The halls open at eight. There is a tram every ten minutes until four, and the ferry goes all night.</p>
</div>
<div class="foot"><p style="color:#fff">Harbour Music Association, Quay 7, with the support of the town.</p></div>`,

		"grounds by selectors that are not followed": `
<style>
  table.news td.head { background-color: #102030 }
  table.news td.head h2 { margin: 0 }
</style>
<table class="news"><tr><td class="head">
  <h2 style="color:#ffffff">What the council decided about the bridge, the school and the new
  houses at the river, and what it left for the session in the winter, as far as it is known</h2>
</td></tr><tr><td><p>The papers are in the library.</p></td></tr></table>`,

		"a button for one program and a button for all others": `
<p>Your order has left our store and is on its way. The carrier comes on Thursday.</p>
<!--[if mso]><v:roundrect href="https://www.example.org/t" fillcolor="#0a58ca"><center>Follow it</center></v:roundrect><![endif]-->
<!--[if !mso]><!-->
<a href="https://www.example.org/t" style="mso-hide:all;background-color:#0a58ca;color:#ffffff">Follow it</a>
<!--<![endif]-->`,

		"what an editor of text leaves behind": `
<html xmlns:o="urn:schemas-microsoft-com:office:office"><head><style><!--
 /* Font Definitions */
 @font-face {font-family:Calibri; panose-1:2 15 5 2 2 2 4 3 2 4;}
 p.MsoNormal, li.MsoNormal {margin:0cm; font-size:11.0pt; font-family:"Calibri",sans-serif;}
 a:link {color:#0563C1; text-decoration:underline;}
--></style></head><body lang="EN-GB" link="#0563C1">
<div class="WordSection1">
<p class="MsoNormal">Dear Bob,<o:p></o:p></p>
<p class="MsoNormal"><o:p>&nbsp;</o:p></p>
<p class="MsoNormal">the papers are <b><span style="color:black">attached</span></b>. We meet on
<span style="font-size:10.0pt">Tuesday</span>.<o:p></o:p></p>
<p class="MsoNormal"><b><span lang="EN-GB"></span></b><o:p></o:p></p>
</div></body></html>`,

		"an answer above what it quotes": `
<div dir="ltr">Yes, Tuesday is fine.<br></div><br>
<div class="gmail_quote"><div dir="ltr" class="gmail_attr">On Mon, Bob wrote:<br></div>
<blockquote class="gmail_quote" style="margin:0px 0px 0px 0.8ex;border-left:1px solid rgb(204,204,204)">
<div style="font-size:12.8px;background-color:rgb(255,255,255)"><font color="#000000">Can we meet
on Tuesday?</font></div></blockquote></div>`,

		"a table of lines for those who listen": `
<style>
  .sr-only { position: absolute; left: -10000px; width: 1px; height: 1px; overflow: hidden }
</style>
<table><caption class="sr-only">Your balance by month</caption>
<tr><th class="sr-only">Month</th><th class="sr-only">Balance</th></tr>
<tr><td>October</td><td>120.00</td></tr>
<tr><td>November</td><td>98.50</td></tr></table>
<p>This is what you paid for electricity. Write to us if a number looks wrong.</p>`,

		"a date that changes its colour": `
<p>The next train goes at <span style="color:#fff;background:#000">10:42</span> from platform
<span style="color:#ffffff;background-color:#cc0000">7</span>. Seats are kept until five minutes before.</p>`,
	}
}

// TestHonestPages find nothing.
func TestHonestPages(t *testing.T) {
	for name, body := range honest() {
		if found := findings(t, html(body)); len(found) > 0 {
			t.Errorf("%s: %v", name, found)
		}
	}
}

// TestDishonestPages are ways to hide the same words, each among text that is shown.
func TestDishonestPages(t *testing.T) {
	salad := letters(500)
	around := func(hidden string) string {
		return html("<p>Dear customer, your account needs a look.</p>\n" + hidden + "\n<p>Kind regards</p>")
	}
	for name, hidden := range map[string]string{
		"not displayed": `
<div style="display:none">` + salad + `</div>`,
		"not displayed, in capitals and with a comment": `
<DIV STYLE="DISPLAY:/* shown */NONE">` + salad + `</DIV>`,
		"by a class": `
<style>.k1{display:none}</style>
<div class="a k1 b">` + salad + `</div>`,
		"by a class of which the sheet comes last": `
<div class="k1">` + salad + `</div>
<style>.k1{visibility:hidden}</style>`,
		"by a class and an element": `
<style>div.k1{opacity:0}</style>
<div class="k1">` + salad + `</div>`,
		"by an id": `
<style>#k1{font-size:1px}</style>
<div id="k1">` + salad + `</div>`,
		"in a list of selectors": `
<style>h1, .k1, td { max-height:0; overflow:hidden }</style>
<div class="k1">` + salad + `</div>`,
		"for screens that all have": `
<style>@media screen { .other { color:red } } .k1 { display:none }</style>
<div class="k1">` + salad + `</div>`,
		"by an attribute": `
<div hidden>` + salad + `</div>`,
		"where no browser shows anything": `
<template>` + salad + `</template>`,
		"without a size, three elements up": `
<div style="font-size:0"><table><tr><td><p>` + salad + `</p></td></tr></table></div>`,
		"a fraction of a small size": `
<div style="font-size:4px"><p style="font-size:30%">` + salad + `</p></div>`,
		"by the short form of a font": `
<div style="font:0px/0 Arial">` + salad + `</div>`,
		"off the page": `
<div style="position:absolute;top:-9999px">` + salad + `</div>`,
		"indented off the page": `
<p style="text-indent:-5000px">` + salad + `</p>`,
		"clipped": `
<div style="position:absolute;clip:rect(0,0,0,0)">` + salad + `</div>`,
		"white on the page": `
<font color="#FFFFFF">` + salad + `</font>`,
		"nearly white on the page": `
<div style="color:rgb(251, 252, 253)">` + salad + `</div>`,
		"in the colour of its cell": `
<table><tr><td bgcolor="#336699"><font color="#336698">` + salad + `</font></td></tr></table>`,
		"in the colour of the body": `
<body bgcolor="#eeeeee"><p style="color:#eeeeee">` + salad + `</p>`,
		"transparent": `
<p style="color:rgba(0,0,0,0)">` + salad + `</p>`,
		"in parts, each in its own way": `
<p style="opacity:0">` + salad[:200] + `</p><p>and</p><p style="font-size:0">` + salad[200:400] + `</p>
<p>so on</p><p style="display:none">` + salad[400:] + `</p>`,
	} {
		got := strings.Join(symbols(t, around(hidden)), " ")
		if !strings.Contains(got, page.HiddenText) || !strings.Contains(got, page.HiddenMost) {
			t.Errorf("%s: found %q", name, got)
		}
		white := strings.Contains(name, "white") || strings.Contains(name, "colour") || name == "transparent"
		if strings.Contains(got, page.HiddenColour) != white {
			t.Errorf("%s: found %q", name, got)
		}
	}
}
