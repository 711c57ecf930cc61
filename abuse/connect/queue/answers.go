package queue

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"sync"
	"time"

	"postern/abuse"
)

// Bounds of what is remembered of answers.
const (
	AnsweredMost = 20_000    // messages
	answeredFor  = time.Hour // then a message is in the queue, or will never be
)

// answer is a message that the policy service told Postfix to hold.
type answer struct {
	Login string    `json:"login"`
	At    time.Time `json:"at"`
}

// holds reports whether an answer was about this message: an ID is used again.
func (a answer) holds(e entry) bool { return a.Login != "" && a.Login == abuse.Name(e.Login) }

// answers are the messages that are on hold, or will be, since the policy service said so. They
// stand in a file of their own: it is written before Postfix is answered, whatever is being done
// to the queue meanwhile.
type answers struct {
	mu  sync.Mutex
	all map[string]answer // by queue ID; nil = not read yet
}

// ErrTooMany says that too many answers wait for their messages to be seen in the queue.
var ErrTooMany = fmt.Errorf("more than %d messages were told to wait and are not seen in the queue", AnsweredMost)

// Answered notes, synced, that the message of this ID is held by an answer of ours: it is let go
// with the others of its login. What it returns is no reason to answer otherwise: a message that
// is not noted stays on hold.
func (q *Queue) Answered(id, login string) error {
	if !valid(id) || login == "" {
		return nil
	}
	a := &q.answers
	a.mu.Lock()
	defer a.mu.Unlock()
	if err := q.loadAnswers(); err != nil {
		return err
	}
	if was, ok := a.all[id]; ok && was.Login == abuse.Name(login) {
		return nil
	}
	next := map[string]answer{}
	for other, was := range a.all {
		if !q.over(was) {
			next[other] = was
		}
	}
	if len(next) >= AnsweredMost {
		return ErrTooMany
	}
	next[id] = answer{abuse.Name(login), q.Now().UTC()}
	return q.keepAnswers(next)
}

// over: a clock that was set back makes nothing young again for ever.
func (q *Queue) over(a answer) bool {
	since := q.Now().Sub(a.At)
	return since >= answeredFor || since < -answeredFor
}

// answered are those that wait to be seen in the queue.
func (q *Queue) answered() (map[string]answer, error) {
	a := &q.answers
	a.mu.Lock()
	defer a.mu.Unlock()
	err := q.loadAnswers()
	return a.all, err
}

// seen forgets those of the answers told before that stand in the list of what is held by now, or
// left the queue, or never came.
func (q *Queue) seen(told map[string]answer, in map[string]bool) error {
	a := &q.answers
	a.mu.Lock()
	defer a.mu.Unlock()
	next := map[string]answer{}
	for id, one := range a.all {
		was, known := told[id]
		if known && was == one && (in[id] || q.over(one)) {
			continue
		}
		next[id] = one
	}
	if len(next) == len(a.all) {
		return nil
	}
	return q.keepAnswers(next)
}

func (q *Queue) answersPath() string { return q.Path + ".answered" }

func (q *Queue) loadAnswers() error {
	if q.answers.all != nil {
		return nil
	}
	all := map[string]answer{}
	b, err := os.ReadFile(q.answersPath())
	switch {
	case errors.Is(err, os.ErrNotExist):
	case err != nil:
		return err
	default:
		if err := json.Unmarshal(b, &all); err != nil {
			return fmt.Errorf("%s: %w", q.answersPath(), err)
		}
	}
	q.answers.all = all
	return nil
}

func (q *Queue) keepAnswers(next map[string]answer) error {
	if err := write(q.answersPath(), next); err != nil {
		return err
	}
	q.answers.all = next
	return nil
}
