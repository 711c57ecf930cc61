package browser

import (
	"io/fs"

	"postern/internal/desk/accounts"
	"postern/internal/desk/automation"
	"postern/internal/desk/chart"
	"postern/internal/desk/guarantees"
	"postern/internal/desk/measures"
	"postern/internal/desk/page"
	"postern/internal/desk/site"
)

// accountsItem is the part of accounts, with what belongs to them.
func accountsItem() page.Item {
	return page.Item{Key: "accounts", Path: "/accounts", Call: "account.find", Under: []page.Item{
		{Key: "accounts.nav-guarantees", Path: "/guarantees", Call: "guarantee.list"},
		{Key: "accounts.nav-automation", Path: "/automation", Call: "automation.show"},
	}}
}

func accountPapers() []fs.FS {
	return []fs.FS{chart.Parts, measures.Pages, accounts.Pages, guarantees.Pages, automation.Pages}
}

func accountRooms(kit *page.Kit, calls page.Caller) []site.Room {
	return []site.Room{
		&measures.Room{Kit: kit, Calls: calls},
		&accounts.Room{Kit: kit, Calls: calls},
		&guarantees.Room{Kit: kit, Calls: calls},
		&automation.Room{Kit: kit, Calls: calls},
	}
}
