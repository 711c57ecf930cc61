package browser

import (
	"io/fs"

	"postern/internal/config/value"
	"postern/internal/desk/appeals"
	"postern/internal/desk/campaigns"
	"postern/internal/desk/cases"
	"postern/internal/desk/cases/act"
	"postern/internal/desk/cases/file"
	"postern/internal/desk/figures"
	"postern/internal/desk/held"
	"postern/internal/desk/letters"
	"postern/internal/desk/own"
	"postern/internal/desk/page"
	"postern/internal/desk/roster"
	"postern/internal/desk/rules"
	"postern/internal/desk/site"
	"postern/internal/desk/testbox"
	"postern/internal/desk/trace"
	"postern/internal/desk/work"
)

// menu is the parts of the desk; the first that somebody may see is where they begin.
func menu() []page.Item {
	return []page.Item{
		{Key: "held", Path: "/held", Call: "quarantine.list", Under: []page.Item{{Key: "campaigns.nav", Path: "/campaigns", Call: "campaign.list"}}},
		{Key: "trace", Path: "/trace", Call: "trace", Under: []page.Item{{Key: "appeals.nav", Path: "/appeals", Call: "appeal.list"}, {Key: "testbox.nav", Path: "/inbox", Call: "inbox.list"}}},
		{Key: "cases", Path: "/cases", Call: "case.list", Under: []page.Item{
			{Key: "letters.nav-templates", Path: "/templates", Call: "template.list"},
			{Key: "letters.nav-snippets", Path: "/snippets", Call: "snippet.list"},
		}},
		accountsItem(),
		outsideItem(),
		{Key: "rules", Path: "/rules", Call: "rules.list"},
		{Key: "figures", Path: "/figures", Call: "figures.trend"},
		{Key: "approvals", Path: "/approvals", Call: "approval.list"},
		{Key: "people", Path: "/people", Call: "user.list"},
	}
}

// papers are the pages of all rooms.
func papers() []fs.FS {
	return append(append(accountPapers(), outsidePapers()...),
		site.Pages,
		own.Pages,
		roster.Pages,
		work.Pages,
		held.Pages,
		trace.Pages,
		appeals.Pages,
		testbox.Pages,
		campaigns.Pages,
		cases.Pages,
		letters.Pages,
		figures.Pages,
		rules.Pages,
	)
}

// rooms are the parts of the desk. Those whose acts take long begin them in long.
func rooms(kit *page.Kit, calls page.Caller, long *work.Room) []site.Room {
	return append(append(accountRooms(kit, calls), outsideRooms(kit, calls)...),
		long,
		&held.Room{Kit: kit, Calls: calls, Long: long},
		&roster.Room{Kit: kit, Calls: calls, Roles: value.DeskRoles()},
		&trace.Room{Kit: kit, Calls: calls},
		&appeals.Room{Kit: kit, Calls: calls},
		&testbox.Room{Kit: kit, Calls: calls},
		&campaigns.Room{Kit: kit, Calls: calls},
		&cases.Room{Kit: kit, Calls: calls},
		&letters.Room{Kit: kit, Calls: calls},
		&file.Room{Kit: kit, Calls: calls},
		&act.Room{Kit: kit, Calls: calls},
		&figures.Room{Kit: kit, Calls: calls, Long: long},
		&rules.Room{Kit: kit, Calls: calls, Work: long.Desk},
	)
}
