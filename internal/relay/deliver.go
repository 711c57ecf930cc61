package relay

import (
	"context"
	"log/slog"
	"slices"
	"time"

	"postern/filter"
	"postern/internal/relay/client"
	"postern/internal/relay/keys"
	"postern/internal/relay/told"
	"postern/internal/relay/transaction"
)

// Defaults of Limits.
const (
	DefaultBefore = 60 * time.Second
	DefaultAfter  = 300 * time.Second
	DefaultKeep   = 5 * 24 * time.Hour
)

// loopPasses is how often a message may have gone through a listener for a recipient
// before: forwards and lists pass twice legitimately.
const loopPasses = 2

// course is one Deliver on its way.
type course struct {
	*Relay
	job    Job
	m      *filter.Message
	parts  []*part
	groups []*group
	holds  []string // provisional
	proof  string   // provisional evidence copy, "" = none
	report string   // provisional report at the abuse desk, "" = none
	times  filter.Times
}

// Deliver acts on a judged message as the verdicts say and returns what became of each
// recipient and the answer for the client. It never fails: what cannot be done is a 4xx.
// After the first final dot neither ctx nor Abort stops it.
func (r *Relay) Deliver(ctx context.Context, j Job) filter.Outcome {
	c := &course{Relay: r, job: j, m: j.Message}
	if len(j.Verdicts) != len(j.Message.To) || len(j.Verdicts) == 0 || len(j.Bodies) != 0 && len(j.Bodies) != len(j.Verdicts) {
		r.log().Error("verdicts do not fit the recipients", "message", j.Message.ID, "verdicts", len(j.Verdicts), "bodies", len(j.Bodies), "recipients", len(j.Message.To))
		c.job.Bodies, c.job.Verdicts = nil, make([]filter.Verdict, len(j.Message.To))
		c.newParts()
		return c.outcome(c.deferAll(told.Trouble(c.m, "4.3.0", "internal fault, try again later")))
	}
	key := keys.Answer(c.m)
	if r.Answers != nil && c.m.SHA256 != "" {
		if a, ok := r.Answers.Find(key); ok && len(a.Fates) == len(c.m.To) {
			r.log().Info("retry of an answer that was not read", "message", c.m.ID)
			return filter.Outcome{Report: j.Report, Verdicts: j.Verdicts, Fates: a.Fates, Reply: a.Reply, Times: filter.Times{Done: r.now()}}
		}
	}
	c.newParts()
	reply := c.run(ctx)
	o := c.outcome(reply)
	if r.Answers != nil && c.m.SHA256 != "" && reply[0] == '2' {
		if err := c.remember(ctx, key, Answer{Reply: reply, Fates: o.Fates}); err != nil {
			r.log().Error("answer not remembered", "message", c.m.ID, "error", err)
		}
	}
	return o
}

// remember writes the answer down. The abuse desk knows a report again by its key: what came for
// it alone needs no sync of its own.
func (c *course) remember(ctx context.Context, key string, a Answer) error {
	if c.all(wayTake) {
		return c.Answers.Note(key, a)
	}
	return c.Answers.Add(context.WithoutCancel(ctx), key, a)
}

// Answered tells whether the client is known to have read the answer to m: it sent something
// after it, or closed in order. With false the exact retry is not delivered again.
func (r *Relay) Answered(m *filter.Message, read bool) {
	if r.Answers != nil {
		r.Answers.Settle(keys.Answer(m), read)
	}
}

func (r *Relay) now() time.Time {
	if r.Now == nil {
		return time.Now()
	}
	return r.Now()
}

func (r *Relay) log() *slog.Logger {
	if r.Log == nil {
		return slog.New(slog.DiscardHandler)
	}
	return r.Log
}

func (r *Relay) alert(ctx context.Context, key, text string) {
	if r.Alert != nil {
		r.Alert(ctx, key, text)
	}
}

