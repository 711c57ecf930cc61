package page

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"io/fs"
	"mime"
	"net/http"
	"path"
	"strings"
)

//go:embed assets
var files embed.FS

// assets are the files that pages load, under names that change when they do.
type assets struct {
	stamp string
	by    map[string]asset
}

type asset struct {
	kind        string
	plain, gzip []byte
}

func newAssets() (*assets, error) {
	a := &assets{by: map[string]asset{}}
	sum := sha256.New()
	err := fs.WalkDir(files, "assets", func(at string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		raw, err := files.ReadFile(at)
		if err != nil {
			return err
		}
		sum.Write(raw)
		var packed bytes.Buffer
		z, err := gzip.NewWriterLevel(&packed, gzip.BestCompression)
		if err != nil {
			return err
		}
		if _, err := z.Write(raw); err != nil {
			return err
		}
		if err := z.Close(); err != nil {
			return err
		}
		a.by[strings.TrimPrefix(at, "assets/")] = asset{kind: mime.TypeByExtension(path.Ext(at)), plain: raw, gzip: packed.Bytes()}
		return nil
	})
	a.stamp = hex.EncodeToString(sum.Sum(nil))[:12]
	return a, err
}

// path is where an asset is loaded from.
func (a *assets) path(name string) string { return "/assets/" + a.stamp + "/" + name }

// Assets serves what pages load, to anybody.
func (k *Kit) Assets() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		stamp, name, _ := strings.Cut(strings.TrimPrefix(r.URL.Path, "/assets/"), "/")
		f, ok := k.assets.by[name]
		if !ok || stamp != k.assets.stamp {
			http.NotFound(w, r)
			return
		}
		h := w.Header()
		h.Set("Content-Type", f.kind)
		h.Set("Cache-Control", "public, max-age=31536000, immutable")
		h.Set("Vary", "Accept-Encoding")
		body := f.plain
		if strings.Contains(r.Header.Get("Accept-Encoding"), "gzip") {
			h.Set("Content-Encoding", "gzip")
			body = f.gzip
		}
		_, _ = w.Write(body) // the reader has gone: nobody to tell
	})
}
