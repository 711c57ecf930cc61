// Package blobs keeps byte strings in Redis under their digests: compressed, in chunks, one hash
// slot each.
package blobs

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"

	"postern/internal/entity"
	"postern/internal/spool"
	"postern/internal/store/redis/chunks/press"
	"postern/internal/store/redis/conn"
	"postern/internal/store/redis/entities/ground"
)

// unsettled is how long chunks live that nobody commits.
const unsettled = time.Hour

// Store implements entity.Blobs. It is safe for concurrent use.
type Store struct {
	g     *ground.Ground
	caps  map[entity.Class]int64
	spool *spool.Spool
	press press.Press
}

// New makes a Store. Caps are of stored bytes; 0 = none.
func New(g *ground.Ground, caps map[entity.Class]int64, sp *spool.Spool) *Store {
	return &Store{g: g, caps: caps, spool: sp}
}

func (s *Store) blobSlot(class entity.Class, sum string) string {
	return "{eb:" + string(class) + ":" + sum + "}"
}
func (s *Store) blobKey(class entity.Class, sum string) string {
	return s.g.Conn.Key(s.blobSlot(class, sum), "m")
}
func (s *Store) blobMarkKey(class entity.Class, sum string) string {
	return s.g.Conn.Key(s.blobSlot(class, sum), "d")
}
func (s *Store) chunkKey(class entity.Class, sum, gen string, n int) string {
	return s.g.Conn.Key(s.blobSlot(class, sum), "c", gen, strconv.Itoa(n))
}
func (s *Store) timesKey(class entity.Class) string { return s.g.Conn.Key("ebx", string(class)) }
func (s *Store) usedKey(class entity.Class) string  { return s.g.Conn.Key("ebz", string(class)) }

func blobName(class entity.Class, sum string) string { return "blob " + string(class) + "/" + sum }

// StoredBlob is what is known of a blob.
type StoredBlob struct {
	Size   int64
	Stored int64
	At     int64 // milliseconds; 0: there is none

	gen    string // "" = nothing is there
	chunks int
	mark   int64
}

func validSum(sum string) bool {
	return len(sum) == 64 && strings.Trim(sum, "0123456789abcdef") == ""
}

// ReadBlobs tells of blobs of a class, in the order asked.
func (s *Store) ReadBlobs(ctx context.Context, class entity.Class, sums []string) ([]StoredBlob, error) {
	out := make([]StoredBlob, len(sums))
	meta, marks := make([]*redis.SliceCmd, len(sums)), make([]*redis.StringCmd, len(sums))
	_, err := s.g.Conn.Each(ctx, conn.Write, func(p redis.Pipeliner) {
		for i, sum := range sums {
			meta[i] = p.HMGet(ctx, s.blobKey(class, sum), "g", "s", "z", "a", "n")
			marks[i] = p.Get(ctx, s.blobMarkKey(class, sum))
		}
	})
	if err != nil {
		return nil, err
	}
	for i, sum := range sums {
		out[i] = readMeta(meta[i])
		out[i].mark = s.g.ReadMark(blobName(class, sum), []byte(marks[i].Val()))
		if out[i].gen != "" && out[i].At == 0 {
			s.g.Say("a blob of the store is none that we wrote: it is taken for missing", "class", class, "sha256", sum)
		}
	}
	return out, nil
}

func readMeta(cmd *redis.SliceCmd) (b StoredBlob) {
	if conn.WrongType(cmd.Err()) {
		return StoredBlob{gen: ground.Foreign}
	}
	fields := make([]string, 5)
	for i, v := range cmd.Val() {
		fields[i], _ = v.(string)
	}
	if b.gen = fields[0]; b.gen == "" {
		return StoredBlob{}
	}
	var n [4]int64
	for i := range n {
		v, err := strconv.ParseInt(fields[i+1], 10, 64)
		if err != nil || v < 0 {
			return StoredBlob{gen: b.gen}
		}
		n[i] = v
	}
	if n[0] > entity.MaxBlob || n[3] > press.MaxChunks || len(b.gen) != 16 {
		return StoredBlob{gen: b.gen}
	}
	return StoredBlob{gen: b.gen, Size: n[0], Stored: n[1], At: max(n[2], 1), chunks: int(n[3])}
}

