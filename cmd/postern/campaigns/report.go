package campaigns

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"postern/filter/campaign"
	"postern/filter/campaign/opinion"
	"postern/filter/campaign/simhash"
	"postern/internal/entity"
)

// system is who speaks where nobody did.
const system = "postern"

// Bounds of an alert, and of what is looked through.
const (
	toldPeople = 10
	toldTraces = 5
	maxShown   = 500 // copies of an answer
)

// report notes that a letter was reported, unless somebody spoke of it already, and tells the
// operator what was delivered of it.
func (c *Campaigns) report(ctx context.Context, p simhash.Print, why, by string, authors []string) error {
	if _, ok := c.book.Nearest(p); ok {
		return nil
	}
	groups, err := c.parts.Store.Near(ctx, p, p.Wide())
	if err != nil {
		return err
	}
	copies, err := c.copies(ctx, groups)
	if err != nil {
		return err
	}
	o := opinion.Opinion{Print: p, Word: opinion.Reported, By: by, Why: why, Authors: named(append(authorsOf(copies), authors...))}
	if _, err := c.book.Say(ctx, o); err != nil {
		if errors.Is(err, entity.ErrUnchanged) { // another node was first
			return nil
		}
		return err
	}
	c.tell(p, why, copies)
	return c.parts.Audit(ctx, by, "campaign-reported", p.String(), nil, o, fmt.Sprintf("%d delivered", delivered(groups)))
}

// key is that of the alert about a letter.
func key(p simhash.Print) string { return "campaign:" + p.String() }

// tell tells the operator who got a bad letter. Nothing is taken back from them.
func (c *Campaigns) tell(p simhash.Print, why string, copies []campaign.Copy) {
	copies = slices.DeleteFunc(slices.Clone(copies), func(o campaign.Copy) bool { return o.State != campaign.Delivered })
	if len(copies) == 0 {
		return
	}
	var people, traces []string
	n := 0
	for _, one := range copies {
		n += len(one.To) + one.More
		for _, to := range one.To {
			if len(people) < toldPeople && !slices.Contains(people, to) {
				people = append(people, to)
			}
		}
		if len(traces) < toldTraces {
			traces = append(traces, one.ID)
		}
	}
	who := strings.Join(people, ", ")
	if n > len(people) {
		who = fmt.Sprintf("%s and others, %d in all", who, n)
	}
	first := copies[len(copies)-1].At
	c.parts.Event(key(p), fmt.Sprintf("a letter that was delivered turned out to be bad (%s): %d copies since %s to %s; traces %s. See who got it with \"postern campaign show %s\", and say what it is with \"postern campaign mark\"",
		why, len(copies), first.UTC().Format("2006-01-02 15:04 MST"), who, strings.Join(traces, ", "), p), false)
}

// copies are the latest ones of groups.
func (c *Campaigns) copies(ctx context.Context, groups []campaign.Group) ([]campaign.Copy, error) {
	if len(groups) == 0 {
		return nil, nil
	}
	return c.parts.Store.Copies(ctx, printsOf(groups), maxShown)
}

func printsOf(groups []campaign.Group) (out []simhash.Print) {
	for _, g := range groups {
		out = append(out, g.Print)
	}
	return out
}

func delivered(groups []campaign.Group) (n int) {
	for _, g := range groups {
		n += g.Delivered
	}
	return n
}

func authorsOf(copies []campaign.Copy) (out []string) {
	for _, o := range copies {
		out = append(out, o.Author)
	}
	return out
}

// named are the different names that there are.
func named(all []string) []string {
	slices.Sort(all)
	return slices.DeleteFunc(slices.Compact(all), func(s string) bool { return s == "" })
}
