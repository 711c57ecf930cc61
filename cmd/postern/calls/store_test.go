package calls_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"postern/cmd/postern/calls"
	"postern/cmd/postern/home"
	"postern/internal/control"
)

// world are the calls over a home whose move waits for a word.
func storeCalls(t *testing.T, h *home.Home) (call func(name string) (calls.StoreJob, error), audit *[]string) {
	t.Helper()
	s := control.NewServer()
	audit = new([]string)
	(&calls.Store{Home: h, Now: time.Now, Audit: func(_ context.Context, _, action, _ string) error {
		*audit = append(*audit, action)
		return nil
	}}).Handle(s)
	return func(name string) (calls.StoreJob, error) {
		var job calls.StoreJob
		err := s.Call(t.Context(), name, struct{}{}, &job)
		return job, err
	}, audit
}

func TestStoreJob(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		enough := make(chan error)
		call, audit := storeCalls(t, &home.Home{Move: func(ctx context.Context, step func(home.Moved)) (home.Moved, error) {
			step(home.Moved{Holds: 3})
			select {
			case err := <-enough:
				return home.Moved{Holds: 5}, err
			case <-ctx.Done():
				return home.Moved{Holds: 4}, ctx.Err()
			}
		}})
		want := func(job calls.StoreJob, running bool, holds int, text string) {
			t.Helper()
			if job.Running != running || job.Moved == nil || job.Moved.Holds != holds || job.Error != text {
				t.Errorf("%+v %+v, want running %v with %d holds and %q", job, job.Moved, running, holds, text)
			}
		}
		state := func() calls.StoreJob {
			t.Helper()
			synctest.Wait()
			job, err := call("store.job")
			if err != nil {
				t.Fatal(err)
			}
			return job
		}
		if _, err := call("store.stop"); err != nil {
			t.Error("stopping nothing:", err)
		}
		for _, end := range []struct {
			how   func()
			holds int
			text  string
		}{
			{func() { enough <- nil }, 5, ""},
			{func() { enough <- errors.New("disk full") }, 5, "disk full"},
			{func() { _, _ = call("store.stop") }, 4, context.Canceled.Error()},
		} {
			if job, err := call("store.move"); err != nil || job.Name != "move" {
				t.Fatal(job, err)
			}
			want(state(), true, 3, "")
			_, err := call("store.move")
			var refusal *control.Error
			if !errors.As(err, &refusal) || refusal.Kind != control.Conflict {
				t.Errorf("a second move at the same time: %v", err)
			}
			end.how()
			want(state(), false, end.holds, end.text)
		}
		if len(*audit) != 6 || (*audit)[0] != "store-move" {
			t.Errorf("audit: %q", *audit)
		}
	})
}

func TestStoreWithoutOther(t *testing.T) {
	call, _ := storeCalls(t, &home.Home{})
	for _, name := range []string{"store.move", "store.reindex"} {
		_, err := call(name)
		var refusal *control.Error
		if !errors.As(err, &refusal) || refusal.Kind != control.Conflict {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// The end of the server ends the work, and nothing begins after it.
func TestStoreEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := control.NewServer()
		c := &calls.Store{
			Home: &home.Home{Move: func(ctx context.Context, _ func(home.Moved)) (home.Moved, error) {
				<-ctx.Done()
				return home.Moved{Holds: 1}, ctx.Err()
			}},
			Now: time.Now, Audit: func(context.Context, string, string, string) error { return nil },
		}
		c.Handle(s)
		var job calls.StoreJob
		if err := s.Call(t.Context(), "store.move", struct{}{}, &job); err != nil || !job.Running {
			t.Fatal(job, err)
		}
		ctx, end := context.WithCancel(t.Context())
		ended := make(chan error)
		go func() { ended <- c.Run(ctx) }()
		end()
		if err := <-ended; err != nil {
			t.Error(err)
		}
		if err := s.Call(t.Context(), "store.job", struct{}{}, &job); err != nil || job.Running || job.Moved.Holds != 1 {
			t.Error(job, err)
		}
		if err := s.Call(t.Context(), "store.move", struct{}{}, &job); err == nil {
			t.Error("a move began after the end")
		}
	})
}
