package holds

import (
	"context"
	"hash/maphash"
	"sync/atomic"

	"postern/internal/store/local/sqlite"
)

// keys knows which keys no row can have, so that asking for the key of ordinary mail, which is
// nobody's, costs no query. It is a Bloom filter of fixed size: a key is in it before its row
// is written and never leaves, so it may take a key for known that is not, never the reverse.
type keys struct {
	seed  maphash.Seed
	bits  []atomic.Uint64
	whole atomic.Bool // the keys of all rows are in it
}

// keyBits takes 1 MiB. Two bits a key: with 500,000 keys one lookup in 80 asks in vain.
const keyBits = 1 << 23

func newKeys() *keys {
	return &keys{seed: maphash.MakeSeed(), bits: make([]atomic.Uint64, keyBits/64)}
}

// Learn learns the keys of all rows. Until it has, every key is looked up.
func (s *Store) Learn(ctx context.Context) error {
	err := sqlite.Each(ctx, s.ground.R, "SELECT key FROM holds WHERE key <> ''", nil, func(scan sqlite.Scanner) error {
		var key string
		err := scan(&key)
		s.keys.add(key)
		return err
	})
	if err == nil {
		s.keys.whole.Store(true)
	}
	return err
}

// places are the two bits of a key.
func (k *keys) places(key string) (a, b uint64) {
	h := maphash.String(k.seed, key)
	return h % keyBits, (h >> 32) % keyBits
}

func (k *keys) add(key string) {
	a, b := k.places(key)
	k.bits[a/64].Or(1 << (a % 64))
	k.bits[b/64].Or(1 << (b % 64))
}

// may is false when no row has the key.
func (k *keys) may(key string) bool {
	a, b := k.places(key)
	return k.bits[a/64].Load()&(1<<(a%64)) != 0 && k.bits[b/64].Load()&(1<<(b%64)) != 0
}
