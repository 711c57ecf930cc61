package desk

import (
	"testing"

	"github.com/chromedp/chromedp"

	"postern/internal/people"
)

// TestNews has an open list told of mail that is held meanwhile: nothing moves until the
// reader asks for it, and what was selected stays selected.
func TestNews(t *testing.T) {
	t.Parallel()
	n := start(t)
	n.user("olga", people.Postmaster)
	n.send("ada@example.com", "The first please hold", "Content-Type: text/plain\r\n\r\nOne.")
	b := n.browse("en")
	b.signIn("olga")
	b.do(navigate(b.base+"/held"), visible("tr[data-row]"))
	b.do(chromedp.KeyEvent("j"), chromedp.KeyEvent("x"))
	b.until("the stream says where things stand", `document.documentElement.dataset.heard === ""`)
	place := `document.querySelector("tr[data-row]").getBoundingClientRect().height + " " + document.querySelectorAll("tr[data-row]").length`
	before := b.ask(place)
	n.send("ada@example.com", "The second please hold", "Content-Type: text/plain\r\n\r\nTwo.")
	n.send("ada@example.com", "The third please hold", "Content-Type: text/plain\r\n\r\nThree.")
	b.until("two new rows are announced", `document.querySelector(".news")?.textContent === "New: 2"`)
	if after := b.ask(place); after != before {
		t.Errorf("the list moved: %s, then %s", before, after)
	}
	b.picture("announced")
	b.do(click(".news"))
	b.until("all three are shown", `document.querySelectorAll("tr[data-row]").length === 3 && !document.querySelector(".news")`)
	b.until("the first is still selected", `document.querySelectorAll("tr[data-row] input:checked").length === 1 && document.querySelector("tr[data-row]:last-child input").checked`)
	b.picture("shown")
}