// PutBlob implements entity.Blobs.
func (s *Store) PutBlob(ctx context.Context, class entity.Class, r io.Reader) (sum string, size int64, err error) {
	return s.PutBlobAt(ctx, class, r, s.g.Now())
}

// PutBlobAt is PutBlob of what another home has kept since a time.
func (s *Store) PutBlobAt(ctx context.Context, class entity.Class, r io.Reader, at time.Time) (sum string, size int64, err error) {
	b, err := Receive(s.spool, class, r)
	if err != nil {
		return "", 0, err
	}
	defer func() { _ = b.Close() }() // its file is ours alone, and cleaned at the next start
	_, err = s.KeepBlob(ctx, class, b.SHA256(), b.Size(), at.UnixMilli(), Open(b))
	if err != nil {
		return "", 0, err
	}
	return b.SHA256(), b.Size(), nil
}

// Receive reads the bytes of a blob in until their digest is known.
func Receive(sp *spool.Spool, class entity.Class, r io.Reader) (*spool.Body, error) {
	if err := class.Validate(); err != nil {
		return nil, err
	}
	w := sp.New()
	defer w.Discard()
	n, err := io.Copy(w, io.LimitReader(r, entity.MaxBlob+1))
	if err != nil {
		return nil, err
	}
	if n > entity.MaxBlob {
		return nil, fmt.Errorf("%w: a blob has at most %d bytes", entity.ErrFull, entity.MaxBlob)
	}
	return w.Finish()
}

// Open opens a spooled body as often as it is needed.
func Open(b *spool.Body) func() (io.ReadCloser, error) {
	return func() (io.ReadCloser, error) { return io.NopCloser(io.NewSectionReader(b, 0, b.Size())), nil }
}

// KeepBlob keeps bytes of this digest, which are opened when they are needed, dated at
// (milliseconds), and returns since when the class has had them. A blob that is there is read
// through, and replaced when damaged.
func (s *Store) KeepBlob(ctx context.Context, class entity.Class, sum string, size, at int64, open func() (io.ReadCloser, error)) (since int64, err error) {
	for range ground.Tries {
		found, err := s.ReadBlobs(ctx, class, []string{sum})
		if err != nil {
			return 0, err
		}
		old := found[0]
		if old.At != 0 {
			if err := s.whole(ctx, class, sum, old); err == nil {
				return old.At, s.list(ctx, class, sum, old.At)
			} else if !errors.Is(err, press.ErrDigest) {
				return 0, err
			}
			s.g.Log.Warn("a blob is damaged: it is written again", "class", class, "sha256", sum)
		} else if err := s.room(ctx, class, 0); err != nil {
			return 0, err
		}
		again, err := s.upload(ctx, class, sum, old, StoredBlob{Size: size, At: max(at, old.mark+1, 1)}, open)
		if err != nil || !again {
			return max(at, old.mark+1, 1), err
		}
	}
	return 0, fmt.Errorf("%w: blob %s changes all the time", entity.ErrConflict, sum)
}

// whole reads a blob through.
func (s *Store) whole(ctx context.Context, class entity.Class, sum string, b StoredBlob) error {
	r, err := s.open(ctx, class, sum, b)
	if err != nil {
		return err
	}
	_, err = io.Copy(io.Discard, r)
	return errors.Join(err, r.Close())
}

