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

// keyFile is the file in a node's folder with the ID of the key that it has sealed with.
func keyFile(dir string) string { return filepath.Join(dir, "key-id") }

// sameKey makes sure that this node still reads what it has sealed before. With another key it
// would take all records of the store for forged, and write what its own folder has over them: a
// hold that another node has released since would be there again.
func sameKey(dir string, r *sealed.Ring) error {
	text, err := os.ReadFile(keyFile(dir))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if last := strings.TrimSpace(string(text)); last != "" && !r.Accepts(last) {
		return fmt.Errorf("store.key_file: the key %s, with which this node has sealed so far, is not in it: put it below the new one, or remove %s if the store is a new one too", last, keyFile(dir))
	}
	return nil
}

// keepKey writes down with which key this node seals from now on.
func keepKey(dir string, r *sealed.Ring) error {
	text, err := os.ReadFile(keyFile(dir))
	if err == nil && strings.TrimSpace(string(text)) == r.ID() {
		return nil
	}
	tmp := keyFile(dir) + ".new"
	if err := os.WriteFile(tmp, []byte(r.ID()+"\n"), 0o600); err != nil {
		return err
	}
	return os.Rename(tmp, keyFile(dir))
}
