package redisd_test

import (
	"bufio"
	"errors"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"postern/internal/mailtest/redisd"
)

func TestScriptedAnswersWhatItIsTold(t *testing.T) {
	s := redisd.StartScripted(t, func(args []string) redisd.Answer {
		switch strings.Join(args, " ") {
		case "get a":
			return redisd.Answer{Text: "$1\r\nx\r\n", After: time.Millisecond}
		case "get late":
			return redisd.Answer{Text: "+one\r\n", Late: "+two\r\n", LateBy: time.Millisecond}
		case "get end":
			return redisd.Answer{Text: "$5\r\nab", Close: true}
		case "get none":
			return redisd.Answer{Silent: true}
		}
		return redisd.Answer{}
	})
	r := redis.NewClient(&redis.Options{Addr: s.Addr, Protocol: 2, DisableIdentity: true, MaxRetries: -1})
	defer r.Close()
	if v, err := r.Get(t.Context(), "a").Result(); err != nil || v != "x" {
		t.Error(v, err)
	}
	if err := r.Get(t.Context(), "b").Err(); !errors.Is(err, redis.Nil) {
		t.Error(err)
	}
	if err := r.Set(t.Context(), "b", "x", 0).Err(); err != nil {
		t.Error(err)
	}
	if err := r.Get(t.Context(), "end").Err(); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Error(err)
	}
	s.Script(func([]string) redisd.Answer { return redisd.Answer{Text: ":7\r\n"} })
	if v, err := r.Get(t.Context(), "a").Result(); err != nil || v != "7" {
		t.Error(v, err)
	}
	if s.Accepted() != 2 || s.Open() < 1 {
		t.Errorf("%d connections, %d open", s.Accepted(), s.Open())
	}
}

// TestScriptedOnTheWire looks at the bytes, and at what is no command.
func TestScriptedOnTheWire(t *testing.T) {
	s := redisd.StartScripted(t, func([]string) redisd.Answer {
		return redisd.Answer{Text: "+one\r\n", Late: "+two\r\n", LateBy: time.Millisecond}
	})
	for _, text := range []string{"GET a\r\n", "*x\r\n", "*1\r\n:1\r\n", "*0\r\n", "*1\r\n$99999999\r\n", "*1\r\n$-1\r\n"} {
		c, err := net.Dial("tcp", s.Addr)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(c, text); err != nil {
			t.Fatal(err)
		}
		if got, _ := io.ReadAll(c); len(got) != 0 {
			t.Errorf("%q was answered with %q", text, got)
		}
		_ = c.Close()
	}
	c, err := net.Dial("tcp", s.Addr)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if _, err := io.WriteString(c, "*2\r\n$3\r\nget\r\n$1\r\na\r\n"); err != nil {
		t.Fatal(err)
	}
	in := bufio.NewReader(c)
	for _, want := range []string{"+one\r\n", "+two\r\n"} {
		if got, err := in.ReadString('\n'); err != nil || got != want {
			t.Errorf("%q, %v", got, err)
		}
	}
}
