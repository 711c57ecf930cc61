package opinion_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"postern/filter/campaign/opinion"
	"postern/filter/campaign/simhash"
	"postern/internal/entity"
	"postern/internal/mailtest/entities"
)

func noon() time.Time { return time.Date(2027, 3, 1, 12, 0, 0, 0, time.UTC) }

func say(t testing.TB, b *opinion.Book, p simhash.Print, word string) {
	t.Helper()
	if _, err := b.Say(t.Context(), opinion.Opinion{Print: p, Word: word, By: "ann", Why: "because"}); err != nil {
		t.Fatal(err)
	}
}

func TestNearest(t *testing.T) {
	b := &opinion.Book{Records: &entities.Memory{}, Now: noon}
	if _, ok := b.Nearest(1); ok {
		t.Error("an empty book knows something")
	}
	const p = simhash.Print(0xff00ff00ff00ff00)
	say(t, b, p, opinion.Bad)
	say(t, b, p^0b111, opinion.Good)
	for q, want := range map[simhash.Print]string{p: opinion.Bad, p ^ 1: opinion.Bad, p ^ 0b11: opinion.Good, p ^ 0b111: opinion.Good, p ^ 0x1ff<<32: opinion.Bad, p ^ 0x3ff<<32: "", ^p: ""} {
		if got, ok := b.Nearest(q); got.Word != want || ok != (want != "") {
			t.Errorf("%d bits away: %q, want %q", simhash.Apart(p, q), got.Word, want)
		}
	}
}

// TestWeight lets what the desk says outweigh a report, on the very print and on one as near.
func TestWeight(t *testing.T) {
	b := &opinion.Book{Records: &entities.Memory{}, Now: noon}
	say(t, b, 4, opinion.Reported)
	say(t, b, 4^3, opinion.Good)
	if got, _ := b.Nearest(4 ^ 1); got.Word != opinion.Good {
		t.Errorf("of two as near: %q", got.Word)
	}
	say(t, b, 4, opinion.Bad)
	was, err := b.Say(t.Context(), opinion.Opinion{Print: 4, Word: opinion.Reported, By: "postern", Why: "VIRUS"})
	if !errors.Is(err, entity.ErrUnchanged) || was == nil || was.Word != opinion.Bad {
		t.Errorf("a report on what the desk called bad: %v, %v", was, err)
	}
	if got, _ := b.Nearest(4); got.Word != opinion.Bad || got.By != "ann" {
		t.Errorf("%+v", got)
	}
	if _, err := b.Say(t.Context(), opinion.Opinion{Print: 4, Word: "ugly"}); !errors.Is(err, opinion.ErrWord) {
		t.Error(err)
	}
}

func TestForget(t *testing.T) {
	b := &opinion.Book{Records: &entities.Memory{}, Now: noon}
	say(t, b, 4, opinion.Bad)
	was, err := b.Forget(t.Context(), 4)
	if err != nil || was.Word != opinion.Bad {
		t.Errorf("%+v, %v", was, err)
	}
	if _, ok := b.Nearest(4); ok {
		t.Error("it is not forgotten")
	}
	if _, err := b.Forget(t.Context(), 4); !errors.Is(err, entity.ErrNotFound) {
		t.Error(err)
	}
}

func TestBounds(t *testing.T) {
	b := &opinion.Book{Records: &entities.Memory{}, Now: noon}
	o := opinion.Opinion{Print: 1, Word: opinion.Bad, Why: strings.Repeat("ж", 1000)}
	for n := range 100 {
		o.Authors = append(o.Authors, fmt.Sprint(n))
	}
	if _, err := b.Say(t.Context(), o); err != nil {
		t.Fatal(err)
	}
	got, _ := b.Nearest(1)
	if len([]rune(got.Why)) != 300 || len(got.Authors) != opinion.MaxAuthors {
		t.Errorf("%d letters, %d authors", len([]rune(got.Why)), len(got.Authors))
	}
}

// TestPrune forgets what is old, and of too many the oldest.
func TestPrune(t *testing.T) {
	at := noon()
	b := &opinion.Book{Records: &entities.Memory{}, Now: func() time.Time { return at }}
	for n := range 5 {
		say(t, b, simhash.Print(n+1)<<20, opinion.Bad)
		at = at.Add(time.Hour)
	}
	at = noon().Add(opinion.Keep + 2*time.Hour + time.Minute)
	if n, err := b.Prune(t.Context()); err != nil || n != 3 {
		t.Errorf("%d forgotten, %v", n, err)
	}
	if err := b.Load(t.Context()); err != nil || len(b.All()) != 2 {
		t.Errorf("%d are left, %v", len(b.All()), err)
	}
}

// TestManyNodes has several speak of one letter at once: one word stands, and all know it.
func TestManyNodes(t *testing.T) {
	records := &entities.Memory{}
	var books []*opinion.Book
	for range 4 {
		books = append(books, &opinion.Book{Records: records, Now: noon})
	}
	var all sync.WaitGroup
	for i, b := range books {
		all.Go(func() {
			for n := range 25 {
				o := opinion.Opinion{Print: simhash.Print(n%5 + 1), Word: []string{opinion.Good, opinion.Bad}[i%2], By: fmt.Sprint(i)}
				if _, err := b.Say(t.Context(), o); err != nil {
					t.Error(err)
				}
				b.Nearest(3)
			}
		})
	}
	all.Wait()
	for _, b := range books {
		if err := b.Load(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	for p := range simhash.Print(5) {
		first, ok := books[0].Nearest(p + 1)
		for _, b := range books[1:] {
			if got, _ := b.Nearest(p + 1); !ok || got.By != first.By || got.Word != first.Word {
				t.Errorf("%s: %+v and %+v", p+1, first, got)
			}
		}
	}
}

// TestRun hears what other nodes are told, keeps what it knows while the store is away, and says
// so.
func TestRun(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		records := &broken{Memory: &entities.Memory{}}
		here, there := &opinion.Book{Records: records, Now: time.Now}, &opinion.Book{Records: records.Memory, Now: time.Now}
		ctx, cancel := context.WithCancel(t.Context())
		var said []bool
		done := make(chan error)
		go func() { done <- here.Run(ctx, func(err error) { said = append(said, err == nil) }) }()
		synctest.Wait()
		say(t, there, 9, opinion.Bad)
		time.Sleep(6 * time.Second)
		synctest.Wait()
		if got, _ := here.Nearest(9); got.Word != opinion.Bad {
			t.Errorf("another node's word: %q", got.Word)
		}
		records.away.Store(true)
		time.Sleep(6 * time.Second)
		synctest.Wait()
		if got, _ := here.Nearest(9); got.Word != opinion.Bad || said[len(said)-1] {
			t.Errorf("with the store away: %q, %v", got.Word, said)
		}
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
}

type broken struct {
	*entities.Memory
	away atomic.Bool
}

func (b *broken) Revision(ctx context.Context, k entity.Kind) (uint64, error) {
	if b.away.Load() {
		return 0, errors.New("away")
	}
	return b.Memory.Revision(ctx, k)
}
