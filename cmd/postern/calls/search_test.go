package calls

import (
	"testing"

	"postern/quarantine"
)

// A list is sorted as sort says; what it does not know, or what contradicts oldest, is refused.
func TestSearchOrder(t *testing.T) {
	for _, c := range []struct {
		ask  Search
		want quarantine.Order
		ok   bool
	}{
		{Search{}, "", true}, {Search{Oldest: true}, quarantine.Oldest, true}, {Search{Sort: "oldest", Oldest: true}, quarantine.Oldest, true},
		{Search{Sort: "highest"}, quarantine.Highest, true}, {Search{Sort: "lowest"}, quarantine.Lowest, true}, {Search{Sort: "newest"}, quarantine.Newest, true},
		{Search{Sort: "Highest"}, "", false}, {Search{Sort: "score"}, "", false}, {Search{Sort: "highest", Oldest: true}, "", false},
	} {
		if got, err := c.ask.order(); got != c.want || (err == nil) != c.ok {
			t.Errorf("%+v: %q, %v", c.ask, got, err)
		}
	}
}
