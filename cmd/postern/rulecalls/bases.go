package rulecalls

import (
	"context"
	"fmt"
	"slices"
	"time"

	"postern/internal/opfiles"
)

// Base is a text that the sender of a file had before, and until when. A node that has it, and had
// it by then, loses nothing by the text that followed.
type Base struct {
	Hash  string    `json:"hash"` // "" = no file
	Until time.Time `json:"until"`
}

// bases are the texts that this node had before the one it has now, the last one first.
func (d *Desk) bases(ctx context.Context, file string) (out []Base, err error) {
	past, err := d.History.Own(ctx, file)
	for _, c := range past {
		if c.How != opfiles.First && !slices.ContainsFunc(out, func(b Base) bool { return b.Hash == c.Before }) {
			out = append(out, Base{Hash: c.Before, Until: c.At})
		}
	}
	return out, err
}

// fits reports whether a text that was sent follows the one that this node has, and in words why
// it does not: what somebody made of it here in the meantime is not thrown away.
func (d *Desk) fits(ctx context.Context, s Sent, now opfiles.File) (ok bool, says string, err error) {
	const other = "the file of this node is another one than the one that was changed"
	past, err := d.History.Own(ctx, s.File)
	if err != nil {
		return false, "", err
	}
	var last opfiles.Change
	if len(past) > 0 {
		last = past[0]
	}
	decided := len(past) > 0 && last.How != opfiles.First && last.How != opfiles.Received && last.After == now.Hash
	switch i := slices.IndexFunc(s.Bases, func(b Base) bool { return b.Hash == now.Hash }); {
	case s.Force, len(s.Bases) == 0 && now.Hash == s.Base, now.Hash == "" && len(past) == 0:
		return true, "", nil
	case i >= 0 && (!decided || !last.At.After(s.Bases[i].Until)):
		return true, "", nil
	case decided && last.Actor != "":
		return false, fmt.Sprintf("%s: %s changed it here at %s", other, last.Actor, last.At.UTC().Format(time.RFC3339)), nil
	case decided:
		return false, fmt.Sprintf("%s: it was changed on the disk here, seen at %s", other, last.At.UTC().Format(time.RFC3339)), nil
	}
	return false, other, nil
}
