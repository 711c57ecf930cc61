package nodes_test

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"postern/cmd/postern/calls"
	"postern/test/rig"
)

// TestStoreCommands asks for sizes, and makes the indexes again, on both homes.
func TestStoreCommands(t *testing.T) {
	f, _, s := houses(t)
	one, two := f.Nodes[0], f.Nodes[1]
	rewrite(t, one, "home: redis", "home: local")
	f.Start()
	for name, r := range map[string]*rig.Rig{"local": one, "redis": two} {
		stocked(t, r, name, 5)
		said(t, r, 0, "home: "+name, "store", "estimate")
		var sizes calls.Stored
		if err := json.Unmarshal([]byte(said(t, r, 0, "{", "store", "estimate", "--json")), &sizes); err != nil || sizes.Home != name {
			t.Fatal(err, sizes)
		}
		got := map[string]int64{}
		for _, z := range sizes.Sizes {
			got[z.Of] = z.Items
			if z.Items > 0 && z.Bytes <= 0 && name == "redis" {
				t.Errorf("%s: %d %s take %d bytes", name, z.Items, z.Of, z.Bytes)
			}
		}
		if got["holds"] != 5 || got["outbox"] != 3 {
			t.Errorf("%s: %v", name, got)
		}
	}
	c := s.Client()
	defer c.Close()
	keys, err := c.Keys(t.Context(), "*:ix:*").Result()
	must(t, err)
	if len(keys) == 0 {
		t.Fatal("no index is there")
	}
	before := ids(two.Holds())
	out := loaded(t, gentle(f, 53), func() {
		must(t, c.Del(t.Context(), keys...).Err())
		said(t, two, 0, "outbox entries", "store", "reindex")
		after := ids(two.Holds())
		for _, id := range before {
			if !slices.Contains(after, id) {
				t.Errorf("%s is missing after the reindex of %d keys", id, len(keys))
			}
		}
	})
	books(t, f, out)
	said(t, one, 3, "stop it first", "store", "reindex")
	held := ids(one.Holds())
	must(t, one.Stop())
	said(t, one, 0, "outbox entries are back", "store", "reindex")
	one.Start()
	one.Ready()
	if got := ids(one.Holds()); !slices.Equal(got, held) {
		t.Errorf("%d holds after the reindex, %d before", len(got), len(held))
	}
}

// TestWithoutServer runs the commands beside a store without a server, and without a store.
func TestWithoutServer(t *testing.T) {
	f, b, s := houses(t)
	one := f.Nodes[0]
	rewrite(t, one, "home: redis", "home: local")
	one.Start()
	one.Ready()
	old := stocked(t, one, "old", 5)
	must(t, one.Stop())
	rewrite(t, one, "home: local", "home: redis")
	said(t, one, 0, "5 holds, 3 outbox entries, 1 list entries, 1 accounts", "store", "move")
	commands := map[string][]string{
		"old 4. of the load":        {"quarantine", "list"},
		outcast + ": suspended":     {"account", "list"},
		pest:                        {"blocklist", "list"},
		"unbroken":                  {"audit", "verify"},
		"old 0. of the load":        {"trace"},
		owed:                        {"outbox", "list"},
		"odd@sender.example":        {"greylist", "list"},
		"home: redis":               {"store", "estimate"},
		"5 holds, 3 outbox entries": {"store", "reindex"},
	}
	for word, args := range commands {
		said(t, one, 0, word, args...)
	}
	said(t, one, 0, "0 holds, 0 outbox entries", "store", "move")
	one.Start()
	one.Ready()
	old.arrived(t, b, one)
	must(t, one.Stop())
	s.Kill()
	for _, args := range append([][]string{{"store", "move"}}, values(commands)...) {
		text := said(t, one, 3, "redis is away", args...)
		if strings.Count(text, "\n") != 1 {
			t.Errorf("%v does not say it in one sentence:\n%s", args, text)
		}
	}
}

func values(m map[string][]string) (all [][]string) {
	for _, v := range m {
		all = append(all, v)
	}
	return all
}
