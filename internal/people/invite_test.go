package people_test

import (
	"errors"
	"sync"
	"sync/atomic"
	"testing"

	"postern/internal/people"
)

func TestInvite(t *testing.T) {
	w, ctx := newWorld(), t.Context()
	w.add(t, people.User{Name: "anna", Role: people.Agent})
	if _, _, err := w.Invite(ctx, "root", "nobody"); !errors.Is(err, people.ErrNotFound) {
		t.Error(err)
	}
	old, _, err := w.Invite(ctx, "root", "Anna")
	if err != nil {
		t.Fatal(err)
	}
	token, i, err := w.Invite(ctx, "root", "anna")
	if err != nil || i.User != "anna" || i.Expires.Sub(i.Made) != people.InviteLife || i.ID == token {
		t.Error(i, err)
	}
	for name, bad := range map[string]string{"an older one": old, "nothing": "", "the ID": i.ID, "nonsense": "../../x", "long": string(make([]byte, 1<<16))} {
		if _, err := w.Accept(ctx, bad, password); !errors.Is(err, people.ErrDenied) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := w.Accept(ctx, token, "short"); !errors.Is(err, people.ErrInvalid) {
		t.Error(err)
	}
	if u, err := w.Invited(ctx, token); err != nil || u.Name != "anna" {
		t.Error("a bad password used the link up:", u, err)
	}
	var in atomic.Int32
	var all sync.WaitGroup
	for range 4 {
		all.Go(func() {
			if _, err := w.Accept(ctx, token, password); err == nil {
				in.Add(1)
			}
		})
	}
	all.Wait()
	if in.Load() != 1 {
		t.Errorf("used %d times", in.Load())
	}
	if _, _, err := w.SignIn(ctx, "anna", password); err != nil {
		t.Error(err)
	}
	if _, err := w.Accept(ctx, token, password); !errors.Is(err, people.ErrDenied) {
		t.Error("used again:", err)
	}
}

// TestInviteEnds has links that are no longer good.
func TestInviteEnds(t *testing.T) {
	for name, end := range map[string]func(*world){
		"late":     func(w *world) { w.now = w.now.Add(people.InviteLife) },
		"disabled": func(w *world) { _, _ = w.Change(t.Context(), "root", "anna", people.Change{Disabled: ptr(true)}) },
		"changed":  func(w *world) { _, _ = w.Change(t.Context(), "root", "anna", people.Change{Role: ptr(people.Lead)}) },
		"removed":  func(w *world) { _ = w.Remove(t.Context(), "root", "anna") },
		"another": func(w *world) {
			_ = w.Remove(t.Context(), "root", "anna")
			w.add(t, people.User{Name: "anna", Role: people.Lead})
			_, _ = w.Change(t.Context(), "root", "anna", people.Change{Role: ptr(people.Agent)})
		},
	} {
		w := newWorld()
		w.add(t, people.User{Name: "anna", Role: people.Agent})
		token, _, err := w.Invite(t.Context(), "root", "anna")
		if err != nil {
			t.Fatal(err)
		}
		end(w)
		if _, err := w.Accept(t.Context(), token, password); !errors.Is(err, people.ErrDenied) {
			t.Errorf("%s: %v", name, err)
		}
		if _, _, err := w.Invite(t.Context(), "root", "anna"); name == "disabled" && !errors.Is(err, people.ErrInvalid) {
			t.Error(err)
		}
	}
}

func TestProvided(t *testing.T) {
	w, ctx := newWorld(), t.Context()
	w.add(t, people.User{Name: "anna", Role: people.Postmaster, Email: "anna@example.com"})
	w.add(t, people.User{Name: "twin1", Role: people.Agent, Email: "twin@example.com"})
	w.add(t, people.User{Name: "twin2", Role: people.Agent, Email: "twin@example.com"})
	w.add(t, people.User{Name: "gone", Role: people.Agent, Email: "gone@example.com"})
	if _, err := w.Change(ctx, "root", "gone", people.Change{Disabled: ptr(true)}); err != nil {
		t.Fatal(err)
	}
	id := func(subject, email string, role people.Role) people.Identity {
		return people.Identity{Issuer: "https://id.example", Subject: subject, Email: email, Name: "n-" + subject, Role: role}
	}
	for name, i := range map[string]people.Identity{
		"no subject":           id("", "anna@example.com", ""),
		"nobody":               id("s", "other@example.com", ""),
		"unverified":           id("s", "", ""),
		"two of that address":  id("s", "twin@example.com", people.Agent),
		"disabled":             id("s", "gone@example.com", people.Agent),
		"a postmaster by role": id("s", "new@example.com", people.Postmaster),
		"a domain admin":       id("s", "new@example.com", people.DomainAdmin),
		"a user of no address": id("s", "", people.Recipient),
	} {
		if _, u, err := w.Provided(ctx, i); !errors.Is(err, people.ErrDenied) {
			t.Errorf("%s: %+v %v", name, u, err)
		}
	}
	p, u, err := w.Provided(ctx, id("anna-sub", "ANNA@example.com", ""))
	if err != nil || u.Name != "anna" || p.Role != people.Postmaster || u.Provided {
		t.Error(u, err)
	}
	if _, _, err := w.Provided(ctx, id("other-sub", "anna@example.com", "")); !errors.Is(err, people.ErrDenied) {
		t.Error("a second subject takes the user over:", err)
	}
	if _, u, err := w.Provided(ctx, id("anna-sub", "", people.Agent)); err != nil || u.Name != "anna" || u.Role != people.Postmaster {
		t.Error("by subject; the role of whom we made is ours:", u, err)
	}
	if i := id("anna-sub", "", ""); true {
		i.Issuer = "https://other.example"
		if _, _, err := w.Provided(ctx, i); !errors.Is(err, people.ErrDenied) {
			t.Error("the same subject of another issuer:", err)
		}
	}
	// A new one, whose role follows the groups.
	_, u, err = w.Provided(ctx, id("new", "new@example.com", people.Agent))
	if err != nil || u.Name != "n-new" || u.Role != people.Agent || !u.Provided || u.By != "provider" {
		t.Error(u, err)
	}
	if _, _, err := w.SignIn(ctx, "n-new", password); !errors.Is(err, people.ErrDenied) {
		t.Error("signs in without a password:", err)
	}
	_, v, err := w.Provided(ctx, id("new", "new@example.com", people.Lead))
	if err != nil || v.Role != people.Lead || v.Epoch == u.Epoch {
		t.Error(v, err)
	}
	if _, _, err := w.Provided(ctx, id("new", "new@example.com", "")); !errors.Is(err, people.ErrDenied) {
		t.Error("in no group any more:", err)
	}
	i := id("taken", "taken@example.com", people.Recipient)
	i.Name = "Anna"
	if _, u, err := w.Provided(ctx, i); err != nil || u.Name != "taken@example.com" || len(u.Addresses) != 1 {
		t.Error("the name is taken:", u, err)
	}
}
