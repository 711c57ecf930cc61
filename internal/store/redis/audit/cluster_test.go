package audit_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"postern/internal/mailtest/redisd"
	"postern/internal/store/redis/conn"
	"postern/internal/store/redis/redistest"
	"postern/internal/store/storetest/recordtest"
)

// TestCluster: the chain on a cluster, over the death of the master that holds it.
func TestCluster(t *testing.T) {
	if testing.Short() {
		t.Skip("starts six servers")
	}
	c := redisd.StartCluster(t, 3, 3, redisd.Options{ACL: conn.Rule(redistest.User, redisd.Password, conn.DefaultPrefix)})
	addrs := strings.Join(c.Addrs(), " ")
	a, b := newNode(t, "a", addrs).start(), newNode(t, "b", addrs).start()
	recordtest.Audit(t, a)
	for i := range 10 {
		a.write(fmt.Sprint("a", i))
		b.write(fmt.Sprint("b", i))
	}
	c.Fail(t, c.Master(t, key))
	a.write("meanwhile")
	a.settle()
	b.settle()
	all := a.objects()
	for i := range 10 {
		for _, want := range []string{fmt.Sprint("a", i), fmt.Sprint("b", i), "meanwhile"} {
			if !slices.Contains(all, want) {
				t.Errorf("%s is lost", want)
			}
		}
	}
}
