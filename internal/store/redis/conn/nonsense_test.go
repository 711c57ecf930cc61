package conn_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"postern/internal/mailtest/redisd"
	"postern/internal/store/redis/conn"
	"postern/internal/store/redis/redistest"
)

// bulk is a text as a server sends it.
func bulk(s string) string { return fmt.Sprintf("$%d\r\n%s\r\n", len(s), s) }

// echo answers GET with the key, so that a caller sees whose answer it was given.
func echo(args []string) redisd.Answer {
	if strings.EqualFold(args[0], "get") {
		return redisd.Answer{Text: bulk(args[1])}
	}
	return redisd.Answer{}
}

func TestNonsense(t *testing.T) {
	for text, want := range map[string]string{
		"$1073741824\r\nabc":                        "not an answer",
		"$9223372036854775807\r\n":                  "not an answer",
		"$-7\r\n":                                   "not an answer",
		"$12345678901234567890123456789\r\n":        "not an answer",
		"*1073741824\r\n":                           "not an answer",
		"*9223372036854775807\r\n":                  "not an answer",
		"%4611686018427387905\r\n":                  "not an answer",
		strings.Repeat("*1\r\n", 1000):              "not an answer",
		"HTTP/1.1 400 Bad Request\r\n\r\n":          "not an answer",
		"\r\n":                                      "not an answer",
		"+" + strings.Repeat("x", 1<<17):            "not an answer",
		"+" + strings.Repeat("x", 1<<17) + "\r\n":   "not an answer",
		"$5\r\nab":                                  "connection broken",
		"$5\r\n":                                    "connection broken",
		"":                                          "connection broken",
		"*2\r\n$1\r\na\r\n":                         "not an answer",
		"-OOM command not allowed\r\n":              "out of memory",
		"-SOMETHING new\r\n":                        "refused",
		"-\r\n":                                     "refused",
		"-ERR max number of clients reached\r\n":    "too many connections",
		"-ERR unknown command 'GET', with args\r\n": "unknown command",
		"-NOPERM this user has no permissions\r\n":  "not allowed",
		"-CLUSTERDOWN Hash slot not served\r\n":     "the cluster is down",
		"-TRYAGAIN Multiple keys request\r\n":       "the cluster is moving data",
		"-MASTERDOWN Link with MASTER is down\r\n":  "a replica without its master",
		"-BUSY Redis is busy running a script\r\n":  "busy with a script",
		"-LOADING Redis is loading the dataset\r\n": "loading its data",
		"-MISCONF Redis is configured to save\r\n":  "cannot write to its disk",
		"-NOREPLICAS Not enough good replicas\r\n":  "too few replicas",
		"-NOAUTH Authentication required.\r\n":      "login refused",
		"-WRONGPASS invalid username\r\n":           "login refused",
		"-READONLY You can't write against\r\n":     "read-only replica",
		"-WRONGTYPE Operation against a key\r\n":    "wrong type",
		"-CROSSSLOT Keys in request don't hash\r\n": "keys of several masters in one command",
		"-ERR Error running script (call to f_1): @user_script:1: @user_script: 1: -OOM command not allowed when used memory > 'maxmemory'.\r\n": "out of memory",
		"-OOMPH no such thing\r\n": "refused",
	} {
		t.Run(fmt.Sprintf("%.30q", text), func(t *testing.T) {
			t.Parallel()
			s := redisd.StartScripted(t, func(args []string) redisd.Answer {
				if args[0] == "get" {
					return redisd.Answer{Text: text, Close: want == "connection broken"}
				}
				return redisd.Answer{}
			})
			c := dial(t, s.Addr)
			value, err := patient(t.Context(), c, "x")
			if reason(err) != want {
				t.Fatalf("%q, %v; want %q", value, err, want)
			}
			s.Script(echo)
			for range 3 {
				if value, err := patient(t.Context(), c, "y"); err != nil || value != c.Key("y") {
					t.Fatalf("the next call got %q, %v", value, err)
				}
			}
		})
	}
}

