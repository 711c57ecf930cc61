package redis

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"postern/internal/store/redis/sealed"
)

// sameKey makes sure that this node still reads what it has sealed before. With another key it
// would take all records of the store for forged, and write what its own folder has over them: a
// hold that another node has released since would be there again.
func sameKey(dir string, r *sealed.Ring) error {
	name := filepath.Join(dir, "key-id")
	text, err := os.ReadFile(name)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	last := strings.TrimSpace(string(text))
	switch {
	case last == r.ID():
		return nil
	case last != "" && !r.Accepts(last):
		return fmt.Errorf("store.key_file: the key %s, with which this node has sealed so far, is not in it: put it below the new one, or remove %s if the store is a new one too", last, name)
	}
	tmp := name + ".new"
	if err := os.WriteFile(tmp, []byte(r.ID()+"\n"), 0o600); err != nil {
		return err
	}
	return os.Rename(tmp, name)
}
