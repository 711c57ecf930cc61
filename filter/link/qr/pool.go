package qr

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"sync"
	"time"
)

// The bounds of helpers.
const (
	Helpers   = 2 // of one program
	Each      = 300 * time.Millisecond
	startTime = 5 * time.Second
	retired   = 1000 // pictures after which a helper is replaced
	maxAnswer = 64 << 10
)

// Pool is helpers that read pictures. It is safe for concurrent use, and starts none before the first
// picture.
type Pool struct {
	command []string
	log     *slog.Logger
	free    chan *helper // one place for each helper; nil = not started
	said    sync.Once
}

// New makes a pool; command is the program and the words that make it call Serve.
func New(command []string, log *slog.Logger) *Pool {
	p := &Pool{command: command, log: log, free: make(chan *helper, Helpers)}
	for range Helpers {
		p.free <- nil
	}
	return p
}

// Read returns the texts of the QR codes in a picture. An error means that it was not looked at: all
// helpers are busy until ctx ends, or the one that looked did not live through it.
func (p *Pool) Read(ctx context.Context, picture []byte) ([]string, error) {
	var h *helper
	select {
	case h = <-p.free:
	case <-ctx.Done():
		return nil, fmt.Errorf("qr: no helper is free: %w", ctx.Err())
	}
	if h == nil {
		var err error
		if h, err = p.start(); err != nil {
			p.free <- nil
			return nil, err
		}
	}
	texts, err := h.read(picture)
	if err != nil || h.served >= retired {
		h.end()
		h = nil
	}
	p.free <- h
	return texts, err
}

// Close ends the helpers; the pool is of no use after it.
func (p *Pool) Close() {
	for range Helpers {
		if h := <-p.free; h != nil {
			h.end()
		}
	}
}

// helper is one process.
type helper struct {
	cmd     *exec.Cmd
	in, out *os.File // our ends of its pipes
	served  int
}

func (p *Pool) start() (*helper, error) {
	theirIn, in, err := os.Pipe()
	if err != nil {
		return nil, fmt.Errorf("qr: %w", err)
	}
	out, theirOut, err := os.Pipe()
	if err != nil {
		return nil, errors.Join(fmt.Errorf("qr: %w", err), in.Close(), theirIn.Close())
	}
	cmd := exec.Command(p.command[0], p.command[1:]...) //nolint:gosec // ourselves
	cmd.Env, cmd.Dir = []string{"GOMAXPROCS=1"}, "/"
	cmd.Stdin, cmd.Stdout = theirIn, theirOut
	h := &helper{cmd: cmd, in: in, out: out}
	// With our copies of its ends open, its death would not be an end of the pipe.
	if err := errors.Join(cmd.Start(), theirIn.Close(), theirOut.Close()); err != nil {
		return nil, errors.Join(fmt.Errorf("qr: a helper does not start: %w", err), in.Close(), out.Close())
	}
	var mode [1]byte
	h.out.SetDeadline(time.Now().Add(startTime)) //nolint:errcheck // a pipe has deadlines
	if _, err := h.out.Read(mode[:]); err != nil {
		h.end()
		return nil, fmt.Errorf("qr: a helper does not start: %w", err)
	}
	if mode[0] != locked {
		p.said.Do(func() {
			p.log.Warn("pictures are read in a process with limits, but with all system calls: the system does not let it give them up")
		})
	}
	return h, nil
}

// read hands over one picture; after an error the process is of no use.
func (h *helper) read(picture []byte) ([]string, error) {
	until := time.Now().Add(Each)
	if err := errors.Join(h.in.SetDeadline(until), h.out.SetDeadline(until)); err != nil {
		return nil, fmt.Errorf("qr: %w", err)
	}
	h.served++
	if _, err := h.in.Write(framed(picture)); err != nil {
		return nil, fmt.Errorf("qr: the helper did not take the picture: %w", err)
	}
	b, err := frame(h.out, maxAnswer)
	if err != nil {
		return nil, fmt.Errorf("qr: the helper did not live through the picture: %w", err)
	}
	var texts []string
	if err := json.Unmarshal(b, &texts); err != nil {
		return nil, fmt.Errorf("qr: the helper's answer: %w", err)
	}
	return texts, nil
}

// end kills the process, which has nothing to tidy up.
func (h *helper) end() {
	h.in.Close()
	h.out.Close()
	h.cmd.Process.Kill() //nolint:errcheck // it may be dead already
	h.cmd.Wait()         //nolint:errcheck // its end is no news
}
