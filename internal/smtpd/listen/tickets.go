package listen

import (
	"crypto/rand"
	"crypto/tls"
	"io"
	"sync"
	"time"
)

// Tickets gives each listener a TLS configuration with session ticket keys of its own, so
// that a ticket of one listener means nothing to another.
type Tickets struct {
	mu       sync.Mutex
	src, own *tls.Config
	made     time.Time
}

// Config is get's configuration for this listener, nil when get gives none. It is made anew
// when get gives another one, and once a day.
func (t *Tickets) Config(get func() *tls.Config) (*tls.Config, error) {
	if get == nil {
		return nil, nil
	}
	src := get()
	if src == nil {
		return nil, nil
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.src == src && time.Since(t.made) < 24*time.Hour {
		return t.own, nil
	}
	var key [32]byte
	if _, err := io.ReadFull(rand.Reader, key[:]); err != nil {
		return nil, err
	}
	own := src.Clone()
	own.SetSessionTicketKeys([][32]byte{key})
	t.src, t.own, t.made = src, own, time.Now()
	return own, nil
}
