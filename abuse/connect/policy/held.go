package policy

import "sync"

// maxHeld is how many messages without a queue ID are remembered, twice.
const maxHeld = 5000

// held are messages that were put on hold at a recipient before Postfix had an ID for them: they
// stay on hold whatever is answered later.
type held struct {
	mu       sync.Mutex
	now, old map[string]bool // by instance

	ended  bool // Postfix has asked at the end of a message
	warned bool
}

// unended is after how many messages on hold without a question at the end of any it is clear
// that Postfix does not ask there; a client may give up before.
const unended = 5

// note tells of a message that is put on hold, as soon as it has an ID.
func (d *Decider) note(q Request, hold bool) {
	if d.Held == nil {
		return
	}
	if d.Unasked != nil {
		if changed, unasked := d.held.asked(q.State == "END-OF-MESSAGE", hold && q.QueueID == "" && !d.held.has(q.Instance)); changed {
			d.Unasked(unasked)
		}
	}
	switch {
	case q.QueueID == "":
		if hold {
			d.held.remember(q.Instance)
		}
	case hold || d.held.has(q.Instance):
		d.Held(q.QueueID, q.Login)
	}
}

// asked takes a request into account, and reports whether and to what it changes what is known:
// whether messages are put on hold that Postfix never tells the ID of.
func (h *held) asked(end, hold bool) (changed, unasked bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if end {
		changed, h.ended, h.warned = h.warned, true, false
		return changed, false
	}
	if h.ended || h.warned || !hold || len(h.now) < unended {
		return false, h.warned
	}
	h.warned = true
	return true, true
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
