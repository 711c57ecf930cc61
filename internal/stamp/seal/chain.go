package seal

import (
	"io"
	"strings"

	"postern/internal/canon"
)

// chain is what a message carries already.
type chain struct {
	sets    [canon.MaxSets + 1][3]*canon.Field // by instance: results, message, seal
	highest int
	broken  bool // a field that is in no set, or is there twice
}

// readChain sorts the fields of the chain. The error is ErrFailed or ErrFull.
func readChain(h *canon.Header) (*chain, error) {
	c := &chain{}
	failed := 0
	for at, name := range []string{canon.ArcResults, canon.ArcMessage, canon.ArcSeal} {
		for _, index := range h.Named(strings.ToLower(name)) {
			f := &h.Fields[index]
			i, tags, err := instance(name, f)
			if err != nil || c.sets[i][at] != nil {
				c.broken = true
			}
			if err != nil {
				continue
			}
			c.sets[i][at] = f
			c.highest = max(c.highest, i)
			if tags["cv"] == "fail" {
				failed = max(failed, i)
			}
		}
	}
	switch {
	case c.highest > 0 && failed == c.highest:
		return nil, ErrFailed
	case c.highest == canon.MaxSets:
		return nil, ErrFull
	}
	return c, nil
}

func instance(name string, f *canon.Field) (int, canon.Tags, error) {
	if name == canon.ArcResults {
		i, _, err := canon.ResultsInstance(*f)
		return i, nil, err
	}
	tags, err := canon.ParseTagsStrictly(string(f.Value()))
	if err != nil {
		return 0, nil, err
	}
	i, err := canon.Instance(tags["i"])
	return i, tags, err
}

// whole says whether every set up to the highest is there with its three fields.
func (c *chain) whole() bool {
	if c.broken || c.highest == 0 {
		return false
	}
	for _, set := range c.sets[1 : c.highest+1] {
		for _, f := range set {
			if f == nil {
				return false
			}
		}
	}
	return true
}

// writeTo writes all sets in the order of RFC 8617 section 5.1.1.
func (c *chain) writeTo(w io.Writer) {
	for _, set := range c.sets[1 : c.highest+1] {
		for _, f := range set {
			_, _ = w.Write(canon.FieldForm(f.Raw, true)) // a hash never fails
		}
	}
}

// ownResults joins the Authentication-Results fields of id, from the top down: id, then all
// their results, unfolded. It is empty where there is none.
func ownResults(h *canon.Header, id string) string {
	var out []string
	for _, index := range h.Named("authentication-results") {
		form := canon.FieldForm(h.Fields[index].Raw, true)
		_, value, _ := strings.Cut(string(form), ":")
		who, results, ok := strings.Cut(value, ";")
		if !ok || !strings.EqualFold(strings.Trim(strings.TrimSpace(who), `"`), id) {
			continue
		}
		if len(out) == 0 {
			out = append(out, strings.TrimSpace(who))
		}
		out = append(out, strings.Trim(results, "; \t\r\n"))
	}
	return strings.Join(out, "; ")
}