// newParts decides for each recipient what is to be done. A recipient in a loop is refused
// whatever the rules say.
func (c *course) newParts() {
	passes := c.Stamper.Passes(c.m)
	c.job.Verdicts = slices.Clone(c.job.Verdicts)
	for i, to := range c.m.To {
		if to.Backend == DeskBackend { // whatever the rules say
			c.parts = append(c.parts, &part{Copy: transaction.Copy{To: to}, verdict: c.job.Verdicts[i], m: c.m, way: wayTake})
			continue
		}
		v := &c.job.Verdicts[i]
		if i < len(passes) && passes[i] >= loopPasses && v.Action != filter.Defer {
			v.Action = filter.Reject
			v.Public = told.Line(client.Reply{Code: 554, Enhanced: "5.4.6", Text: "the message is in a loop" + told.Ref(c.m)})
		}
		p := &part{Copy: transaction.Copy{To: to}, verdict: *v, m: c.m}
		switch v.Action {
		case filter.Reject:
			p.way = wayRefuse
		case filter.Quarantine:
			if to.Backend != InboxBackend { // it is kept there, and shows its verdict
				p.way = wayHold
			}
		}
		c.parts = append(c.parts, p)
	}
	c.bodies()
}

// run is step 10. It returns the answer.
func (c *course) run(ctx context.Context) string {
	start := c.job.Received
	if start.IsZero() {
		start = c.now()
	}
	before, cancel := context.WithTimeout(ctx, pick(c.Limits.Before, DefaultBefore)-c.now().Sub(start))
	defer cancel()
	if c.gone() {
		return c.deferAll(told.Trouble(c.m, "4.4.2", "the client has gone"))
	}
	for _, p := range c.parts {
		if p.way != wayTake && (p.verdict.Action == filter.Defer || p.verdict.Action > filter.Reject) {
			return c.deferAllAs(told.Sentence(p.verdict, c.m, '4'))
		}
	}
	c.findSettled(before)
	if c.all(wayRefuse) {
		return c.refuse(before)
	}
	if reply, stop := c.reach354(before); stop {
		return reply
	}
	if err := c.provisional(before); err != nil {
		c.log().Error("hold not written", "message", c.m.ID, "error", err)
		return c.giveUp(ctx, c.noRoom(err))
	}
	if reply, ok := c.sendBodies(before); !ok {
		return c.giveUp(ctx, reply)
	}
	if err := c.writeDown(before); err != nil {
		c.log().Error("not in the send log, so not handed over", "message", c.m.ID, "error", err)
		c.alert(ctx, "send-log", "outbound mail is deferred: the send log cannot be written, see the log for message "+c.m.ID)
		return c.giveUp(ctx, told.Trouble(c.m, "4.3.0", "the message cannot be recorded now, try again later"))
	}
	return c.finish(context.WithoutCancel(ctx))
}

func pick(d, byDefault time.Duration) time.Duration {
	if d <= 0 {
		return byDefault
	}
	return d
}

// gone reports whether the client has left.
func (c *course) gone() bool {
	select {
	case <-c.job.Abort:
		return true
	default:
		return false
	}
}

// findSettled finds the recipients for whom an earlier try of the same mail is held. A store
// that cannot say so costs a duplicate at worst and stops no mail.
func (c *course) findSettled(ctx context.Context) {
	for _, p := range c.parts {
		if p.way == wayTake {
			continue
		}
		id, ok, err := c.Holds.Ended(ctx, keys.Hold(c.m, p.To.Address))
		if err != nil {
			c.log().Warn("holds not asked", "message", c.m.ID, "error", err)
			return
		}
		if ok {
			p.way, p.hold, p.state, p.m = waySettled, id, filter.Held, c.m
		}
	}
}

// all reports whether every part goes this way.
func (c *course) all(w way) bool {
	return !slices.ContainsFunc(c.parts, func(p *part) bool { return p.way != w })
}

// some returns the parts for which ok holds.
func (c *course) some(ok func(p *part) bool) []*part {
	var out []*part
	for _, p := range c.parts {
		if ok(p) {
			out = append(out, p)
		}
	}
	return out
}

// kept reports whether somebody's copy stays here whatever the servers behind say: then none
// of them can refuse the message to the sender.
func (c *course) kept() bool {
	return slices.ContainsFunc(c.parts, func(p *part) bool { return p.way == waySettled || p.way == wayTake })
}

// refuse answers a message that every verdict rejects.
func (c *course) refuse(ctx context.Context) string {
	if err := c.keepEvidence(ctx); err == nil && c.proof != "" {
		c.confirmEvidence(ctx)
	}
	for _, p := range c.parts {
		p.state = filter.Rejected
		p.Reply = told.Parse(told.Sentence(p.verdict, c.m, '5'))
	}
	return told.Sentence(c.parts[0].verdict, c.m, '5')
}

