// Package aws brings reports about sources in the networks of AWS to where AWS takes them: by
// a signed call in place of mail. The notice stays queued until it was taken.
package aws

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"postern/abuse/cases"
	"postern/abuse/external/contact"
	"postern/abuse/external/told"
	"postern/internal/entity"
	"postern/internal/said"
)

// Bounds of a call.
const (
	Timeout   = 10 * time.Second
	PerTurn   = 5              // calls in one turn
	MaxAnswer = 64 << 10       // octets that are read of an answer
	shown     = 300            // octets of it that are kept
	GiveUp    = 24 * time.Hour // how long a report is tried: so long it counts once
	first     = time.Minute    // until the second try; then doubled
	longest   = time.Hour      // between two tries
	service   = "abuse"
)

// Courier brings reports.
type Courier struct {
	Home        entity.Home
	File        *File
	Endpoint    string // where reports go; {region} stands for the region
	Region      string // of networks that the file names no region for
	Credentials func() (Credentials, error)
	Client      *http.Client // follows no redirects
	Note        func(ctx context.Context, id string, v cases.Event) (cases.Case, error)
	Audit       func(ctx context.Context, actor, action, object string, before, after any, note string) error
	Now         func() time.Time
	Log         *slog.Logger
}

// Contact is where reports about an address go, if it is in a network of AWS.
func (c *Courier) Contact(ip netip.Addr) (contact.Contact, bool) {
	all, err := c.File.Ranges()
	if err != nil {
		c.Log.Warn("the ranges of AWS could not be read", "error", err)
	}
	in, ok := all.Find(ip)
	if !ok {
		return contact.Contact{}, false
	}
	if in == "" {
		in = c.Region
	}
	return contact.Contact{Address: strings.ReplaceAll(c.Endpoint, "{region}", in), Way: contact.AWS, Form: contact.XARF, Region: in}, true
}

// call is what is sent.
type call struct {
	Token  string `json:"clientToken"`
	Case   string `json:"correlationId"`
	Report struct {
		XARF json.RawMessage `json:"xarf"`
	} `json:"report"`
}

// Body is the call about a notice whose document was kept. Its token stays the same however
// often it is tried; sent again by a person, it is another.
func Body(n told.Notice, document []byte) ([]byte, error) {
	key, _ := n.Entry()
	v := call{Token: told.UUID(key), Case: n.Case}
	v.Report.XARF = document
	return json.Marshal(v)
}

// Tend brings what is due. One node calls it.
func (c *Courier) Tend(ctx context.Context) error {
	rows, _, err := told.Table(c.Home).Find(ctx, entity.Query{Index: told.ByCall, Rising: true, Limit: PerTurn})
	errs := []error{err}
	for _, r := range rows {
		if r.Value.Next.After(c.Now()) {
			break
		}
		a, err := c.post(ctx, r.Value)
		if ctx.Err() != nil {
			return errors.Join(append(errs, ctx.Err())...) // our own end says nothing of the other side
		}
		if err == nil {
			err = c.settle(ctx, r.Value, a)
		}
		if errs = append(errs, err); a.status == 0 {
			break // nobody is there: the others would wait as long
		}
	}
	return errors.Join(errs...)
}

// answer is what came of a call.
type answer struct {
	status int // 0 = none came
	text   string
	after  time.Duration // as it asks to be left alone
}

func (a answer) taken() bool { return a.status >= 200 && a.status < 300 }

// later reports whether the same call may be taken another time: with mended credentials too.
func (a answer) later() bool {
	switch a.status {
	case 0, http.StatusUnauthorized, http.StatusForbidden, http.StatusRequestTimeout, http.StatusTooEarly, http.StatusTooManyRequests:
		return true
	}
	return a.status >= 500
}

