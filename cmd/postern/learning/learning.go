// Package learning joins what is learned with the gateway: the key, the check, the care for the
// counts, and the calls.
package learning

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"log/slog"
	"os"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"postern/filter"
	"postern/filter/bayes"
	"postern/filter/bayes/token"
	"postern/filter/bayes/train"
	"postern/internal/config"
	"postern/internal/entity"
)

// Parts are what learning is built from.
type Parts struct {
	Config  *atomic.Pointer[config.Config]
	Records entity.Store
	Counts  bayes.Store
	Home    string // local or redis
	Key     []byte // of this installation; for one node
	Audit   func(ctx context.Context, actor, action, object string, before, after any, note string) error
	Event   func(key, text string, over bool)
	Now     func() time.Time
	Log     *slog.Logger
}

// Learning is what is learned, with its key.
type Learning struct {
	parts   Parts
	trainer *train.Trainer
}

// New reads the key.
func New(p Parts) (*Learning, error) {
	key, err := p.key()
	if err != nil {
		return nil, err
	}
	l := &Learning{parts: p}
	l.trainer = &train.Trainer{
		Records: p.Records, Now: p.Now, Reader: bayes.Reader{Store: bayes.NewCache(p.Counts, p.Now), Tokenizer: token.Tokenizer{Key: key}},
		Limits: func() train.Limits {
			c := p.Config.Load().Learning
			return train.Limits{Keep: c.Keep, Aside: c.Aside, Sender: c.Sender, Voter: c.Recipient}
		},
	}
	return l, nil
}

// key is that under which words are hashed. Nodes on one Redis must share it: theirs is derived
// from the oldest key that they share anyway, so that a new one in front changes nothing.
func (p Parts) key() (token.Key, error) {
	c := p.Config.Load()
	secret := p.Key
	file := c.Learning.KeyFile
	if file == "" && p.Home == config.HomeRedis {
		file = c.Store.KeyFile
	}
	if file != "" {
		text, err := os.ReadFile(file)
		if err != nil {
			return token.Key{}, fmt.Errorf("learning: %w", err)
		}
		if secret, err = last(string(text)); err != nil {
			return token.Key{}, fmt.Errorf("learning: %s: %w", file, err)
		}
	}
	mac := hmac.New(sha256.New, secret)
	mac.Write([]byte("postern learning"))
	return token.Key(mac.Sum(nil)[:len(token.Key{})]), nil
}

// last is the last key of a file: one a line in hex, "#" begins a comment.
func last(text string) (key []byte, err error) {
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(line)
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		if key, err = hex.DecodeString(line); err != nil {
			break
		}
	}
	if err != nil || len(key) < 16 {
		return nil, fmt.Errorf("want a key of at least 16 bytes in hex, as \"openssl rand -hex 32\" makes it")
	}
	return key, nil
}

// Check is the check of a running node.
func (l *Learning) Check() filter.Check {
	return &bayes.Check{Reader: l.trainer.Reader, Scope: func(domain string) string {
		if slices.Contains(l.parts.Config.Load().Learning.Domains, domain) {
			return domain
		}
		return ""
	}}
}

// scopes are all: that of everybody, and those of domains.
func (l *Learning) scopes() []string {
	return append([]string{""}, l.parts.Config.Load().Learning.Domains...)
}

// Times of the care for the counts.
const (
	every = time.Hour       // how often they are held against the journal
	again = 3 * time.Second // who learns just now has written the journal and not counted yet
)

// Run counts anew what does not fit the journal: after a restore, a move or a crash. It removes
// from the journal what was forgotten long ago.
func (l *Learning) Run(ctx context.Context) error {
	for {
		if err := l.tend(ctx); err != nil && ctx.Err() == nil {
			l.parts.Log.Error("what was learned cannot be counted", "error", err)
		}
		if !wait(ctx, every) {
			return nil
		}
	}
}

func (l *Learning) tend(ctx context.Context) error {
	if _, err := l.trainer.Expire(ctx); err != nil {
		return err
	}
	fits, err := l.trainer.Fits(ctx, l.scopes())
	if err != nil || fits || !wait(ctx, again) {
		return err
	}
	n, err := l.trainer.Repair(ctx, l.scopes())
	if n > 0 {
		l.parts.Log.Warn("what was learned was counted anew from the journal", "messages", n)
	}
	return err
}

// wait waits; false: ctx ended.
func wait(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-t.C:
		return true
	}
}
