package secret_test

import (
	"bytes"
	"strings"
	"testing"

	"filippo.io/age"

	"postern/internal/backup/secret"
)

func ok(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func TestSecrets(t *testing.T) {
	id, err := age.GenerateX25519Identity()
	ok(t, err)
	other, err := age.GenerateX25519Identity()
	ok(t, err)
	to, err := secret.Recipients([]string{id.Recipient().String()})
	ok(t, err)
	sealed, err := secret.Encrypt([]byte("a key"), to)
	ok(t, err)
	if bytes.Contains(sealed, []byte("a key")) {
		t.Error("in clear")
	}
	ids, err := secret.Identities(strings.NewReader("# made today\n" + id.String() + "\n"))
	ok(t, err)
	if got, err := secret.Decrypt(bytes.NewReader(sealed), 5, ids); string(got) != "a key" || err != nil {
		t.Errorf("%q, %v", got, err)
	}
	if _, err := secret.Decrypt(bytes.NewReader(sealed), 4, ids); err == nil {
		t.Error("the bound does not hold")
	}
	if _, err := secret.Decrypt(bytes.NewReader(sealed), 99, []age.Identity{other}); err == nil {
		t.Error("another key opens it")
	}
	if _, err := secret.Encrypt([]byte("x"), nil); err == nil {
		t.Error("encrypted for nobody")
	}
	if _, err := secret.Recipients([]string{"age1nonsense"}); err == nil {
		t.Error("nonsense is a key")
	}
}
