package token

import (
	"bufio"
	"bytes"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"
)

// KeepRetired is how long a key that seals no more still opens: as long as the send log.
const KeepRetired = 180 * 24 * time.Hour

// fileMax bounds a key file, in octets.
const fileMax = 64 << 10

const fileHead = "# Keys of the trace tokens, the same on every node: ID, from when it seals, the key in hex.\n" +
	"# The last one whose time has come seals, all open. \"postern trace-key rotate\" adds one.\n"

// ErrKept says that a ring is full of keys that are all still needed.
var ErrKept = errors.New("there are 255 keys, and each may still have to open a token")

// Open reads the key file.
func Open(path string, now func() time.Time) (*Ring, error) {
	r := &Ring{now: now}
	return r, r.Reload(path)
}

// Reload reads the key file anew. After an error the ring is as it was.
func (r *Ring) Reload(path string) error {
	keys, err := read(path)
	if err != nil {
		return err
	}
	if err := r.set(keys); err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	return nil
}

// Ensure makes the key file with a first key where there is none.
func Ensure(path string, now time.Time) error {
	_, err := os.Stat(path)
	if !errors.Is(err, os.ErrNotExist) {
		return err
	}
	return write(path, []key{fresh(1, now)})
}

// Rotate adds a key that seals from a time on, and drops those that sealed nothing for
// KeepRetired. With several nodes that time must leave enough of it to copy the file to all of
// them.
func Rotate(path string, now, from time.Time) (Key, error) {
	keys, err := read(path)
	if err != nil {
		return Key{}, err
	}
	last := keys[len(keys)-1]
	if from.Before(last.from) {
		return Key{}, fmt.Errorf("%s: key %d begins at %s; the next one cannot begin before", path, last.id, last.from.Format(time.RFC3339))
	}
	for len(keys) > 1 && now.Sub(keys[1].from) >= KeepRetired { // it sealed until the next one began
		keys = keys[1:]
	}
	id := last.id
	for range 256 {
		id++
		if id != 0 && !slices.ContainsFunc(keys, func(k key) bool { return k.id == id }) {
			k := fresh(id, from)
			return k.public(), write(path, append(keys, k))
		}
	}
	return Key{}, fmt.Errorf("%s: %w", path, ErrKept)
}

func fresh(id byte, from time.Time) key {
	k := key{id: id, from: from.UTC().Truncate(time.Second)}
	_, _ = rand.Read(k.secret[:]) // never fails
	return k
}

func read(path string) ([]key, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, fileMax+1))
	if err != nil {
		return nil, err
	}
	if len(text) > fileMax {
		return nil, fmt.Errorf("%s: larger than %d bytes", path, fileMax)
	}
	var keys []key
	lines := bufio.NewScanner(bytes.NewReader(text))
	for n := 1; lines.Scan(); n++ {
		line := strings.TrimSpace(lines.Text())
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		k, err := parseKey(strings.Fields(line))
		if err != nil {
			return nil, fmt.Errorf("%s:%d: %w", path, n, err)
		}
		keys = append(keys, k)
	}
	if err := lines.Err(); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	if len(keys) == 0 {
		return nil, fmt.Errorf("%s: there is no key in it", path)
	}
	return keys, nil
}

// parseKey reads a line; it never shows the key itself.
func parseKey(words []string) (key, error) {
	var k key
	if len(words) != 3 {
		return k, fmt.Errorf("%d words; want an ID, a time and a key in hex", len(words))
	}
	id, err := strconv.ParseUint(words[0], 10, 8)
	if err != nil || id == 0 {
		return k, fmt.Errorf("ID %.20q; want a number from 1 to 255", words[0])
	}
	if k.from, err = time.Parse(time.RFC3339, words[1]); err != nil {
		return k, fmt.Errorf("time %.40q; want one like 2026-11-22T12:00:00Z", words[1])
	}
	secret, err := hex.DecodeString(words[2])
	if err != nil || len(secret) != len(k.secret) {
		return k, fmt.Errorf("key %d: want %d octets in hex", id, len(k.secret))
	}
	k.id, k.secret = byte(id), [len(k.secret)]byte(secret)
	return k, nil
}

// write replaces the file; after a crash it is the old one or the new one.
func write(path string, keys []key) error {
	var b bytes.Buffer
	b.WriteString(fileHead)
	for _, k := range keys {
		fmt.Fprintf(&b, "%d %s %s\n", k.id, k.from.Format(time.RFC3339), hex.EncodeToString(k.secret[:]))
	}
	f, err := os.CreateTemp(filepath.Dir(path), filepath.Base(path)+".new")
	if err != nil {
		return err
	}
	_, err = f.Write(b.Bytes())
	if err = errors.Join(err, f.Chmod(0o600), f.Sync(), f.Close()); err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		return errors.Join(err, os.Remove(f.Name()))
	}
	dir, err := os.Open(filepath.Dir(path))
	if err != nil {
		return err
	}
	return errors.Join(dir.Sync(), dir.Close())
}
