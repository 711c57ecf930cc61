package sent_test

import (
	"errors"
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"postern/abuse/sent"
)

var start = time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)

func row(copies ...sent.Copy) sent.Row {
	return sent.Row{Serial: "s", Account: "anna@example.com", At: start, Copies: copies}
}

func TestSettledTakesOverWhatIsSaid(t *testing.T) {
	r := row(sent.Copy{Recipient: "a@x.example", State: sent.Handing}, sent.Copy{Recipient: "b@x.example", State: sent.Handing})
	r, changed := r.Settled([]sent.Copy{
		{Recipient: "A@X.example", State: sent.Delivered, Reply: "250 ok", QueueID: "4Abc1234", At: start},
		{Recipient: "nobody@x.example", State: sent.Delivered},
	})
	if !changed || len(r.Copies) != 2 || r.QueueID != "4Abc1234" || r.Accepted() != 2 {
		t.Errorf("%v %+v", changed, r)
	}
	again, changed := r.Settled([]sent.Copy{{Recipient: "a@x.example", State: sent.Delivered}})
	if changed || !reflect.DeepEqual(r, again) {
		t.Error("the same again changed something")
	}
	r, _ = r.Settled([]sent.Copy{{Recipient: "b@x.example", State: sent.Failed}, {Recipient: "a@x.example", Bounced: "5.1.1", At: start.Add(time.Hour)}})
	want := sent.Copy{Recipient: "a@x.example", State: sent.Delivered, Reply: "250 ok", QueueID: "4Abc1234", At: start.Add(time.Hour), Bounced: "5.1.1"}
	if d := cmp.Diff(want, r.Copies[0]); d != "" || r.Accepted() != 1 {
		t.Errorf("%d accepted\n%s", r.Accepted(), d)
	}
	late, changed := r.Settled([]sent.Copy{{Recipient: "a@x.example", State: sent.Waiting, Reply: "451 later"}})
	if changed {
		t.Errorf("a late word from an earlier try: %+v", late.Copies[0])
	}
}

func TestJoined(t *testing.T) {
	r := row(sent.Copy{Recipient: "a@x.example", State: sent.Delivered})
	next := row(sent.Copy{Recipient: "b@x.example", State: sent.Handing})
	got, err := r.Joined(next)
	if err != nil || len(got.Copies) != 2 || len(r.Copies) != 1 {
		t.Errorf("%+v, %v", got, err)
	}
	next.Account = "bob@example.com"
	if _, err := r.Joined(next); !errors.Is(err, sent.ErrExists) {
		t.Errorf("a row of another account: %v", err)
	}
}

func TestFit(t *testing.T) {
	r := row()
	r.From, r.Account = strings.Repeat("ä", 1000), "a\xff"
	for i := range sent.MaxCopies + 5 {
		r.Copies = append(r.Copies, sent.Copy{Recipient: fmt.Sprint(i), Reply: strings.Repeat("x", 9999)})
	}
	r.Symbols = make([]string, 500)
	r = r.Fit()
	if len(r.Copies) != sent.MaxCopies || len(r.Symbols) != sent.MaxSymbols || len(r.From) > 410 || r.Account != "a?" || len(r.Copies[0].Reply) > 500 {
		t.Errorf("%d copies, %d symbols, from %d, account %q", len(r.Copies), len(r.Symbols), len(r.From), r.Account)
	}
}

func TestQueueID(t *testing.T) {
	for reply, want := range map[string]string{
		"250 2.0.0 Ok: queued as 4Zx1Yk2b3Nz9":                   "4Zx1Yk2b3Nz9",
		"250 OK id=1rK9fG-0002Qy-1V":                             "1rK9fG-0002Qy-1V",
		"250 2.0.0 3mFAbCdE012345 Message accepted for delivery": "3mFAbCdE012345",
		"250 2.0.0 <bob@example.com> abcdEFGH Saved":             "",
		"250 2.1.5 Ok":                                  "",
		"451 4.3.0 queued as":                           "",
		"250 queued as <script>alert(1)</script>":       "",
		"250 held for review, id 01jd9x5h3k2m4n6p8q0r1": "",
		"": "",
	} {
		if got := sent.QueueID(reply); got != want {
			t.Errorf("%q: %q, want %q", reply, got, want)
		}
	}
}

const letter = `Dear friends, the members of our reading club meet again on Thursday evening in the small hall behind the library.
Please bring the second volume with you, and tell Maria (maria@club.example) whether you come. Coffee and cake are there as always.
We talk about the next trip as well: the mountains in May, or the sea in September? Until then, with kind regards, Anna`

const offer = `Cheap watches and pills for you today only! Click here and win one of ten thousand prizes that wait for you in our store.
Never before were prices as low as now, order before midnight and get the second one for nothing at all, dear customer.`

func TestLikeness(t *testing.T) {
	own := sent.Likeness(letter)
	redacted := strings.ReplaceAll(strings.ReplaceAll(letter, "maria@club.example", "rZ8cqXWGiKHzhz1MsFRGTysHia4=@redacted"), "\n", "\r\n\r\n ")
	if n := sent.Alike(own, sent.Likeness(strings.ToUpper(redacted))); n < 90 {
		t.Errorf("a redacted copy is %d alike", n)
	}
	if n := sent.Alike(own, sent.Likeness(offer)); n > 10 {
		t.Errorf("another text is %d alike", n)
	}
	if n := sent.Alike(own, sent.Likeness(letter+" "+offer)); n > 80 {
		t.Errorf("a text with as much put behind it is %d alike", n)
	}
	for _, none := range []string{"", " \r\n", "@ a@b.c", "---", strings.Repeat("x", 1000)} {
		if got := sent.Likeness(none); got != "" {
			t.Errorf("%.10q has the likeness %q", none, got)
		}
	}
	if sent.Alike("", "") != 0 || sent.Alike("l1:AAAA", own) != 0 || sent.Alike("l2:"+own[3:], own) != 0 {
		t.Error("what is no likeness is alike")
	}
	if sent.Alike(sent.Likeness("one word"), sent.Likeness("One, word!")) != 100 {
		t.Error("short texts are not alike")
	}
}

func TestLikenessOfAnything(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := rapid.String().Draw(t, "text")
		one := sent.Likeness(s)
		if one != "" && sent.Alike(one, sent.Likeness(s)) != 100 {
			t.Error("a text is not like itself")
		}
	})
}
