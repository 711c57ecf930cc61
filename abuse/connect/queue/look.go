package queue

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path"
	"path/filepath"
	"strings"

	"postern/abuse"
)

// entry is a message of the queue.
type entry struct {
	ID     string `json:"queue_id"`
	At     int64  `json:"arrival_time"` // Unix seconds; IDs are used again
	Queue  string `json:"queue_name"`
	Sender string `json:"sender"`
	Login  string `json:"login"`
}

// maxID bounds a queue ID.
const maxID = 40

// valid is a queue ID that may stand in a command.
func valid(id string) bool {
	return id != "" && len(id) <= maxID && !strings.ContainsFunc(id, func(r rune) bool {
		return (r < '0' || r > '9') && (r < 'A' || r > 'Z') && (r < 'a' || r > 'z')
	})
}

// look lists the queue with the logins. What is held by this connector is read first.
func (q *Queue) look(ctx context.Context) ([]entry, error) {
	if err := q.load(); err != nil {
		return nil, err
	}
	out, err := q.run(ctx, "", false, "postqueue", "-c", q.Config, "-j")
	if err != nil {
		return nil, err
	}
	all, err := parse(out)
	if err != nil {
		return nil, err
	}
	known := make(map[string]entry, len(all))
	var unread []string
	for _, e := range all {
		if was, ok := q.logins[e.ID]; ok && was.At == e.At {
			known[e.ID] = was
		} else {
			unread = append(unread, e.ID)
		}
	}
	read := map[string]string{}
	for len(unread) > 0 {
		n := min(len(unread), perCall)
		if err := q.envelopes(ctx, unread[:n], read); err != nil {
			return nil, err
		}
		unread = unread[n:]
	}
	for i := range all {
		e := &all[i]
		if was, ok := known[e.ID]; ok {
			e.Login = was.Login
			continue
		}
		login, ok := read[e.ID]
		if !ok {
			continue // it left the queue meanwhile
		}
		if login == "" && q.Senders {
			login = e.Sender
		}
		e.Login = abuse.Name(login)
		known[e.ID] = *e
	}
	q.logins = known
	return all, nil
}

// parse reads what postqueue -j says. A message that is listed twice, since it moved meanwhile,
// counts as it was seen last.
func parse(out []byte) (all []entry, err error) {
	seen := map[string]int{}
	s := bufio.NewScanner(bytes.NewReader(out))
	s.Buffer(nil, 64<<20) // a message may have very many recipients
	for s.Scan() {
		if len(bytes.TrimSpace(s.Bytes())) == 0 {
			continue
		}
		var e entry
		if err := json.Unmarshal(s.Bytes(), &e); err != nil {
			return nil, fmt.Errorf("postqueue -j: %w", err)
		}
		if !valid(e.ID) {
			return nil, fmt.Errorf("postqueue -j: %.40q is no queue ID", e.ID)
		}
		e.Login = ""
		if i, ok := seen[e.ID]; ok {
			all[i] = e
			continue
		}
		if len(all) >= MaxQueue {
			return nil, ErrTooLong
		}
		seen[e.ID] = len(all)
		all = append(all, e)
	}
	return all, s.Err()
}

// envelopes reads the logins of messages into read; a message that is gone is left out. One of
// them ends the call for all: then each half is read by itself.
func (q *Queue) envelopes(ctx context.Context, ids []string, read map[string]string) error {
	out, err := q.run(ctx, "", true, append([]string{"postcat", "-c", q.Config, "-e", "-q"}, ids...)...)
	switch {
	case err == nil:
		logins(out, read)
		return nil
	case len(ids) == 1 && strings.Contains(err.Error(), "No such file"):
		return nil
	case len(ids) == 1 || ctx.Err() != nil:
		return err
	}
	half := len(ids) / 2
	return errors.Join(q.envelopes(ctx, ids[:half], read), q.envelopes(ctx, ids[half:], read))
}

// logins reads what postcat -e says of some messages.
func logins(out []byte, read map[string]string) {
	id := ""
	for line := range bytes.Lines(out) {
		text := strings.TrimRight(string(line), "\r\n")
		if rest, ok := strings.CutPrefix(text, "*** ENVELOPE RECORDS "); ok {
			id = path.Base(strings.TrimSuffix(rest, " ***"))
			read[id] = ""
			continue
		}
		name, value, _ := strings.Cut(text, ": ")
		if login, ok := strings.CutPrefix(value, "sasl_username="); ok && name == "named_attribute" && id != "" {
			read[id] = login
		}
	}
}

// load reads what this connector holds, once.
func (q *Queue) load() error {
	if q.ours != nil {
		return nil
	}
	b, err := os.ReadFile(q.Path)
	if errors.Is(err, os.ErrNotExist) {
		q.ours = map[string]entry{}
		return nil
	}
	if err != nil {
		return err
	}
	ours := map[string]entry{}
	if err := json.Unmarshal(b, &ours); err != nil {
		return fmt.Errorf("%s: %w", q.Path, err)
	}
	q.ours = ours
	return nil
}

// keep writes what this connector holds, whole and synced, where it changed.
func (q *Queue) keep(next map[string]entry) error {
	same := len(next) == len(q.ours)
	for id, e := range next {
		same = same && q.ours[id].At == e.At
	}
	if same {
		return nil
	}
	if err := write(q.Path, next); err != nil {
		return err
	}
	q.ours = next
	return nil
}

// write writes a file whole and synced, or not at all.
func write(path string, v any) (err error) {
	b, err := json.Marshal(v)
	if err != nil {
		return err
	}
	dir := filepath.Dir(path)
	tmp, err := os.CreateTemp(dir, ".held-*")
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			_ = os.Remove(tmp.Name())
		}
	}()
	_, err = tmp.Write(b)
	if err = errors.Join(err, tmp.Sync(), tmp.Close()); err != nil {
		return err
	}
	if err = os.Rename(tmp.Name(), path); err != nil {
		return err
	}
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
