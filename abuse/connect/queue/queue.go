// Package queue keeps back what a restricted account has in the queue of a Postfix on this
// machine: postsuper puts it on hold, and off again when the measure has ended. Whose a message is
// says the login it came in with, which stands in its envelope, not its sender, which anybody
// writes.
package queue

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"time"

	"postern/abuse"
	"postern/abuse/measure"
)

// Limits of what is read and run.
const (
	RunTime   = 30 * time.Second
	MaxQueue  = 200_000 // messages of a queue that are looked through
	maxOutput = 256 << 20
	perCall   = 100 // envelopes that one call reads
	onHold    = "hold"
)

// Accounts say who is restricted, from memory; *abuse.Accounts is one.
type Accounts interface {
	Known() []abuse.Account
	Force(account string) abuse.Account
	DomainOf(account string) string
}

// Queue is the queue of one Postfix.
type Queue struct {
	Label    string   // name of the connector
	Config   string   // folder of main.cf
	AsRoot   []string // put before postcat and postsuper, such as sudo -n; nil = run as they are
	Senders  bool     // mail that came without a login counts as its sender's
	Must     bool     // a measure is not active before this proved it
	Path     string   // file of what this connector holds
	Accounts Accounts
	Now      func() time.Time

	mu      sync.Mutex
	ours    map[string]entry // by queue ID; nil = not read yet
	logins  map[string]entry // of messages whose envelope was read
	answers answers
}

var _ measure.Connector = (*Queue)(nil)

// ErrTooLong is a queue that is not looked through.
var ErrTooLong = fmt.Errorf("the queue holds more than %d messages", MaxQueue)

// Name implements measure.Connector.
func (q *Queue) Name() string { return q.Label }

// Capabilities implements measure.Connector.
func (q *Queue) Capabilities() measure.Capabilities {
	return measure.Capabilities{Levels: []abuse.Level{abuse.M2, abuse.M3, abuse.M4, abuse.M5, abuse.M6, abuse.M7}, Domains: true, Required: q.Must}
}

// paused reports whether mail of a login stays here.
func (q *Queue) paused(login string) bool {
	return login != "" && q.Accounts.Force(login).Effective() >= abuse.M2
}

// of reports whether a login is meant by the target of a measure.
func (q *Queue) of(login, target string) bool {
	if abuse.Scope(target) == "domain" {
		return login != "" && q.Accounts.DomainOf(login) == target[1:]
	}
	return login != "" && abuse.Name(login) == abuse.Name(target)
}

// Apply implements measure.Connector. What was on hold before stands in the file of this machine
// by not standing there.
func (q *Queue) Apply(ctx context.Context, _ measure.Measure) (string, error) {
	_, _, err := q.Sync(ctx)
	return q.Path, err
}

// Undo implements measure.Connector: what this connector put on hold goes on, unless another
// measure keeps it; what somebody else holds stays.
func (q *Queue) Undo(ctx context.Context, _ measure.Measure, _ string) error {
	_, _, err := q.Sync(ctx)
	return err
}

// Verify implements measure.Connector by a new look at the queue: a measure is in force when
// nothing of its target would go out, and ended when nothing of it is held for it any more.
func (q *Queue) Verify(ctx context.Context, m measure.Measure, _ string) (bool, error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	told, err := q.answered()
	if err != nil {
		return false, err
	}
	all, err := q.look(ctx)
	if err != nil {
		return false, err
	}
	ending := m.State == measure.PendingRemoval || m.State == measure.Removed
	if !ending && m.Auto && !q.paused(m.Target) && abuse.Scope(m.Target) == "account" {
		return true, nil // automation is switched off: there is nothing to keep
	}
	for _, e := range all {
		if !q.of(e.Login, m.Target) {
			continue
		}
		if ending && e.Queue == onHold && (q.holds(e) || told[e.ID].holds(e)) && !q.paused(e.Login) {
			return true, nil
		}
		if !ending && e.Queue != onHold {
			return false, nil
		}
	}
	return !ending, nil
}

// KillSessions implements measure.Connector; a queue has none.
func (q *Queue) KillSessions(context.Context, string) error { return nil }

// holds reports whether this connector put the message on hold.
func (q *Queue) holds(e entry) bool { return q.ours[e.ID].At == e.At && q.ours[e.ID].ID != "" }

// Idle reports that nobody is restricted and nothing is held: then there is nothing to look for.
func (q *Queue) Idle() (bool, error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if err := q.load(); err != nil {
		return false, err
	}
	if told, err := q.answered(); err != nil || len(told) > 0 {
		return false, err
	}
	return len(q.ours) == 0 && !slices.ContainsFunc(q.Accounts.Known(), func(a abuse.Account) bool { return a.Effective() >= abuse.M2 }), nil
}

// Sync holds what restricted accounts have in the queue, and lets go what was held of others: what
// it held itself, and what the policy service had Postfix hold. All else on hold is somebody
// else's, and stays. It is written down before it is done, so that what a process left behind that
// died is let go later.
func (q *Queue) Sync(ctx context.Context) (held, freed int, err error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	told, err := q.answered() // before the look: what is told later is seen by the next one
	if err != nil {
		return 0, 0, err
	}
	all, err := q.look(ctx)
	if err != nil {
		return 0, 0, err
	}
	next, in := map[string]entry{}, map[string]bool{}
	var hold, free []string
	for _, e := range all {
		in[e.ID] = true
		yes := q.paused(e.Login)
		switch ours := q.holds(e) || told[e.ID].holds(e); {
		case yes && e.Queue != onHold:
			hold = append(hold, e.ID)
			next[e.ID] = e
		case yes && ours:
			next[e.ID] = e
		case ours && e.Queue == onHold:
			free = append(free, e.ID)
			next[e.ID] = e
		}
	}
	if err := q.keep(next); err != nil {
		return 0, 0, err
	}
	if err := q.seen(told, in); err != nil {
		return 0, 0, err
	}
	if err := errors.Join(q.move(ctx, "-h", hold), q.move(ctx, "-H", free)); err != nil {
		return 0, 0, err
	}
	for _, id := range free {
		delete(next, id)
	}
	return len(hold), len(free), q.keep(next)
}

// move puts messages on hold, or off.
func (q *Queue) move(ctx context.Context, how string, ids []string) error {
	if len(ids) == 0 {
		return nil
	}
	_, err := q.run(ctx, strings.Join(ids, "\n")+"\n", true, "postsuper", "-c", q.Config, how, "-")
	return err
}

func (q *Queue) run(ctx context.Context, stdin string, root bool, args ...string) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, RunTime)
	defer cancel()
	if root {
		args = slices.Concat(q.AsRoot, args)
	}
	cmd := exec.CommandContext(ctx, args[0], args[1:]...)
	cmd.Stdin, cmd.WaitDelay = strings.NewReader(stdin), time.Second
	var out, wrong limited
	cmd.Stdout, cmd.Stderr = &out, &wrong
	if err := cmd.Run(); err != nil {
		return nil, fmt.Errorf("%s: %w: %s", args[0], err, bytes.TrimSpace(wrong.Bytes()[:min(wrong.Len(), 300)]))
	}
	return out.Bytes(), nil
}

// limited keeps what a program writes, up to maxOutput.
type limited struct{ bytes.Buffer }

func (l *limited) Write(p []byte) (int, error) {
	if l.Len()+len(p) > maxOutput {
		return 0, io.ErrShortWrite
	}
	return l.Buffer.Write(p)
}