// post makes the call. What goes wrong on the way is an answer with status 0; an error is of
// our own home.
func (c *Courier) post(ctx context.Context, n told.Notice) (answer, error) {
	file, err := c.Home.Blob(ctx, entity.Evidence, n.Sum)
	if err != nil {
		return answer{}, err
	}
	defer file.Close()
	document, err := io.ReadAll(file)
	if err != nil {
		return answer{}, err
	}
	body, err := Body(n, document)
	if err != nil {
		return answer{}, err
	}
	who, err := c.Credentials()
	if err != nil {
		c.Log.Error("the credentials for AWS could not be read", "error", err)
		return answer{text: "the credentials could not be read"}, nil
	}
	ctx, cancel := context.WithTimeout(ctx, Timeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, n.To, bytes.NewReader(body))
	if err != nil {
		return answer{}, err
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Accept", "application/json")
	Sign(req, body, who, n.Region, service, c.Now())
	res, err := c.Client.Do(req)
	if err != nil {
		return answer{text: clean(err.Error())}, nil
	}
	defer res.Body.Close()
	text, _ := io.ReadAll(io.LimitReader(res.Body, MaxAnswer)) // the status alone decides
	a := answer{status: res.StatusCode, text: clean(string(text))}
	if s, err := strconv.Atoi(res.Header.Get("Retry-After")); err == nil && s > 0 {
		a.after = time.Duration(min(s, int(longest/time.Second))) * time.Second
	}
	return a, nil
}

// words are what AWS said, or that it said nothing.
func (a answer) words() said.Words {
	if a.status == 0 {
		return said.Say("aws.no-answer", "no answer: %s", "why", a.text)
	}
	return said.Typed(strings.TrimSpace(fmt.Sprintf("%d %s", a.status, a.text)))
}

// settle writes down what came of a call, in the case before the notice: cut short between the
// two, it is made again, which the token makes harmless.
func (c *Courier) settle(ctx context.Context, n told.Notice, a answer) error {
	now := c.Now().UTC()
	_, since := n.Entry()
	before := n.State
	answer, why := a.words(), a.words()
	var text said.Words
	switch {
	case a.taken():
		n.State, why, text = told.Sent, said.Words{}, said.Say("aws.took", "AWS took the report: %s", "answer", answer)
	case !a.later():
		n.State, text = told.Failed, said.Say("aws.refused", "AWS refused the report: %s", "answer", answer)
	case now.Sub(since) >= GiveUp:
		n.State, text = told.Failed, said.Say("aws.gave-up", "AWS did not take the report within a day: %s", "answer", answer)
	default:
		if n.Attempts == 0 {
			text = said.Say("aws.not-yet", "AWS did not take the report yet, it is tried again: %s", "answer", answer)
		}
		wait := max(min(first<<min(n.Attempts, 10), longest), a.after)
		n.Attempts, n.Next = n.Attempts+1, now.Add(wait)
	}
	why.Put(&n.Why, &n.Said)
	if text.Code != "" {
		data := map[string]string{"notice": n.ID, "state": n.State, "status": strconv.Itoa(a.status)}
		if _, err := c.Note(ctx, n.Case, cases.Event{Actor: cases.Machine().Name, Action: "provider-answer", Said: text, Data: data}); err != nil {
			return err
		}
	}
	_, err := told.Table(c.Home).Change(ctx, n.ID, func(v *told.Notice) error {
		v.State, v.Why, v.Said, v.Attempts, v.Next = n.State, n.Why, n.Said, n.Attempts, n.Next
		return nil
	})
	if err != nil || n.State == before {
		return err
	}
	return c.Audit(ctx, n.By, "source-notice", n.Case, nil, map[string]string{"notice": n.ID, "to": n.To, "form": n.Form, "state": n.State}, "")
}

// clean is what a stranger says, in one short line.
func clean(s string) string {
	s = strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f || r >= 0x80 && r < 0xa0 || r >= 0x200b && r <= 0x200f || r >= 0x2028 && r <= 0x202e || r >= 0x2066 && r <= 0x2069 {
			return ' '
		}
		return r
	}, strings.ToValidUTF8(s, "?"))
	s = strings.Join(strings.Fields(s), " ")
	if len(s) > shown {
		s = strings.ToValidUTF8(s[:shown], "") + "..."
	}
	return s
}
