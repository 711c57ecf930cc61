package smtpd

import (
	"context"
	"errors"
	"net"
)

// Server runs listeners.
type Server struct {
	parts Parts
}

// New makes a server from its parts.
func New(cfg Config, parts Parts) *Server { return &Server{parts: parts} }

// Serve takes connections from ln until Drain or the end of ctx, which drops all sessions.
func (s *Server) Serve(ctx context.Context, l *Listener, ln net.Listener) error {
	return errors.ErrUnsupported
}

// Reload swaps the configuration; no connection is dropped.
func (s *Server) Reload(cfg Config) {}

// Drain stops accepting, answers idle sessions 421 and waits for transactions past their
// final dot. At the end of ctx it closes what is left and returns its error.
func (s *Server) Drain(ctx context.Context) error { return nil }

// Sessions counts what is open.
func (s *Server) Sessions() Counts { return Counts{} }
