package policy

import "sync"

// maxHeld is how many messages without a queue ID are remembered, twice.
const maxHeld = 5000

// held are messages that were put on hold at a recipient before Postfix had an ID for them: they
// stay on hold whatever is answered later.
type held struct {
	mu       sync.Mutex
	now, old map[string]bool // by instance
}

// note tells of a message that is put on hold, as soon as it has an ID.
func (d *Decider) note(q Request, hold bool) {
	switch {
	case d.Held == nil:
	case q.QueueID == "":
		if hold {
			d.held.remember(q.Instance)
		}
	case hold || d.held.has(q.Instance):
		d.Held(q.QueueID, q.Login)
	}
}

func (h *held) remember(instance string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.now == nil || len(h.now) >= maxHeld {
		h.now, h.old = map[string]bool{}, h.now
	}
	h.now[instance] = true
}

func (h *held) has(instance string) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return instance != "" && (h.now[instance] || h.old[instance])
}