// TestTheWrongType has the server answer with values of another kind than the command has.
func TestTheWrongType(t *testing.T) {
	for _, text := range []string{":7\r\n", "*1\r\n$1\r\na\r\n", "*0\r\n", "%1\r\n$1\r\na\r\n:1\r\n"} {
		s := redisd.StartScripted(t, func([]string) redisd.Answer { return redisd.Answer{Text: text} })
		c := dial(t, s.Addr)
		err := c.Do(t.Context(), conn.Write, func(ctx context.Context, r redis.UniversalClient) error {
			return r.HGetAll(ctx, c.Key("x")).Err()
		})
		if strings.HasPrefix(text, "*0") || strings.HasPrefix(text, "%") {
			continue // an empty hash, and a hash as newer servers send it
		}
		if !errors.Is(err, conn.ErrAway) {
			t.Errorf("%q as a hash: %v", text, err)
		}
		s.Script(echo)
		if value, err := patient(t.Context(), c, "y"); err != nil || value != c.Key("y") {
			t.Errorf("after %q: %q, %v", text, value, err)
		}
	}
}

// TestALateAnswerIsNobodyElses has answers come after their caller has left.
func TestALateAnswerIsNobodyElses(t *testing.T) {
	s := redisd.StartScripted(t, func(args []string) redisd.Answer {
		a := echo(args)
		if len(args) > 1 && strings.Contains(args[1], "slow") {
			a.After = conn.LookupTime + 20*time.Millisecond
		}
		return a
	})
	c := redistest.Connect(t, conn.Options{Addrs: []string{s.Addr}, Pool: 2})
	for i := range 3 {
		if _, err := read(t.Context(), c, fmt.Sprint("slow", i)); reason(err) != "no answer in time" {
			t.Fatal(err)
		}
		for j := range 40 {
			key := fmt.Sprint("fast", i, j)
			value, err := patient(t.Context(), c, key)
			if err != nil || value != c.Key(key) {
				t.Fatalf("%s: %q, %v", key, value, err)
			}
		}
	}
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancel()
	if _, err := read(ctx, c, "slow and cancelled"); reason(err) == "" {
		t.Error(err)
	}
	if value, err := patient(t.Context(), c, "after"); err != nil || value != c.Key("after") {
		t.Errorf("%q, %v", value, err)
	}
}

// TestAnAnswerTooManyIsNobodys has the server send more than was asked for, at once or a
// little later: what lies there when the next caller comes is not for him.
func TestAnAnswerTooManyIsNobodys(t *testing.T) {
	for _, by := range []time.Duration{0, 10 * time.Millisecond} {
		s := redisd.StartScripted(t, func(args []string) redisd.Answer {
			a := echo(args)
			if len(args) > 1 && strings.HasSuffix(args[1], "twice") {
				a.Late, a.LateBy = bulk("somebody else's"), by
				if by == 0 {
					a.Text, a.Late = a.Text+a.Late, ""
				}
			}
			return a
		})
		c := redistest.Connect(t, conn.Options{Addrs: []string{s.Addr}, Pool: 4})
		for i := range 10 {
			if value, err := patient(t.Context(), c, "twice"); err != nil || value != c.Key("twice") {
				t.Fatal(value, err)
			}
			for end := time.Now().Add(time.Minute); by > 0 && s.Lates() <= i; time.Sleep(time.Millisecond) {
				if time.Now().After(end) {
					t.Fatal("the answer too many was never sent")
				}
			}
			key := fmt.Sprint(i)
			if value, err := patient(t.Context(), c, key); err != nil || value != c.Key(key) {
				t.Fatalf("%v later: %q, %v", by, value, err)
			}
		}
	}
}

