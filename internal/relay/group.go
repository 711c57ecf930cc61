package relay

import (
	"fmt"
	"runtime/debug"
	"sync"

	"postern/filter"
	"postern/internal/relay/transaction"
)

// part is one recipient's copy on its way.
type part struct {
	transaction.Copy
	verdict filter.Verdict
	m       *filter.Message // what it is sent: the message as it came, or without some parts
	way     way
	hold    string // hold or outbox ID
	state   filter.FateState
}

// way is what is to be done with a part.
type way uint8

const (
	wayDeliver way = iota
	wayHold
	wayRefuse
	waySettled // held by an earlier try of the same mail
	wayTake    // for the abuse desk
)

// group is one transaction with the parts of its copies.
type group struct {
	transaction.Group
	parts []*part
}

// add puts a part into the transaction.
func (g *group) add(p *part) {
	g.parts = append(g.parts, p)
	g.Copies = append(g.Copies, &p.Copy)
}

func (r *Relay) transactions() transaction.Parts {
	return transaction.Parts{Backends: r.Backends, Stamper: r.Stamper, Log: r.log()}
}

// inTransaction runs f for every group side by side. A panic in one is a lost connection.
func (r *Relay) inTransaction(groups []*group, f func(g *group) error) []error {
	errs := make([]error, len(groups))
	var wg sync.WaitGroup
	for i, g := range groups {
		wg.Go(func() {
			defer func() {
				if v := recover(); v != nil {
					r.log().Error("relay panicked", "pool", g.Pool, "panic", fmt.Sprint(v), "stack", string(debug.Stack()))
					errs[i] = fmt.Errorf("panic: %v", v)
				}
			}()
			errs[i] = f(g)
		})
	}
	wg.Wait()
	return errs
}
