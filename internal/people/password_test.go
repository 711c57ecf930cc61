package people

import (
	"errors"
	"strings"
	"testing"
)

func TestPasswordHashes(t *testing.T) {
	small := cost{memory: 64, passes: 1}
	hash := small.hashPassword("correct horse battery")
	if again := small.hashPassword("correct horse battery"); again == hash {
		t.Error("two hashes of one password are alike: the salt is not random")
	}
	if ok, weak := small.verifyPassword(hash, "correct horse battery"); !ok || weak {
		t.Errorf("right password: %v, weak %v", ok, weak)
	}
	if ok, _ := small.verifyPassword(hash, "correct horse batterz"); ok {
		t.Error("a wrong password passes")
	}
	if ok, weak := (cost{128, 1}).verifyPassword(hash, "correct horse battery"); !ok || !weak {
		t.Errorf("a cheaper hash: %v, weak %v", ok, weak)
	}
	for name, bad := range map[string]string{
		"empty": "", "other kind": strings.Replace(hash, "argon2id", "argon2i", 1), "version": strings.Replace(hash, "v=19", "v=16", 1),
		"much memory": strings.Replace(hash, "m=64", "m=4194304", 1), "many passes": strings.Replace(hash, "t=1", "t=4000000", 1),
		"no passes": strings.Replace(hash, "t=1", "t=0", 1), "lanes": strings.Replace(hash, "p=1", "p=200", 1), "cut": hash[:len(hash)-3], "no base64": hash[:len(hash)-3] + "!!!",
		"short salt": "$argon2id$v=19$m=64,t=1,p=1$AAAA$" + strings.Repeat("A", 43),
	} {
		if ok, _ := small.verifyPassword(bad, "correct horse battery"); ok {
			t.Errorf("%s: passes", name)
		}
	}
}

func TestPasswordsNobodyShouldUse(t *testing.T) {
	for _, bad := range []string{"", "elevenchars", "anna-has-a-name", strings.Repeat("x", 257), "\xff\xfe\xfd\xfc\xfb\xfa\xf9\xf8\xf7\xf6\xf5\xf4\xf3"} {
		if err := checkPassword("anna", bad); !errors.Is(err, ErrInvalid) {
			t.Errorf("%.20q: %v", bad, err)
		}
	}
	for _, good := range []string{"twelve chars", "пароль-длинный", strings.Repeat("x", 256)} {
		if err := checkPassword("anna", good); err != nil {
			t.Errorf("%.20q: %v", good, err)
		}
	}
}

func FuzzPasswordHash(f *testing.F) {
	c := cost{memory: 64, passes: 1}
	f.Add(c.hashPassword("some password"))
	f.Add("$argon2id$v=19$m=64,t=1,p=1$c2FsdHNhbHQ$AAAA")
	f.Fuzz(func(t *testing.T, hash string) {
		if ok, _ := c.verifyPassword(hash, "no such password, ever"); ok {
			t.Errorf("%q passes", hash)
		}
	})
}
