package calls

import (
	"context"
	"sync"
	"time"

	"postern/cmd/postern/home"
	"postern/internal/control"
)

// Stored is what the store takes.
type Stored struct {
	Home  string      `json:"home"`
	Sizes []home.Size `json:"sizes"`
}

// StoreJob is the state of a long work on the store.
type StoreJob struct {
	Name    string          `json:"name"` // move or reindex; "" before the first one
	Running bool            `json:"running"`
	Started time.Time       `json:"started,omitzero"`
	Ended   time.Time       `json:"ended,omitzero"`
	Moved   *home.Moved     `json:"moved,omitempty"`
	Indexed *home.Reindexed `json:"reindexed,omitempty"`
	Error   string          `json:"error,omitempty"`
}

// Store are the calls of who cares for the store. One long work runs at a time, goes on when
// whoever began it leaves, and ends with the server.
type Store struct {
	Home  *home.Home
	Now   func() time.Time
	Audit func(ctx context.Context, actor, action, note string) error

	mu    sync.Mutex
	job   StoreJob
	stop  context.CancelFunc
	over  chan struct{} // closes when the job has ended
	ended bool          // with the server: nothing begins any more
}

// Handle adds the calls.
func (c *Store) Handle(s *control.Server) {
	control.Handle(s, "store.estimate", func(ctx context.Context, _ struct{}) (Stored, error) {
		sizes, err := c.Home.Sizes(ctx)
		return Stored{Home: c.Home.Name, Sizes: some(sizes)}, err
	})
	control.Handle(s, "store.job", func(context.Context, struct{}) (StoreJob, error) { return c.state(), nil })
	control.Handle(s, "store.stop", func(ctx context.Context, _ struct{}) (StoreJob, error) {
		c.mu.Lock()
		stop, over := c.stop, c.over
		c.mu.Unlock()
		if stop == nil {
			return c.state(), nil
		}
		stop()
		select {
		case <-over:
			return c.state(), nil
		case <-ctx.Done():
			return c.state(), ctx.Err()
		}
	})
	control.Handle(s, "store.move", func(ctx context.Context, _ struct{}) (StoreJob, error) {
		if c.Home.Move == nil {
			return StoreJob{}, control.Refuse(control.Conflict, "call.there-is-no-other-home-to-move", "there is no other home to move from: without store.addrs only the embedded one exists")
		}
		return c.begin(ctx, "move", func(ctx context.Context) error {
			moved, err := c.Home.Move(ctx, func(m home.Moved) { c.note(func(j *StoreJob) { j.Moved = &m }) })
			c.note(func(j *StoreJob) { j.Moved = &moved })
			return err
		})
	})
	control.Handle(s, "store.reindex", func(ctx context.Context, _ struct{}) (StoreJob, error) {
		if c.Home.Reindex == nil {
			return StoreJob{}, control.Refuse(control.Conflict, "call.the-embedded-home-is-made-again-while", "the embedded home is made again while no server runs")
		}
		return c.begin(ctx, "reindex", func(ctx context.Context) error {
			done, err := c.Home.Reindex(ctx, func(r home.Reindexed) { c.note(func(j *StoreJob) { j.Indexed = &r }) })
			c.note(func(j *StoreJob) { j.Indexed = &done })
			return err
		})
	})
}

// Run waits for the end of the server, and ends the work under way: its stores close next.
func (c *Store) Run(ctx context.Context) error {
	<-ctx.Done()
	c.mu.Lock()
	c.ended = true
	stop, over := c.stop, c.over
	c.mu.Unlock()
	if stop != nil {
		stop()
		<-over
	}
	return nil
}

// begin starts a work unless one runs.
func (c *Store) begin(ctx context.Context, name string, work func(context.Context) error) (StoreJob, error) {
	if err := c.Audit(ctx, control.Actor(ctx), "store-"+name, ""); err != nil {
		return StoreJob{}, err
	}
	c.mu.Lock()
	if c.ended {
		defer c.mu.Unlock()
		return c.job, control.Refuse(control.Conflict, "call.the-server-is-ending", "the server is ending")
	}
	if c.job.Running {
		defer c.mu.Unlock()
		return c.job, control.Refuse(control.Conflict, "call.a-of-the-store-is-under-way", "a %s of the store is under way since %s", "name", c.job.Name, "started", c.job.Started.Format(time.RFC3339))
	}
	live, stop := context.WithCancel(context.WithoutCancel(ctx))
	over := make(chan struct{})
	c.stop, c.over = stop, over
	c.job = StoreJob{Name: name, Running: true, Started: c.Now().UTC()}
	c.mu.Unlock()
	go func() {
		defer close(over)
		err := work(live)
		c.note(func(j *StoreJob) {
			j.Running, j.Ended = false, c.Now().UTC()
			if err != nil {
				j.Error = err.Error()
			}
		})
	}()
	return c.state(), nil
}

func (c *Store) note(f func(*StoreJob)) {
	c.mu.Lock()
	defer c.mu.Unlock()
	f(&c.job)
}

func (c *Store) state() StoreJob {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.job
}
