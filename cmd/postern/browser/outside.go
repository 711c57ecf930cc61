package browser

import (
	"io/fs"

	"postern/internal/desk/notices"
	"postern/internal/desk/outside"
	"postern/internal/desk/page"
	"postern/internal/desk/site"
)

// outsideItem is the part about what lies beyond this installation, and what goes out there.
func outsideItem() page.Item {
	return page.Item{Key: "outside.nav", Path: "/outside", Call: "source.list", Under: []page.Item{
		{Key: "outside.nav-blocks", Path: "/outside/blocks", Call: "blocklist.list"},
		{Key: "outside.nav-published", Path: "/outside/published", Call: "published.list"},
		{Key: "outside.nav-listings", Path: "/outside/listings", Call: "listing.list"},
		{Key: "notices.nav", Path: "/notices", Call: "notice.out"},
		{Key: "notices.nav-suppressed", Path: "/suppressed", Call: "suppress.list"},
		{Key: "notices.nav-feeds", Path: "/feeds", Call: "feed.list"},
	}}
}

func outsidePapers() []fs.FS { return []fs.FS{outside.Pages, notices.Pages} }

func outsideRooms(kit *page.Kit, calls page.Caller) []site.Room {
	return []site.Room{&outside.Room{Kit: kit, Calls: calls}, &notices.Room{Kit: kit, Calls: calls}}
}
