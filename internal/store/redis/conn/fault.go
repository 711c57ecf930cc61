package conn

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"strings"
	"syscall"

	"postern/internal/store/redis/conn/guard"

	"github.com/redis/go-redis/v9"
)

// ErrAway says that the store could not do what it was asked: it is down, silent, full or not
// allowed to us. A write that ended so may have been done, and on a Cluster more than once:
// the client sends it again there when a connection breaks.
var ErrAway = errors.New("redis is away")

// Fault is what the store could not do. errors.Is finds ErrAway and Err in it.
type Fault struct {
	Reason string // plain words, from a small set: "out of memory"
	Err    error

	rest bool // the server should be left alone: asking costs time, or does harm
}

func (f *Fault) Error() string { return ErrAway.Error() + ": " + f.Reason + ": " + f.Err.Error() }

// Unwrap is the cause.
func (f *Fault) Unwrap() error { return f.Err }

// reply reports whether the server said so itself.
func (f *Fault) reply() bool {
	var reply redis.Error
	return errors.As(f.Err, &reply)
}

// Is makes a Fault an ErrAway.
func (f *Fault) Is(target error) bool { return target == ErrAway }

// NotOurs is the fault of a store that we must not use, in plain words.
func NotOurs(reason string, err error) *Fault { return &Fault{Reason: reason, Err: err} }

// Causes that are ours and not the server's.
var (
	errResting  = errors.New("it is left alone for a while")
	errBusy     = errors.New("too many calls of its kind are waiting for an answer")
	errNonsense = guard.ErrNonsense
)

// cause is what a code in front of an error reply means, and whether the server should rest. A
// full or read-only server answers quickly, and what frees it must get through: it does not.
type cause struct {
	code, reason string
	rest         bool
}

var causes = []cause{
	{"OOM", "out of memory", false},
	{"READONLY", readOnly, false},
	{"MASTERDOWN", "a replica without its master", true},
	{"NOREPLICAS", "too few replicas", false},
	{"LOADING", "loading its data", true},
	{"MISCONF", "cannot write to its disk", false},
	{"NOAUTH", "login refused", true},
	{"WRONGPASS", "login refused", true},
	{"NOPERM", "not allowed", false},
	{"CLUSTERDOWN", "the cluster is down", true},
	{"TRYAGAIN", "the cluster is moving data", false},
	{"MOVED", "the cluster is moving data", false},
	{"ASK", "the cluster is moving data", false},
	{"CROSSSLOT", "keys of several masters in one command", false},
	{"WRONGTYPE", "wrong type", false},
	{"BUSY", "busy with a script", true},
	{"ERR max number of clients", "too many connections", true},
	{"ERR invalid password", "login refused", true},
	{"ERR AUTH", "login refused", true},
	{"ERR Client sent AUTH", "login refused", true},
	{"ERR unknown command", "unknown command", false},
	{"ERR unknown subcommand", "unknown command", false},
}

const readOnly = "read-only replica"

// faultOf says what an error of the client means.
func faultOf(err error) *Fault {
	var own *Fault
	if errors.As(err, &own) {
		return own
	}
	var reply redis.Error
	if errors.As(err, &reply) {
		c := causeOf(reply.Error())
		return &Fault{c.reason, err, c.rest}
	}
	return &Fault{transport(err), err, true}
}

// causeOf reads an error reply. Servers before Redis 7 put the text of a script in front of
// what a command in it was answered.
func causeOf(reply string) cause {
	inner := ""
	if strings.HasPrefix(reply, "ERR ") {
		if i := strings.LastIndex(reply, ": -"); i >= 0 {
			inner = reply[i+3:]
		}
	}
	for _, c := range causes {
		if hasCode(reply, c.code) || hasCode(inner, c.code) {
			return c
		}
	}
	return cause{reason: "refused"}
}

func hasCode(reply, code string) bool {
	rest, ok := strings.CutPrefix(reply, code)
	return ok && (rest == "" || rest[0] == ' ' || strings.HasPrefix(code, "ERR "))
}

// transport says what kept an answer from coming.
func transport(err error) string {
	var certificate *tls.CertificateVerificationError
	var alert tls.AlertError
	var op *net.OpError
	var timeout interface{ Timeout() bool }
	switch {
	case errors.Is(err, errBusy), errors.Is(err, redis.ErrPoolTimeout):
		return "too slow"
	case errors.Is(err, redis.ErrClosed):
		return "closed"
	case errors.Is(err, errNonsense), strings.HasPrefix(err.Error(), "redis: invalid"), strings.HasPrefix(err.Error(), "redis: can't parse"), strings.HasPrefix(err.Error(), "redis: unexpected"):
		return "not an answer"
	case errors.As(err, &certificate), errors.As(err, &alert):
		return "no agreement on TLS"
	case errors.Is(err, syscall.ECONNREFUSED), errors.Is(err, syscall.ENOENT):
		return "nobody listens"
	case errors.Is(err, context.DeadlineExceeded), errors.As(err, &timeout) && timeout.Timeout():
		return "no answer in time"
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF), errors.As(err, &op):
		return "connection broken"
	}
	return "failed"
}
