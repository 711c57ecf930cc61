package control

import (
	"context"
	"encoding/json"
	"net"
	"os"
	"os/user"
	"strconv"
	"strings"
	"syscall"
)

// Peer is the Unix user at the other end of the socket.
type Peer struct {
	UID  int    // -1: nobody knows
	Name string // "" where the system has no name for it
}

// String is the peer as the audit writes it.
func (p Peer) String() string {
	switch {
	case p.UID < 0:
		return "unknown"
	case p.Name == "":
		return "uid " + strconv.Itoa(p.UID)
	}
	return "uid " + strconv.Itoa(p.UID) + " (" + p.Name + ")"
}

// Operator reports whether the peer has the machine, or the gateway, anyway.
func (p Peer) Operator() bool { return p.UID == 0 || p.UID == os.Getuid() }

// Self is who runs this process.
func Self() Peer { return named(os.Getuid()) }

func named(uid int) Peer {
	p := Peer{UID: uid}
	if u, err := user.LookupId(strconv.Itoa(uid)); err == nil {
		p.Name = u.Username
	}
	return p
}

// peer names the user at the other end of a Unix socket.
func peer(c net.Conn) Peer {
	uc, ok := c.(*net.UnixConn)
	if !ok {
		return Peer{UID: -1}
	}
	raw, err := uc.SyscallConn()
	if err != nil {
		return Peer{UID: -1}
	}
	who := Peer{UID: -1}
	_ = raw.Control(func(fd uintptr) {
		if cred, err := syscall.GetsockoptUcred(int(fd), syscall.SOL_SOCKET, syscall.SO_PEERCRED); err == nil {
			who = named(int(cred.Uid))
		}
	})
	return who
}

// Gate decides who makes a call and whether that one may; next makes it. Without a gate
// whoever reaches the socket makes every call.
type Gate func(ctx context.Context, p Peer, token, name string, raw json.RawMessage, next func(ctx context.Context) (any, error)) (any, error)

type peerKey struct{}

// enter makes a call for a peer, through the gate.
func (s *Server) enter(ctx context.Context, p Peer, token, name string, raw json.RawMessage) (any, error) {
	next := func(ctx context.Context) (any, error) { return s.dispatch(ctx, name, raw) }
	ctx = WithActor(ctx, p.String())
	if s.Gate == nil {
		return next(ctx)
	}
	return s.Gate(ctx, p, token, name, raw, next)
}

// As makes calls in this process as they would be made over the socket.
func (s *Server) As(p Peer, token string) Caller { return as{s, p, token} }

type as struct {
	server *Server
	peer   Peer
	token  string
}

// Call implements Caller.
func (a as) Call(ctx context.Context, name string, params, result any) error {
	raw, err := json.Marshal(params)
	if err != nil {
		return unread(name, err)
	}
	out, err := a.server.enter(ctx, a.peer, a.token, name, raw)
	if err != nil {
		return err
	}
	return fill(name, out, result)
}

func fill(name string, out, result any) error {
	if result == nil {
		return nil
	}
	answer, err := json.Marshal(out)
	if err != nil {
		return &Error{Kind: Fault, Message: name + ": the answer could not be written", Cause: err}
	}
	return json.Unmarshal(answer, result)
}

// bearer is the token of an Authorization field, "" without one.
func bearer(field string) string {
	scheme, token, _ := strings.Cut(field, " ")
	if !strings.EqualFold(scheme, "bearer") {
		return ""
	}
	return strings.TrimSpace(token)
}
