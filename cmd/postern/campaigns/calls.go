package campaigns

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"postern/filter/campaign"
	"postern/filter/campaign/opinion"
	"postern/filter/campaign/simhash"
	"postern/internal/control"
	"postern/internal/entity"
)

// Bounds of a list.
const (
	MaxListed  = 200
	DefListed  = 50
	looked     = 5000 // prints that a list looks through, the latest
	maxSenders = 5
)

// List asks for the campaigns of late.
type List struct {
	Since  time.Time `json:"since,omitzero"`   // of which a copy came since then; zero: all that are kept
	Copies int       `json:"copies,omitempty"` // at least so many; 0 = 2
	Word   string    `json:"word,omitempty"`   // good, bad or reported: of which that was said
	Limit  int       `json:"limit,omitempty"`  // 0 = 50, at most 200
}

// Campaign is the copies of one letter.
type Campaign struct {
	Print     string           `json:"print"` // what it is called
	First     time.Time        `json:"first,omitzero"`
	Last      time.Time        `json:"last,omitzero"`
	Messages  int              `json:"messages"`
	Delivered int              `json:"delivered"`
	Sources   int              `json:"sources"`
	Subject   string           `json:"subject"`        // of the latest copy
	Senders   []string         `json:"senders"`        // domains of envelope senders, some
	Said      *opinion.Opinion `json:"said,omitempty"` // of this letter, or of one near it
}

// Listed are campaigns, the one with the most messages first.
type Listed struct {
	Campaigns []Campaign `json:"campaigns"`
	More      bool       `json:"more"` // there are others: more than were asked for, or letters before the 5,000 latest
}

// Show asks for one.
type Show struct {
	Print string `json:"print"`
}

// Shown is one campaign with its copies, the latest first.
type Shown struct {
	Campaign
	Copies []campaign.Copy `json:"copies"` // at most 500
}

// Mark says what a letter is.
type Mark struct {
	Print  string `json:"print"`
	Word   string `json:"word"` // bad, good, or forget: nobody said anything
	Reason string `json:"reason"`
}

// forget is the word of who takes back what was said.
const forget = "forget"

// Handle adds the calls, and has those that delete held mail and add to the block list say what
// they mean for a letter.
func (c *Campaigns) Handle(s *control.Server, held Held) {
	control.Handle(s, "campaign.list", c.list)
	control.Handle(s, "campaign.show", c.show)
	control.Handle(s, "campaign.mark", c.mark)
	c.wrap(s, held)
}

func (c *Campaigns) list(ctx context.Context, p List) (Listed, error) {
	if p.Limit <= 0 || p.Limit > MaxListed {
		p.Limit = min(max(p.Limit, DefListed), MaxListed)
	}
	if p.Copies <= 0 {
		p.Copies = 2
	}
	out := Listed{Campaigns: []Campaign{}}
	groups, err := c.parts.Store.Recent(ctx, p.Since, looked)
	if err != nil {
		return out, err
	}
	out.More = len(groups) == looked
	for _, one := range campaign.Cluster(groups) {
		said, ok := c.book.Nearest(one.Print)
		if p.Word != "" && (!ok || said.Word != p.Word) || p.Word == "" && !ok && one.Messages < p.Copies {
			continue
		}
		if len(out.Campaigns) == p.Limit {
			out.More = true
			break
		}
		copies, err := c.parts.Store.Copies(ctx, one.Prints[:min(len(one.Prints), campaign.MaxNear)], 20)
		if err != nil {
			return out, err
		}
		out.Campaigns = append(out.Campaigns, c.shown(one, copies))
	}
	return out, nil
}

func (c *Campaigns) shown(one campaign.Campaign, copies []campaign.Copy) Campaign {
	out := Campaign{Print: one.Print.String(), First: one.First, Last: one.Last, Messages: one.Messages, Delivered: one.Delivered, Sources: one.Sources, Senders: []string{}}
	for i, o := range copies {
		if i == 0 {
			out.Subject = o.Subject
		}
		if d := domainOf(o.From); d != "" && len(out.Senders) < maxSenders && !slices.Contains(out.Senders, d) {
			out.Senders = append(out.Senders, d)
		}
	}
	if said, ok := c.book.Nearest(one.Print); ok {
		out.Said = &said
	}
	return out
}

func domainOf(a string) string { return strings.ToLower(a[strings.LastIndexByte(a, '@')+1:]) }

