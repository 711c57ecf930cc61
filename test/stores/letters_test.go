package stores_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"testing"
	"time"

	"postern/abuse/notice/edition"
	"postern/abuse/notice/letter"
	"postern/abuse/notice/snippet"
	"postern/internal/entity"
	"postern/internal/store/redis/redistest"
)

// TestLetters changes the words of a letter and short texts on both homes, from two nodes.
func TestLetters(t *testing.T) {
	t.Parallel()
	t.Run("embedded", func(t *testing.T) {
		t.Parallel()
		letters(t, embedded(t).Entities())
	})
	t.Run("redis", func(t *testing.T) {
		t.Parallel()
		letters(t, shared(t, redistest.Server(t)).Entities)
	})
}

func letters(t *testing.T, home entity.Store) {
	audit := func(context.Context, string, string, string, any, any, string) error { return nil }
	node := func() *edition.Desk {
		book, err := letter.Open("")
		must(t, err)
		return &edition.Desk{Store: home, Book: book, Now: time.Now, Log: slog.New(slog.DiscardHandler), Audit: audit}
	}
	one, two := node(), node()
	ctx := t.Context()
	for i := range 5 {
		_, err := one.Save(ctx, "anna", "zh", letter.Result, letter.Source{Subject: fmt.Sprint("结果 ", i+1), Body: "{{.Measure}}"}, i, "")
		must(t, err)
	}
	if _, err := two.Save(ctx, "bert", "zh", letter.Result, letter.Source{Subject: "x", Body: "x"}, 4, ""); !errors.Is(err, edition.ErrChanged) {
		t.Error(err)
	}
	back, err := two.Rollback(ctx, "bert", "zh", letter.Result, 2, "")
	must(t, err)
	text, err := one.Write(ctx, "zh", letter.Result, letter.Vars{Measure: "已停止其发信。"})
	must(t, err)
	if back.N != 6 || text != (letter.Text{Subject: "结果 2", Body: "已停止其发信。\n"}) {
		t.Errorf("%+v %+v", back, text)
	}
	seen := 0
	for after := ""; ; {
		page, next, err := one.History(ctx, "zh", letter.Result, after, 2)
		must(t, err)
		for _, c := range page {
			if c.N != 6-seen {
				t.Errorf("change %d comes after %d others", c.N, seen)
			}
			seen++
		}
		if after = next; next == "" {
			break
		}
	}
	if seen != 6 {
		t.Errorf("%d changes of 6", seen)
	}
	book := snippet.Book{Store: home, Now: time.Now, Audit: audit}
	s, err := book.Save(ctx, "anna", snippet.Snippet{Language: "el", Title: "Ευχαριστίες", Short: "ευχ", Text: "Ευχαριστούμε."}, true)
	must(t, err)
	all, err := book.List(ctx, "bert", "el")
	must(t, err)
	if len(all) != 1 || all[0].ID != s.ID {
		t.Errorf("%+v", all)
	}
	_, err = book.Remove(ctx, "bert", s.ID, true)
	must(t, err)
}
