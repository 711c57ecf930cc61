package packaging

import (
	"flag"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"postern/internal/mailtest"
	"postern/internal/mailtest/redisd"
	"postern/internal/store/redis/conn"
)

var update = flag.Bool("update", false, "write the rights of the Redis user into deploy/compose/users.acl and docs/stores.md")

var hash = regexp.MustCompile(`#[0-9a-f]{64}`)

// The rights of our user stand in three places: the code, the file for docker compose and the
// paper. A line that misses a command stops mail; one that allows more is a hole.
func TestTheRightsAreTheSameEverywhere(t *testing.T) {
	root := mailtest.ModuleRoot(t)
	file, paper := filepath.Join(root, "deploy/compose/users.acl"), filepath.Join(root, "docs/stores.md")
	rule := func(user string) string {
		return hash.ReplaceAllString(conn.Rule(user, "password", conn.DefaultPrefix), "#@SHA256@")
	}
	acl := "user default off resetpass resetkeys resetchannels -@all\n" +
		"user health on nopass resetkeys resetchannels -@all +ping\n" +
		rule("postern") + "\n"
	if *update {
		if err := os.WriteFile(file, []byte(acl), 0o644); err != nil {
			t.Fatal(err)
		}
		text, err := os.ReadFile(paper)
		if err != nil {
			t.Fatal(err)
		}
		lines := strings.Split(string(text), "\n")
		for i, line := range lines {
			if strings.HasPrefix(line, "user gateway reset ") {
				lines[i] = rule("gateway")
			}
		}
		if err := os.WriteFile(paper, []byte(strings.Join(lines, "\n")), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if string(got) != acl {
		t.Errorf("%s is stale: go test ./test/packaging -run Rights -update", file)
	}
	text, err := os.ReadFile(paper)
	if err != nil {
		t.Fatal(err)
	}
	if strings.Count(string(text), "\n"+rule("gateway")+"\n") != 1 {
		t.Errorf("%s is stale: go test ./test/packaging -run Rights -update", paper)
	}
}

// What Redis makes of the file: nobody but our user gets in, and the health check may ping.
func TestTheACLFileOfComposeShutsOthersOut(t *testing.T) {
	text, err := os.ReadFile(filepath.Join(mailtest.ModuleRoot(t), "deploy/compose/users.acl"))
	if err != nil {
		t.Fatal(err)
	}
	const none = "0000000000000000000000000000000000000000000000000000000000000000"
	// redisd needs a user of its own to look: it takes the place of default.
	s := redisd.Start(t, redisd.Options{ACL: strings.ReplaceAll(strings.SplitN(string(text), "\n", 2)[1], "@SHA256@", none)})
	admin := s.Client()
	defer admin.Close()
	users, err := admin.Do(t.Context(), "acl", "list").StringSlice()
	if err != nil || len(users) != 3 {
		t.Fatalf("%q %v", users, err)
	}
	for _, try := range [][]any{{"health", "get", "postern:x"}, {"health", "config", "get", "*"}, {"postern", "flushall"}, {"postern", "get", "other:x"}, {"postern", "config", "set", "appendonly", "no"}, {"postern", "keys", "*"}, {"postern", "acl", "list"}} {
		answer, err := admin.Do(t.Context(), append([]any{"acl", "dryrun"}, try...)...).Text()
		if err == nil && answer == "OK" {
			t.Errorf("%v is allowed", try)
		}
	}
	for _, try := range [][]any{{"health", "ping"}, {"postern", "set", "postern:x", "y"}, {"postern", "config", "get", "appendonly"}} {
		if answer, err := admin.Do(t.Context(), append([]any{"acl", "dryrun"}, try...)...).Text(); err != nil || answer != "OK" {
			t.Errorf("%v: %s %v", try, answer, err)
		}
	}
}