// reach354 is (a): every group is taken to 354 before anything else happens. A 4xx, or a 5xx
// for all, is the sender's answer and nothing has happened.
func (c *course) reach354(ctx context.Context) (reply string, stop bool) {
	c.newGroups()
	if len(c.groups) == 0 {
		return "", false
	}
	if err := c.eightBit(); err != nil {
		c.log().Error("message unreadable", "message", c.m.ID, "error", err)
		return c.deferAll(told.Trouble(c.m, "4.3.0", "internal fault, try again later")), true
	}
	c.times.Handed = c.now()
	errs := c.inTransaction(c.groups, func(g *group) error {
		login := c.job.Login
		if g.Pool == InboxBackend {
			login = nil
		}
		c.transactions().Begin(ctx, &g.Group, login)
		return nil
	})
	for i, err := range errs {
		if err != nil {
			c.groups[i].Answer(told.Error(err))
		}
	}
	deliver := c.some(func(p *part) bool { return p.way == wayDeliver })
	for _, p := range deliver {
		if !p.Taken && !p.Reply.Permanent() {
			return c.giveUp(ctx, p.Reply), true
		}
	}
	if !slices.ContainsFunc(deliver, func(p *part) bool { return p.Taken }) && !c.kept() {
		return c.rejectAll(deliver[0].Reply), true
	}
	return "", false
}

// open is the groups that wait for a body.
func (c *course) open() []*group {
	var out []*group
	for _, g := range c.groups {
		if g.Waits() {
			out = append(out, g)
		}
	}
	return out
}

// sendBodies sends every body without its final dot. Until then a client that leaves stops
// everything.
func (c *course) sendBodies(ctx context.Context) (client.Reply, bool) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	done := make(chan struct{})
	watched := make(chan struct{})
	go func() {
		defer close(watched)
		select {
		case <-c.job.Abort:
			cancel()
		case <-done:
		}
	}()
	groups := c.open()
	errs := c.inTransaction(groups, func(g *group) error { return g.Body(ctx) })
	close(done)
	<-watched
	if c.gone() {
		return told.Trouble(c.m, "4.4.2", "the client has gone"), false
	}
	for i, err := range errs {
		if err != nil {
			c.log().Warn("backend failed in the body", "message", c.m.ID, "pool", groups[i].Pool, "error", err)
			return told.Error(err), false
		}
	}
	if ctx.Err() != nil && len(groups) > 0 {
		return told.Trouble(c.m, "4.4.1", "the server behind is too slow, try again later"), false
	}
	return client.Reply{}, true
}

// giveUp undoes what has been done before the first final dot.
func (c *course) giveUp(ctx context.Context, reply client.Reply) string {
	ctx = context.WithoutCancel(ctx)
	c.inTransaction(c.open(), func(g *group) error {
		g.Abort(ctx)
		return nil
	})
	c.drop(ctx)
	return c.deferAll(reply)
}

// deferAll asks the sender to come again, for every recipient.
func (c *course) deferAll(reply client.Reply) string {
	if !reply.Temporary() {
		reply = told.Trouble(c.m, "4.3.0", "internal fault, try again later")
	}
	return c.deferAllAs(told.Line(reply))
}

func (c *course) deferAllAs(reply string) string {
	for _, p := range c.parts {
		if p.way == waySettled {
			continue
		}
		p.state = filter.Deferred
		if p.Reply.Code == 0 || p.Reply.OK() {
			p.Reply = told.Parse(reply)
		}
	}
	return reply
}

// rejectAll gives the sender a server's refusal, for every recipient.
func (c *course) rejectAll(reply client.Reply) string {
	for _, p := range c.parts {
		p.state = filter.Rejected
		if p.Reply.Code == 0 {
			p.Reply = reply
		}
	}
	return told.Line(reply)
}

func (c *course) outcome(reply string) filter.Outcome {
	o := filter.Outcome{Report: c.job.Report, Verdicts: c.job.Verdicts, Reply: reply, Times: c.times}
	for _, p := range c.parts {
		f := filter.Fate{Recipient: p.To.Address, State: p.state, Hold: p.hold, Ambiguous: p.Unsure}
		if p.way == wayDeliver || p.way == wayTake {
			f.Backend = p.To.Backend
		}
		if p.Reply.Code != 0 {
			f.Reply = told.Line(p.Reply)
		}
		o.Fates = append(o.Fates, f)
	}
	o.Times.Done = c.now()
	return o
}
