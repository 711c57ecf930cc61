package greylist

import (
	"crypto/sha256"
	"slices"
	"strings"
	"sync"
)

// maxAnswers bounds the messages between their check and their end whose answer is kept; the
// oldest gives way.
const maxAnswers = 4096

// question is what a store was asked, whatever the order of its keys.
type question [sha256.Size]byte

func ask(tries, sources []string) question {
	tries, sources = slices.Sorted(slices.Values(tries)), slices.Sorted(slices.Values(sources))
	return sha256.Sum256([]byte(strings.Join(tries, " ") + "\n" + strings.Join(sources, " ")))
}

type answer struct {
	to   question
	have Found
}

// answers keeps what the store said at the check of a message until its end: most mail has
// nothing to write then, and need not ask again to know it.
type answers struct {
	mu    sync.Mutex
	of    map[string]answer // by message ID
	order []string          // IDs as a ring, once it is full
	next  int
}

func (a *answers) keep(id string, to question, have Found) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.of == nil {
		a.of = map[string]answer{}
	}
	if _, again := a.of[id]; !again {
		if len(a.order) < maxAnswers {
			a.order = append(a.order, id)
		} else {
			delete(a.of, a.order[a.next])
			a.order[a.next] = id
			a.next = (a.next + 1) % maxAnswers
		}
	}
	a.of[id] = answer{to, have}
}

// take returns the answer to a question that was asked about a message, once. The ring keeps
// its ID: a message that ended makes room only when its turn comes.
func (a *answers) take(id string, to question) (Found, bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	got, ok := a.of[id]
	delete(a.of, id)
	return got.have, ok && got.to == to
}

func (a *answers) forget(id string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	delete(a.of, id)
}
