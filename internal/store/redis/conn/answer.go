package conn

import (
	"context"
	"errors"
	"strings"

	"github.com/redis/go-redis/v9"
)

// Script is a Lua script. Its source is sent with every call: a server that forgot it after a
// failover or a flush needs no second try. Keys of one script share a hash slot. A script says
// no with redis.error_reply("POSTERN <word>"), which Refused reads.
type Script string

// Run calls the script in a pipeline, or at once on a client.
func (s Script) Run(ctx context.Context, r redis.Scripter, keys []string, args ...any) *redis.Cmd {
	return r.Eval(ctx, string(s), keys, args...)
}

// refusal is in front of what a script of ours refused.
const refusal = "POSTERN "

// Refused returns the word with which a script of ours refused, or "".
func Refused(err error) string {
	if err == nil || !strings.HasPrefix(err.Error(), refusal) {
		return ""
	}
	return strings.TrimPrefix(err.Error(), refusal)
}

// isFault reports whether an error is the store's and not an answer: everything but redis.Nil,
// a transaction that found its keys changed and the refusals of our own scripts.
func isFault(err error) bool {
	return err != nil && !errors.Is(err, redis.Nil) && !errors.Is(err, redis.TxFailedErr) && Refused(err) == "" && !errors.Is(err, errAnswer)
}

// errAnswer marks errors that f of Do made itself from a good answer.
var errAnswer = errors.New("answer")

// Answer marks an error that is made from an answer of the store, so that Do does not take it
// for a fault. errors.Is still finds err.
func Answer(err error) error {
	if err == nil {
		return nil
	}
	return answer{err}
}

type answer struct{ error }

func (a answer) Unwrap() error        { return a.error }
func (a answer) Is(target error) bool { return target == errAnswer }

// WrongType reports whether a key holds another type than the command is for.
func WrongType(err error) bool { return err != nil && strings.Contains(err.Error(), "WRONGTYPE") }