// TestABrokenPipeline has the connection end in the middle of the answers.
func TestABrokenPipeline(t *testing.T) {
	s := redisd.StartScripted(t, func(args []string) redisd.Answer {
		if len(args) > 1 && strings.HasSuffix(args[1], "2") {
			return redisd.Answer{Text: "$7\r\npost", Close: true}
		}
		return echo(args)
	})
	c := dial(t, s.Addr)
	cmds, err := c.Pipe(t.Context(), conn.Write, func(p redis.Pipeliner) {
		for i := range 4 {
			p.Get(t.Context(), c.Key(fmt.Sprint(i)))
		}
	})
	if reason(err) != "connection broken" || len(cmds) != 4 {
		t.Fatal(cmds, err)
	}
	for i, cmd := range cmds {
		value, err := cmd.(*redis.StringCmd).Result()
		if err == nil && (i >= 2 || value != c.Key(fmt.Sprint(i))) {
			t.Errorf("%d: %q, %v", i, value, err)
		}
	}
}

// TestManyCallersGetTheirOwn mixes delays, ends and nonsense under load: whoever gets an
// answer gets his own.
func TestManyCallersGetTheirOwn(t *testing.T) {
	var n int
	var mu sync.Mutex
	s := redisd.StartScripted(t, func(args []string) redisd.Answer {
		mu.Lock()
		n++
		turn := n
		mu.Unlock()
		a := echo(args)
		switch {
		case turn%37 == 0:
			a.After = conn.LookupTime + 10*time.Millisecond
		case turn%41 == 0:
			a.Close = true
		case turn%43 == 0:
			a.Text = "$99\r\n"
			a.Close = true
		case turn%47 == 0:
			a = redisd.Answer{Silent: true}
		}
		return a
	})
	c := redistest.Connect(t, conn.Options{Addrs: []string{s.Addr}, Pool: 16})
	var wg sync.WaitGroup
	for i := range 16 {
		wg.Go(func() {
			for j := range 200 {
				key := fmt.Sprint(i, "-", j)
				if value, err := read(t.Context(), c, key); err == nil && value != c.Key(key) {
					t.Errorf("%s got %q", key, value)
				} else if err != nil && !errors.Is(err, conn.ErrAway) {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	if s.Open() > 16 {
		t.Errorf("%d connections are open", s.Open())
	}
}

// TestBigAnswersPass has the guard read along with everything that a server may say.
func TestBigAnswersPass(t *testing.T) {
	big := strings.Repeat("0123456789abcdef\r\n", 200_000)
	c := redistest.Empty(t, redistest.Server(t))
	if err := write(t.Context(), c, "{big}", big); err != nil {
		t.Fatal(err)
	}
	cmds, err := c.Pipe(t.Context(), conn.Write, func(p redis.Pipeliner) {
		p.Get(t.Context(), c.Key("{big}"))
		p.Set(t.Context(), c.Key("{big}:e"), "", 0)
		p.Get(t.Context(), c.Key("{big}:e"))
		p.Get(t.Context(), c.Key("{big}:none"))
		for i := range 1000 {
			p.HSet(t.Context(), c.Key("{big}:h"), fmt.Sprint(i), strings.Repeat("x", i))
		}
		p.HGetAll(t.Context(), c.Key("{big}:h"))
		p.HMGet(t.Context(), c.Key("{big}:h"), "1", "none")
		p.Eval(t.Context(), `return {1, {2, {3, {}, "x"}}, false}`, []string{c.Key("{big}")})
	})
	if err != nil {
		t.Fatal(err)
	}
	if got := cmds[0].(*redis.StringCmd).Val(); got != big {
		t.Errorf("%d bytes came back", len(got))
	}
	if got := cmds[len(cmds)-3].(*redis.MapStringStringCmd).Val(); len(got) != 1000 || len(got["999"]) != 999 {
		t.Errorf("%d fields came back", len(got))
	}
	if got := fmt.Sprint(cmds[len(cmds)-1].(*redis.Cmd).Val()); got != "[1 [2 [3 [] x]] <nil>]" {
		t.Error(got)
	}
}