// upload sends the chunks of a new blob and commits them; again says that somebody was quicker.
func (s *Store) upload(ctx context.Context, class entity.Class, sum string, old, b StoredBlob, open func() (io.ReadCloser, error)) (again bool, err error) {
	var gen [8]byte
	if _, err := rand.Read(gen[:]); err != nil {
		return false, err
	}
	b.gen = hex.EncodeToString(gen[:])
	queue := func(p redis.Pipeliner, first int, chunks [][]byte) {
		for i, c := range chunks {
			p.Set(ctx, s.chunkKey(class, sum, b.gen, first+i), c, unsettled)
		}
	}
	r, err := open()
	if err != nil {
		return false, err
	}
	packed, err := s.press.Pack(r, sum, func(first int, chunks [][]byte) error {
		_, err := s.g.Conn.Pipe(ctx, conn.Write, func(p redis.Pipeliner) { queue(p, first, chunks) })
		return err
	})
	if err := errors.Join(err, r.Close()); err != nil {
		return false, err // chunks that were sent go away by themselves
	}
	b.chunks, b.Stored = packed.Chunks, packed.Stored
	if old.At == 0 {
		if err := s.room(ctx, class, b.Stored); err != nil {
			s.drop(ctx, class, sum, b)
			return false, err
		}
	}
	var done *redis.Cmd
	if _, err := s.g.Conn.Each(ctx, conn.Write, func(p redis.Pipeliner) {
		p.ZAdd(ctx, s.timesKey(class), redis.Z{Score: float64(b.At), Member: sum})
		queue(p, b.chunks-len(packed.Rest), packed.Rest)
		keys := append([]string{s.blobKey(class, sum)}, s.chunkKeys(class, sum, b)...)
		done = commitBlob.Run(ctx, p, keys, old.gen, b.gen, b.Size, b.Stored, b.At, b.chunks)
	}); err != nil {
		return false, err
	}
	if err := done.Err(); conn.Refused(err) != "" {
		s.drop(ctx, class, sum, b)
		return true, nil
	} else if err != nil {
		return false, err
	}
	s.weigh(ctx, class, sum, old, b)
	return false, nil
}

// weigh counts a new blob, and drops what it replaced.
func (s *Store) weigh(ctx context.Context, class entity.Class, sum string, old, b StoredBlob) {
	wide, more := context.WithoutCancel(ctx), int64(1)
	if old.At != 0 {
		more = 0
		s.drop(wide, class, sum, old)
	}
	if _, err := s.g.Conn.Each(wide, conn.Write, func(p redis.Pipeliner) {
		p.ZAdd(wide, s.timesKey(class), redis.Z{Score: float64(b.At), Member: sum})
		p.HIncrBy(wide, s.usedKey(class), "n", more)
		p.HIncrBy(wide, s.usedKey(class), "b", b.Stored-old.Stored)
	}); err != nil {
		s.g.Log.Warn("a blob was written and is not counted yet", "class", class, "sha256", sum, "error", err)
	}
}

func (s *Store) chunkKeys(class entity.Class, sum string, b StoredBlob) []string {
	keys := make([]string, b.chunks)
	for i := range keys {
		keys[i] = s.chunkKey(class, sum, b.gen, i)
	}
	return keys
}

// drop takes chunks away. What it cannot reach goes away by itself, or with Reindex.
func (s *Store) drop(ctx context.Context, class entity.Class, sum string, b StoredBlob) {
	wide := context.WithoutCancel(ctx)
	if b.chunks == 0 {
		return
	}
	_, _ = s.g.Conn.Each(wide, conn.Background, func(p redis.Pipeliner) { p.Unlink(wide, s.chunkKeys(class, sum, b)...) })
}

// room returns ErrFull when a class has none for so many bytes, or for any.
func (s *Store) room(ctx context.Context, class entity.Class, bytes int64) error {
	limit := s.caps[class]
	if limit <= 0 {
		return nil
	}
	used, _, err := s.BlobBytes(ctx, class)
	if err == nil && (used+bytes > limit || used >= limit) {
		err = fmt.Errorf("%w: blobs of class %s take %d of %d bytes", entity.ErrFull, class, used, limit)
	}
	return err
}

