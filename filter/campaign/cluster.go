package campaign

import (
	"cmp"
	"slices"
	"time"

	"postern/filter/campaign/simhash"
)

// Campaign is the copies of one letter: groups whose prints are near that of the largest.
type Campaign struct {
	Print     simhash.Print // of the largest group
	Prints    []simhash.Print
	First     time.Time
	Last      time.Time
	Messages  int
	Delivered int
	Sources   int // different ones; beyond MaxSources of a print they are not counted
}

// Cluster puts together the groups that are near each other, the campaign with the most messages
// first. Each group is in one of them.
func Cluster(groups []Group) []Campaign {
	groups = slices.Clone(groups)
	slices.SortFunc(groups, func(a, b Group) int {
		return cmp.Or(cmp.Compare(b.Messages, a.Messages), a.First.Compare(b.First), cmp.Compare(a.Print, b.Print))
	})
	var out []Campaign
	var sources []map[uint64]bool
	for _, g := range groups {
		at := slices.IndexFunc(out, func(c Campaign) bool { return simhash.Apart(c.Print, g.Print) <= simhash.Near })
		if at < 0 {
			at = len(out)
			out = append(out, Campaign{Print: g.Print, First: g.First, Last: g.Last})
			sources = append(sources, map[uint64]bool{})
		}
		c := &out[at]
		c.Prints = append(c.Prints, g.Print)
		c.Messages, c.Delivered = c.Messages+g.Messages, c.Delivered+g.Delivered
		if g.First.Before(c.First) {
			c.First = g.First
		}
		if g.Last.After(c.Last) {
			c.Last = g.Last
		}
		for _, s := range g.Sources {
			sources[at][s.Hash] = true
		}
		c.Sources = len(sources[at])
	}
	slices.SortStableFunc(out, func(a, b Campaign) int {
		return cmp.Or(cmp.Compare(b.Messages, a.Messages), b.Last.Compare(a.Last))
	})
	return out
}
