package holds

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

	"postern/internal/store/redis/conn"
	"postern/internal/store/redis/holds/body"
	"postern/internal/store/redis/holds/record"
	"postern/quarantine"
)

// Families of bodies: evidence copies count by themselves.
const (
	heldBodies     = "b"
	evidenceBodies = "e"
)

func familyOf(h quarantine.Hold) string {
	if h.Class == quarantine.Evidence {
		return evidenceBodies
	}
	return heldBodies
}

// sha16 is what names a body within its message.
const sha16 = 16

// chunkLife is how long chunks wait for the hold that they are for.
const chunkLife = time.Hour

// reference names a body and the chunks it lies in. Bodies of one message that are the same
// are one; the generation tells apart what two writers sent at the same time.
type reference struct {
	family string
	sha    string // the first digits
	gen    string
	chunks int
	stored int64
}

func newReference(h quarantine.Hold) reference {
	var gen [4]byte
	rand.Read(gen[:])
	return reference{family: familyOf(h), sha: h.SHA256[:sha16], gen: hex.EncodeToString(gen[:])}
}

func (r reference) String() string {
	return fmt.Sprintf("%s:%s:%s:%d:%d", r.family, r.sha, r.gen, r.chunks, r.stored)
}

// parseReference reads a reference of this hold; ok is false for any other.
func parseReference(text string, h quarantine.Hold) (r reference, ok bool) {
	f := strings.Split(text, ":")
	if len(f) != 5 || !validSHA(h.SHA256) || f[0] != familyOf(h) || f[1] != h.SHA256[:sha16] {
		return r, false
	}
	return sharedReference(h, f[2], f[3], f[4])
}

// sharedReference is the reference to a body that is known by these fields.
func sharedReference(h quarantine.Hold, gen, chunks, stored string) (r reference, ok bool) {
	n, err1 := strconv.Atoi(chunks)
	size, err2 := strconv.ParseInt(stored, 10, 64)
	_, err3 := hex.DecodeString(gen)
	if errors.Join(err1, err2, err3) != nil || len(gen) != 8 || n < 0 || n > body.MaxChunks || size < 0 {
		return r, false
	}
	return reference{familyOf(h), h.SHA256[:sha16], gen, n, size}, true
}

// validSHA reports whether sha is 64 lower-case hex digits: fit to stand in a key.
func validSHA(sha string) bool {
	return len(sha) == 64 && strings.Trim(sha, "0123456789abcdef") == ""
}

func (s *Store) bodyKey(message string, r reference) string {
	return s.conn.Key("{"+message+"}", r.family, r.sha)
}

func (s *Store) chunkKey(message string, r reference, n int) string {
	return s.conn.Key("{"+message+"}", r.family, r.sha, r.gen, strconv.Itoa(n))
}

// bodyKeys are the key of a body and those of its chunks.
func (s *Store) bodyKeys(message string, r reference) []string {
	out := make([]string, 0, 1+r.chunks)
	out = append(out, s.bodyKey(message, r))
	for n := range r.chunks {
		out = append(out, s.chunkKey(message, r, n))
	}
	return out
}

// queueChunks sends chunks that wait for their hold.
func (s *Store) queueChunks(ctx context.Context, p redis.Pipeliner, message string, r reference, first int, chunks [][]byte) {
	for i, c := range chunks {
		p.Set(ctx, s.chunkKey(message, r, first+i), c, chunkLife)
	}
}

// upload is a body on its way into the store.
type upload struct {
	ref    reference
	rest   [][]byte // chunks that go with the record
	shared bool     // it is there already
	whole  bool     // rest is all of it
}

// receive reads the body of a hold and verifies it. Of a large one all but the last chunks are
// sent while it is read; of one that is there already, nothing.
func (s *Store) receive(ctx context.Context, id record.ID, h quarantine.Hold, there *reference, r io.Reader) (upload, error) {
	up := upload{ref: newReference(h), whole: true, shared: there != nil}
	sent := 0
	packed, err := s.press.Pack(r, h.SHA256, func(first int, chunks [][]byte) error {
		up.whole = false
		if up.shared {
			return nil
		}
		sent = first + len(chunks)
		err := s.pipe(ctx, conn.Write, func(p redis.Pipeliner) { s.queueChunks(ctx, p, id.Message, up.ref, first, chunks) })
		return err
	})
	up.ref.chunks, up.ref.stored, up.rest = packed.Chunks, packed.Stored, packed.Rest
	if err != nil {
		s.discard(ctx, id, up.ref, sent)
		if errors.Is(err, body.ErrDigest) {
			err = fmt.Errorf("%w: %w", quarantine.ErrCorrupt, err)
		}
	}
	return up, err
}

// discard takes away chunks that are for no hold. What cannot be taken away expires.
func (s *Store) discard(ctx context.Context, id record.ID, r reference, chunks int) {
	if chunks == 0 {
		return
	}
	ctx = context.WithoutCancel(ctx)
	if err := s.pipe(ctx, conn.Write, func(p redis.Pipeliner) {
		for n := range chunks {
			p.Unlink(ctx, s.chunkKey(id.Message, r, n))
		}
	}); err != nil {
		s.log.Debug("chunks of no hold are left to expire", "hold", id.String(), "error", err)
	}
}

// Body implements quarantine.Store. The reader asks the store as it is read: ctx must live as
// long as it does.
func (s *Store) Body(ctx context.Context, id string) (io.ReadCloser, error) {
	r, err := s.row(ctx, id)
	if err != nil {
		return nil, err
	}
	if r.hold.State.Ended() {
		return nil, fmt.Errorf("%w: %s has no body any more", quarantine.ErrNotFound, id)
	}
	ref, ok := parseReference(r.body, r.hold)
	if !ok {
		s.say("a hold has lost its body", "hold", id)
		return nil, fmt.Errorf("%w: %s has no body", quarantine.ErrCorrupt, id)
	}
	open, err := s.press.Open(body.Wanted{SHA: r.hold.SHA256, Size: r.hold.Size, Chunks: ref.chunks, Fetch: func(first, count int) ([][]byte, error) {
		return s.fetch(ctx, r.id.Message, ref, first, count)
	}})
	if err != nil {
		return nil, err
	}
	return &verified{open}, nil
}

// fetch reads chunks; one that is missing is empty.
func (s *Store) fetch(ctx context.Context, message string, r reference, first, count int) ([][]byte, error) {
	cmds := make([]*redis.StringCmd, count)
	err := s.pipe(ctx, conn.Write, func(p redis.Pipeliner) {
		for i := range cmds {
			cmds[i] = p.Get(ctx, s.chunkKey(message, r, first+i))
		}
	})
	if err != nil {
		return nil, err
	}
	out := make([][]byte, count)
	for i, cmd := range cmds {
		if out[i], err = cmd.Bytes(); err != nil {
			out[i] = nil
		}
	}
	return out, nil
}

// verified says ErrCorrupt where a body is not what was stored.
type verified struct{ io.ReadCloser }

func (v *verified) Read(p []byte) (int, error) {
	n, err := v.ReadCloser.Read(p)
	if errors.Is(err, body.ErrDigest) {
		err = fmt.Errorf("%w: %w", quarantine.ErrCorrupt, err)
	}
	return n, err
}
