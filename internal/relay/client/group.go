package client

import (
	"bytes"
	"context"
	"fmt"
)

// batch is how many commands go out before their answers are read, so that neither side
// blocks on a full socket (RFC 2920 section 3.1).
const batch = 100

// step is one command whose reply is awaited.
type step struct {
	stage Stage
	index int // into Begun.Rcpt
}

// group is the commands of one envelope, sent in as few writes as the server allows, and
// what was answered.
type group struct {
	c     *Conn
	begun Begun
	out   bytes.Buffer
	wait  []step
	reset bool // the server has taken a RSET
	gone  bool // the connection was closed on purpose, the rest has its answer
}

// say sends MAIL, the recipients and the last command. Once MAIL is known to be refused, or
// no recipient is left, the rest is not said.
func (g *group) say(ctx context.Context, lines []string, last step, line string) error {
	if err := g.add(ctx, step{stage: StageMail}, lines[0]); err != nil {
		return err
	}
	for i, l := range lines[1:] {
		if l == "" || g.over() {
			continue
		}
		if err := g.add(ctx, step{StageRcpt, i}, l); err != nil {
			return err
		}
	}
	// Without pipelining all answers are known by now, and DATA may be pointless.
	if !g.over() && (len(g.wait) > 0 || g.begun.taken() > 0) {
		if err := g.add(ctx, last, line); err != nil {
			return err
		}
	}
	return g.flush(ctx)
}

func (g *group) add(ctx context.Context, s step, line string) error {
	g.out.WriteString(line)
	g.wait = append(g.wait, s)
	if g.c.ext.Pipelining && len(g.wait) < batch {
		return nil
	}
	return g.flush(ctx)
}

func (g *group) flush(ctx context.Context) error {
	if len(g.wait) == 0 {
		return nil
	}
	err := g.c.write(ctx, g.wait[0].stage, g.out.Bytes())
	for i, s := range g.wait {
		if err == nil && g.c.st == closed && !g.gone {
			err = g.c.notNow(s.stage)
		}
		if err != nil || g.gone {
			break
		}
		var r Reply
		if r, err = g.c.read(ctx, s.stage, i == len(g.wait)-1); err == nil {
			err = g.sort(s, r)
		}
	}
	g.out.Reset()
	g.wait = g.wait[:0]
	return err
}

// over reports whether MAIL was refused or the server has hung up.
func (g *group) over() bool {
	return g.gone || g.begun.Mail.Code != 0 && !g.begun.Mail.OK()
}

// sort puts a reply where it belongs.
func (g *group) sort(s step, r Reply) error {
	refusal := r.Temporary() || r.Permanent()
	if !refusal && r.OK() == (s.stage == StageData) || r.Code/100 == 3 && r.Code != 354 {
		return g.c.fail(s.stage, r, fmt.Errorf("%w: a code that cannot stand here", ErrProtocol))
	}
	switch s.stage {
	case StageMail:
		g.begun.Mail = r
	case StageRcpt:
		g.begun.Rcpt[s.index] = r
	case StageReset:
		g.reset = r.OK()
	default:
		if g.begun.taken() > 0 {
			g.begun.Data = r
		} else if !refusal {
			// Nobody would get the message, yet a final dot might be taken for one.
			g.gone = true
			g.c.shut()
		}
	}
	if r.Code == 421 {
		g.hungUp(s, r)
	}
	return nil
}

// hungUp gives the farewell of a server to every command it left unanswered.
func (g *group) hungUp(s step, r Reply) {
	g.gone = true
	_ = g.c.fail(s.stage, r, nil)
	if s.stage != StageRcpt {
		return
	}
	for i := range g.begun.Rcpt {
		if g.begun.Rcpt[i].Code == 0 {
			g.begun.Rcpt[i] = r
		}
	}
	if g.begun.taken() > 0 {
		g.begun.Data = r
	}
}

// outcome reads the same whether or not the commands were pipelined.
func (g *group) outcome() Begun {
	b := g.begun
	if !b.Mail.OK() {
		b.Rcpt, b.Data = nil, Reply{}
	}
	return b
}
