package redis

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"

	"postern/internal/store/redis/conn"
	"postern/internal/store/redis/nodes"
	"postern/internal/store/redis/sealed"
)

// admission keeps a node from a store that is sealed with a key it does not have: to it all that
// stands there would look forged, and it would write over what the others decided.
type admission struct {
	ring *sealed.Ring
	now  func() time.Time
	dir  string // of this node
	key  string // under which the store has the ID of the key it is sealed with

	mu     sync.Mutex
	inside bool      // we were let in before
	barred bool      // we were kept out
	bare   time.Time // since when the store names no key, while we are kept out
}

// claiming returns the ID of the key, which is ours where none is named and ARGV[2] is "1".
const claiming conn.Script = `local v = redis.pcall('GET', KEYS[1])
if type(v) == 'string' and #v == #ARGV[1] and string.match(v, '^%x+$') then return v end
if ARGV[2] ~= '1' then return '' end
redis.call('SET', KEYS[1], ARGV[1])
return ARGV[1]`

// admit implements conn.Options.Admit.
func (a *admission) admit(ctx context.Context, r redis.UniversalClient) error {
	claim := "0"
	if a.mayClaim() {
		claim = "1"
	}
	id, err := claiming.Run(ctx, r, []string{a.key}, a.ring.ID(), claim).Text()
	if err != nil {
		return err
	}
	fresh, err := a.judge(id)
	if err != nil || !fresh {
		return err
	}
	if id != a.ring.ID() { // the key was replaced since
		if err := r.Set(ctx, a.key, a.ring.ID(), 0).Err(); err != nil {
			return err
		}
	}
	if err := keepKey(a.dir, a.ring); err != nil {
		return conn.NotOurs("this node cannot write its own folder", err)
	}
	a.enter()
	return nil
}

// enter notes that all of a first admission is done.
func (a *admission) enter() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.inside = true
}

// mayClaim reports whether this node may make its key the store's. One that was kept out leaves
// that to others for a while: a store that was emptied is still theirs.
func (a *admission) mayClaim() bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return !a.barred || !a.bare.IsZero() && a.now().Sub(a.bare) > nodes.Gone
}

// judge says whether this node may use a store that is sealed with a key, and whether it does so
// for the first time.
func (a *admission) judge(id string) (fresh bool, err error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	switch {
	case id == "" && a.bare.IsZero():
		a.bare = a.now()
	case id != "":
		a.bare = time.Time{}
	}
	if id != "" && a.ring.Accepts(id) {
		a.barred = false
		return !a.inside, nil
	}
	a.barred = true
	if id == "" {
		id = "of another node"
	}
	return false, conn.NotOurs("sealed with another key than store.key_file has",
		fmt.Errorf("the key of the store is %s, and the first one of store.key_file is %s: all nodes need the same keys", id, a.ring.ID()))
}