// Blob implements entity.Blobs.
func (s *Store) Blob(ctx context.Context, class entity.Class, sum string) (io.ReadCloser, error) {
	if err := class.Validate(); err != nil {
		return nil, err
	}
	var found []StoredBlob
	var err error
	if validSum(sum) {
		if found, err = s.ReadBlobs(ctx, class, []string{sum}); err != nil {
			return nil, err
		}
	}
	if len(found) == 0 || found[0].At == 0 {
		return nil, fmt.Errorf("%w: blob %.64q of class %s", entity.ErrNotFound, sum, class)
	}
	return s.open(ctx, class, sum, found[0])
}

func (s *Store) open(ctx context.Context, class entity.Class, sum string, b StoredBlob) (io.ReadCloser, error) {
	return s.press.Open(press.Wanted{SHA: sum, Size: b.Size, Chunks: b.chunks, Fetch: func(first, count int) ([][]byte, error) {
		gets := make([]*redis.StringCmd, count)
		if _, err := s.g.Conn.Each(ctx, conn.Write, func(p redis.Pipeliner) {
			for i := range gets {
				gets[i] = p.Get(ctx, s.chunkKey(class, sum, b.gen, first+i))
			}
		}); err != nil {
			return nil, err
		}
		out := make([][]byte, count)
		for i, g := range gets {
			out[i] = []byte(g.Val())
		}
		return out, nil
	}})
}

// RemoveBlob implements entity.Blobs.
func (s *Store) RemoveBlob(ctx context.Context, class entity.Class, sum string) error {
	_, err := s.TakeBlob(ctx, class, sum)
	return err
}

// TakeBlob is RemoveBlob that tells since when the class had it; 0 = it had not.
func (s *Store) TakeBlob(ctx context.Context, class entity.Class, sum string) (at int64, err error) {
	if err := class.Validate(); err != nil || !validSum(sum) {
		return 0, err
	}
	for range ground.Tries {
		found, err := s.ReadBlobs(ctx, class, []string{sum})
		if err != nil || found[0].gen == "" {
			return 0, err
		}
		if again, err := s.endBlob(ctx, class, sum, found[0]); err != nil || !again {
			return found[0].At, err
		}
	}
	return 0, fmt.Errorf("%w: blob %s changes all the time", entity.ErrConflict, sum)
}

func (s *Store) endBlob(ctx context.Context, class entity.Class, sum string, b StoredBlob) (again bool, err error) {
	keys := append([]string{s.blobKey(class, sum), s.blobMarkKey(class, sum)}, s.chunkKeys(class, sum, b)...)
	var done *redis.Cmd
	if _, err := s.g.Conn.Each(ctx, conn.Write, func(p redis.Pipeliner) {
		done = removeBlob.Run(ctx, p, keys, b.gen, s.g.Mark(blobName(class, sum), b.At), ground.Marked.Milliseconds())
	}); err != nil {
		return false, err
	}
	if err := done.Err(); conn.Refused(err) != "" {
		return true, nil
	} else if err != nil || b.At == 0 {
		return false, err
	}
	wide := context.WithoutCancel(ctx)
	if _, err := s.g.Conn.Each(wide, conn.Write, func(p redis.Pipeliner) {
		p.HIncrBy(wide, s.usedKey(class), "n", -1)
		p.HIncrBy(wide, s.usedKey(class), "b", -b.Stored)
	}); err != nil {
		s.g.Log.Warn("a blob was removed and is still counted", "class", class, "sha256", sum, "error", err)
	}
	return false, s.unlist(wide, class, []string{sum})
}

// BlobBytes implements entity.Blobs.
func (s *Store) BlobBytes(ctx context.Context, class entity.Class) (used, limit int64, err error) {
	if err := class.Validate(); err != nil {
		return 0, 0, err
	}
	_, used, err = s.g.Tally(ctx, s.usedKey(class))
	return used, s.caps[class], err
}
