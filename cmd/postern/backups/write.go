package backups

import (
	"encoding/json"
	"errors"
	"io"
	"os"
)

// decodeBytes reads bytes as Section.Keep writes them.
func decodeBytes(r io.Reader) (out []byte, err error) {
	b, err := io.ReadAll(io.LimitReader(r, 2*maxFile))
	if err == nil {
		err = json.Unmarshal(b, &out)
	}
	return out, err
}

func write(path string, b []byte) error {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(b)
	return errors.Join(err, f.Sync(), f.Close())
}
