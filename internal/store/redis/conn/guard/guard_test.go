package guard

import (
	"errors"
	"fmt"
	"net"
	"strings"
	"testing"
)

// feed has a guard look at a stream in pieces of some size.
func feed(stream string, size int) (*conn, error) {
	g := &conn{}
	for len(stream) > 0 {
		n := min(size, len(stream))
		if err := g.look([]byte(stream[:n])); err != nil {
			return g, err
		}
		stream = stream[n:]
	}
	return g, nil
}

var good = []string{
	"+OK\r\n", "-ERR x\r\n", ":-12\r\n", "$-1\r\n", "*-1\r\n", "$0\r\n\r\n", "$3\r\na\nb\r\n", "*0\r\n", "*2\r\n$1\r\n*\r\n*1\r\n:1\r\n",
	"*3\r\n*0\r\n$-1\r\n*2\r\n*1\r\n+a\r\n:2\r\n", "%1\r\n+k\r\n*1\r\n+v\r\n", "_\r\n", "#t\r\n", ",1.5\r\n", "(123\r\n", "=7\r\ntxt:abc\r\n", "!5\r\nERR x\r\n",
	"~2\r\n+a\r\n+b\r\n", ">3\r\n+message\r\n+ch\r\n$1\r\nx\r\n", "|1\r\n+ttl\r\n:1\r\n*1\r\n:2\r\n", strings.Repeat("*1\r\n", deepestList) + ":1\r\n",
}

var bad = []string{
	"x\r\n", "\r\n", "$\r\n", "$x\r\n", "$-2\r\n", "*-2\r\n", "%-2\r\n", fmt.Sprintf("$%d\r\n", longestText+1), fmt.Sprintf("*%d\r\n", longestList+1), fmt.Sprintf("%%%d\r\n", longestList),
	"$99999999999999999999\r\n", "*1\r\n" + strings.Repeat("*1\r\n", deepestList), "+" + strings.Repeat("x", longestLine+1), "*2\r\n+a\r\nq\r\n", "$00000000000000000000000000000001\r\n",
}

func TestGuard(t *testing.T) {
	all := strings.Join(good, "")
	for size := 1; size < 40; size++ {
		for _, stream := range append([]string{all, all + all}, good...) {
			g, err := feed(stream, size)
			if err != nil || len(g.lists) != 0 || g.skip != 0 || g.n != 0 {
				t.Fatalf("%q in pieces of %d: %v, %d lists open, %d to skip", stream, size, err, len(g.lists), g.skip)
			}
		}
		for _, stream := range bad {
			if _, err := feed(all+stream, size); !errors.Is(err, ErrNonsense) {
				t.Fatalf("%.40q in pieces of %d: %v", stream, size, err)
			}
		}
	}
	if g, _ := feed("*2\r\n$5\r\nab", 3); len(g.lists) != 1 || g.skip != 5 {
		t.Errorf("half an answer: %d lists, %d to skip", len(g.lists), g.skip)
	}
}

// TestGuardWholeAnswer: what each part of an answer may have, all of them together may not; one
// answer after the other may.
func TestGuardWholeAnswer(t *testing.T) {
	list, text := fmt.Sprintf("*%d\r\n", longestList), strings.Repeat("x", 1<<20)
	part := fmt.Sprintf("$%d\r\n%s\r\n", len(text), text)
	parts := longestReply/len(text) - 1
	line := "+" + strings.Repeat("x", longestLine-2) + "\r\n"
	for name, stream := range map[string]string{
		"lists within lists": strings.Repeat(list, deepestList),
		"many texts":         "*1000\r\n" + strings.Repeat(part, parts+1),
		"texts announced":    fmt.Sprintf("*2\r\n$%d\r\n%s\r\n$%[1]d\r\n", longestText, strings.Repeat("x", longestText)),
		"many lines":         "*10000\r\n" + strings.Repeat(line, longestReply/longestLine+1),
	} {
		if _, err := feed(stream, 1<<20); !errors.Is(err, ErrNonsense) {
			t.Errorf("%s: %v", name, err)
		}
	}
	once := fmt.Sprintf("*%d\r\n", parts) + strings.Repeat(part, parts)
	if g, err := feed(once+once, 1<<20); err != nil || g.cost != 0 {
		t.Errorf("one answer after the other: %v, %d left over", err, g.cost)
	}
}

func TestGuardEndsTheConnection(t *testing.T) {
	ours, theirs := net.Pipe()
	g := Conn(ours)
	go func() { _, _ = theirs.Write([]byte("+OK\r\n$1073741824\r\n")) }()
	if n, err := g.Read(make([]byte, 100)); n != 0 || !errors.Is(err, ErrNonsense) {
		t.Error(n, err)
	}
	if _, err := theirs.Write([]byte("x")); err == nil {
		t.Error("it is still open")
	}
}

func FuzzGuard(f *testing.F) {
	for _, s := range append(good, bad...) {
		f.Add([]byte(s), 3)
	}
	f.Fuzz(func(t *testing.T, stream []byte, size int) {
		size = max(1, size)
		g, err := feed(string(stream), size)
		whole, all := feed(string(stream), len(stream)+1)
		if (err == nil) != (all == nil) {
			t.Errorf("%v in pieces of %d, %v whole", err, size, all)
		}
		if err == nil && (len(g.lists) != len(whole.lists) || g.skip != whole.skip) {
			t.Error("pieces end elsewhere than the whole")
		}
		if len(g.lists) > deepestList || len(g.line) > longestCount+1 || g.skip < 0 || err == nil && (g.cost < 0 || g.cost > longestReply) {
			t.Error("a guard without bounds")
		}
	})
}