func parse(text string) (simhash.Print, error) {
	p, err := simhash.Parse(text)
	if err != nil {
		return 0, control.Refuse(control.Invalid, "campaign.a-campaign-is-called-by-16-hex-digits", "%q is no campaign: it is called by 16 hexadecimal digits", "print", text)
	}
	return p, nil
}

func (c *Campaigns) show(ctx context.Context, p Show) (Shown, error) {
	of, err := parse(p.Print)
	if err != nil {
		return Shown{}, err
	}
	groups, err := c.parts.Store.Near(ctx, of, of.Wide())
	if err != nil {
		return Shown{}, err
	}
	copies, err := c.copies(ctx, groups)
	if err != nil {
		return Shown{}, err
	}
	one := campaign.Campaign{Print: of}
	if all := campaign.Cluster(groups); len(all) > 0 { // all are near this one, if not near each other
		one = whole(of, all)
	} else if _, ok := c.book.Nearest(of); !ok {
		return Shown{}, control.Refuse(control.NotFound, "campaign.nothing-is-kept-of", "nothing is kept of campaign %s", "print", p.Print)
	}
	if copies == nil {
		copies = []campaign.Copy{}
	}
	return Shown{Campaign: c.shown(one, copies), Copies: copies}, nil
}

// whole is what is near a print as one campaign.
func whole(of simhash.Print, parts []campaign.Campaign) campaign.Campaign {
	out := parts[0]
	out.Print = of
	for _, p := range parts[1:] {
		out.Messages, out.Delivered, out.Sources = out.Messages+p.Messages, out.Delivered+p.Delivered, max(out.Sources, p.Sources)
		if p.First.Before(out.First) {
			out.First = p.First
		}
		if p.Last.After(out.Last) {
			out.Last = p.Last
		}
	}
	return out
}

func (c *Campaigns) mark(ctx context.Context, p Mark) (Shown, error) {
	of, err := parse(p.Print)
	if err != nil {
		return Shown{}, err
	}
	if p.Word != opinion.Good && p.Word != opinion.Bad && p.Word != forget {
		return Shown{}, control.Refuse(control.Invalid, "campaign.word-is-bad-good-or-forget", "word is bad, good or forget")
	}
	if strings.TrimSpace(p.Reason) == "" {
		return Shown{}, control.Refuse(control.Invalid, "campaign.say-why", "say why")
	}
	if err := c.say(ctx, of, p.Word, control.Actor(ctx), p.Reason); err != nil {
		return Shown{}, err
	}
	out, err := c.show(ctx, Show{Print: p.Print})
	if e := (*control.Error)(nil); errors.As(err, &e) && e.Kind == control.NotFound {
		return Shown{Campaign: Campaign{Print: of.String(), Senders: []string{}}, Copies: []campaign.Copy{}}, nil
	}
	return out, err
}

// say notes what somebody of the desk said of a letter, and tells what was delivered of a bad one.
func (c *Campaigns) say(ctx context.Context, of simhash.Print, word, by, why string) error {
	if word == forget {
		was, err := c.book.Forget(ctx, of)
		if errors.Is(err, entity.ErrNotFound) {
			return control.Refuse(control.NotFound, "campaign.nothing-was-said-of", "nothing was said of campaign %s", "print", of.String())
		}
		if err != nil {
			return err
		}
		c.parts.Event(key(of), "", true)
		return c.parts.Audit(ctx, by, "campaign-mark", of.String(), was, forget, why)
	}
	groups, err := c.parts.Store.Near(ctx, of, of.Wide())
	if err != nil {
		return err
	}
	copies, err := c.copies(ctx, groups)
	if err != nil {
		return err
	}
	o := opinion.Opinion{Print: of, Word: word, By: by, Why: why, Authors: named(authorsOf(copies))}
	was, err := c.book.Say(ctx, o)
	if err != nil {
		return err
	}
	c.parts.Event(key(of), "", true) // who speaks knows
	if was == nil {
		return c.parts.Audit(ctx, by, "campaign-mark", of.String(), nil, o, fmt.Sprintf("%s; %d delivered", why, delivered(groups)))
	}
	return c.parts.Audit(ctx, by, "campaign-mark", of.String(), *was, o, fmt.Sprintf("%s; %d delivered", why, delivered(groups)))
}
