package ground

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

	"postern/internal/store/redis/chunks/press"
	"postern/internal/store/redis/conn"
	"postern/internal/store/redis/holds/record"
	"postern/quarantine"
)

// Families of bodies: evidence copies count by themselves.
const (
	HeldBodies     = "b"
	EvidenceBodies = "e"
)

// FamilyOf is the family of a hold's body.
func FamilyOf(h quarantine.Hold) string {
	if h.Class == quarantine.Evidence {
		return EvidenceBodies
	}
	return HeldBodies
}

// ShortSHA is what names a body within its message.
const ShortSHA = 16

// chunkLife is how long chunks wait for the hold that they are for.
const chunkLife = time.Hour

// Reference names a body and the chunks it lies in. Bodies of one message that are the same
// are one; the generation tells apart what two writers sent at the same time.
type Reference struct {
	Family string
	sha    string // the first digits
	Gen    string
	Chunks int
	Stored int64
}

// NewReference names a body that is about to be stored.
func NewReference(h quarantine.Hold) Reference {
	var gen [4]byte
	rand.Read(gen[:])
	return Reference{Family: FamilyOf(h), sha: h.SHA256[:ShortSHA], Gen: hex.EncodeToString(gen[:])}
}

func (r Reference) String() string {
	return fmt.Sprintf("%s:%s:%s:%d:%d", r.Family, r.sha, r.Gen, r.Chunks, r.Stored)
}

// ParseReference reads a reference of this hold; ok is false for any other.
func ParseReference(text string, h quarantine.Hold) (r Reference, ok bool) {
	f := strings.Split(text, ":")
	if len(f) != 5 || !ValidSHA(h.SHA256) || f[0] != FamilyOf(h) || f[1] != h.SHA256[:ShortSHA] {
		return r, false
	}
	return SharedReference(h, f[2], f[3], f[4])
}

// SharedReference is the reference to a body that is known by these fields.
func SharedReference(h quarantine.Hold, gen, chunks, stored string) (r Reference, ok bool) {
	n, err1 := strconv.Atoi(chunks)
	size, err2 := strconv.ParseInt(stored, 10, 64)
	_, err3 := hex.DecodeString(gen)
	if errors.Join(err1, err2, err3) != nil || len(gen) != 8 || n < 0 || n > press.MaxChunks || size < 0 {
		return r, false
	}
	return Reference{FamilyOf(h), h.SHA256[:ShortSHA], gen, n, size}, true
}

// ValidSHA reports whether sha is 64 lower-case hex digits: fit to stand in a key.
func ValidSHA(sha string) bool {
	return len(sha) == 64 && strings.Trim(sha, "0123456789abcdef") == ""
}

// BodyKey is the key of what is known of a body.
func (g *Ground) BodyKey(message string, r Reference) string {
	return g.Conn.Key("{"+message+"}", r.Family, r.sha)
}

// ChunkKey is the key of a chunk.
func (g *Ground) ChunkKey(message string, r Reference, n int) string {
	return g.Conn.Key("{"+message+"}", r.Family, r.sha, r.Gen, strconv.Itoa(n))
}

// BodyKeys are the key of a body and those of its chunks.
func (g *Ground) BodyKeys(message string, r Reference) []string {
	out := make([]string, 0, 1+r.Chunks)
	out = append(out, g.BodyKey(message, r))
	for n := range r.Chunks {
		out = append(out, g.ChunkKey(message, r, n))
	}
	return out
}

// QueueChunks sends chunks that wait for their hold.
func (g *Ground) QueueChunks(ctx context.Context, p redis.Pipeliner, message string, r Reference, first int, chunks [][]byte) {
	for i, c := range chunks {
		p.Set(ctx, g.ChunkKey(message, r, first+i), c, chunkLife)
	}
}

// Upload is a body on its way into the store.
type Upload struct {
	Ref    Reference
	Rest   [][]byte // chunks that go with the record
	Shared bool     // it is there already
	Whole  bool     // Rest is all of it
}

// Receive reads the body of a hold and verifies it. Of a large one all but the last chunks are
// sent while it is read; of one that is there already, nothing.
func (g *Ground) Receive(ctx context.Context, id record.ID, h quarantine.Hold, there *Reference, r io.Reader) (Upload, error) {
	up := Upload{Ref: NewReference(h), Whole: true, Shared: there != nil}
	sent := 0
	packed, err := g.press.Pack(r, h.SHA256, func(first int, chunks [][]byte) error {
		up.Whole = false
		if up.Shared {
			return nil
		}
		sent = first + len(chunks)
		err := g.Pipe(ctx, conn.Write, func(p redis.Pipeliner) { g.QueueChunks(ctx, p, id.Message, up.Ref, first, chunks) })
		return err
	})
	up.Ref.Chunks, up.Ref.Stored, up.Rest = packed.Chunks, packed.Stored, packed.Rest
	if err != nil {
		g.Discard(ctx, id, up.Ref, sent)
		if errors.Is(err, press.ErrDigest) {
			err = fmt.Errorf("%w: %w", quarantine.ErrCorrupt, err)
		}
	}
	return up, err
}

// Discard takes away chunks that are for no hold. What cannot be taken away expires.
func (g *Ground) Discard(ctx context.Context, id record.ID, r Reference, chunks int) {
	if chunks == 0 {
		return
	}
	ctx = context.WithoutCancel(ctx)
	if err := g.Pipe(ctx, conn.Write, func(p redis.Pipeliner) {
		for n := range chunks {
			p.Unlink(ctx, g.ChunkKey(id.Message, r, n))
		}
	}); err != nil {
		g.Log.Debug("chunks of no hold are left to expire", "hold", id.String(), "error", err)
	}
}

// Body implements quarantine.Store. The reader asks the store as it is read: ctx must live as
// long as it does.
func (g *Ground) Body(ctx context.Context, id string) (io.ReadCloser, error) {
	r, err := g.Row(ctx, id)
	if err != nil {
		return nil, err
	}
	if r.Hold.State.Ended() {
		return nil, fmt.Errorf("%w: %s has no body any more", quarantine.ErrNotFound, id)
	}
	ref, ok := ParseReference(r.Body, r.Hold)
	if !ok {
		g.Say("a hold has lost its body", "hold", id)
		return nil, fmt.Errorf("%w: %s has no body", quarantine.ErrCorrupt, id)
	}
	open, err := g.press.Open(press.Wanted{SHA: r.Hold.SHA256, Size: r.Hold.Size, Chunks: ref.Chunks, Fetch: func(first, count int) ([][]byte, error) {
		return g.fetch(ctx, r.ID.Message, ref, first, count)
	}})
	if err != nil {
		return nil, err
	}
	return &verified{open}, nil
}

// fetch reads chunks; one that is missing is empty.
func (g *Ground) fetch(ctx context.Context, message string, r Reference, first, count int) ([][]byte, error) {
	cmds := make([]*redis.StringCmd, count)
	err := g.Pipe(ctx, conn.Write, func(p redis.Pipeliner) {
		for i := range cmds {
			cmds[i] = p.Get(ctx, g.ChunkKey(message, r, first+i))
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
	if errors.Is(err, press.ErrDigest) {
		err = fmt.Errorf("%w: %w", quarantine.ErrCorrupt, err)
	}
	return n, err
}
