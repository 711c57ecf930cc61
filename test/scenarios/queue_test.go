package scenarios

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"postern/abuse"
	"postern/abuse/measure"
	"postern/cmd/postern/home"
	"postern/test/world"
)

// super runs postsuper as the postmaster does.
func super(t *testing.T, p *world.Postfix, args ...string) {
	t.Helper()
	if out, err := exec.Command("/usr/sbin/postsuper", append([]string{"-c", filepath.Join(p.Dir, "etc")}, args...)...).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
}

// inQueue are the queue IDs in a queue, sorted.
func inQueue(t *testing.T, p *world.Postfix, queue string) (ids []string) {
	t.Helper()
	err := filepath.WalkDir(filepath.Join(p.Dir, "queue", queue), func(path string, d os.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			ids = append(ids, filepath.Base(path))
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	slices.Sort(ids)
	return ids
}

// waits sends mail to where nobody takes it, and returns the IDs of what it left in the queue.
func (n *node) waits(p *world.Postfix, account string, count int) (ids []string) {
	n.t.Helper()
	s := n.atPostfix(p, account)
	defer s.Close()
	for i := range count {
		to := fmt.Sprintf("victim%d@far.example", i)
		code, text := s.send(account, []string{to}, n.letter(account, to, fmt.Sprint("Offer ", i), "have a look"))
		if code != 250 {
			n.t.Fatalf("%s: %d %s", account, code, text)
		}
		ids = append(ids, text[strings.LastIndexByte(text, ' ')+1:])
	}
	for _, id := range ids {
		n.await(id+" waits in the queue", func() bool {
			return slices.Contains(inQueue(n.t, p, "deferred"), id) || slices.Contains(inQueue(n.t, p, "hold"), id)
		})
	}
	slices.Sort(ids)
	return ids
}

// Scenario 14 with the queue of a Postfix beside us: what a suspended account left in it is put on
// hold and proved by a new look, mail of others goes on; what somebody lets go by hand is held
// again; and at the end what was held for the measure goes on, what the postmaster held stays.
func TestScenario14QueueOfPostfixHeld(t *testing.T) {
	t.Parallel()
	bothHomes(t, func(t *testing.T, redis bool) {
		const loud, bert = "loud@second.example", "bert@example.com"
		dir := sharedFolder(t)
		sasl := world.StartSASL(t, "", "", "")
		p := world.StartSubmission(t, sasl, "unix:"+dir+"/policy", "")
		n, _ := senders(t, plan{Redis: redis, Abuse: fmt.Sprintf(`%s, connectors: {postfix_policy: {addr: "unix:%s/policy"}, postfix_queue: {config: %s/etc, required: true}}`, acting, dir, p.Dir)}, loud, bert)

		ofLoud, ofBert := n.waits(p, loud, 4), n.waits(p, bert, 1) // while there is no Postern
		byHand := ofLoud[3]
		super(t, p, "-h", byHand)
		n.await("the postmaster holds one", func() bool { return slices.Equal(inQueue(t, p, "hold"), []string{byHand}) })
		n.before(func(s *home.Home, now time.Time) { enabled(t, s, now); abuser(t, s, now, loud) })
		n.serve()
		n.due()
		n.await("its mail is on hold", func() bool { return slices.Equal(inQueue(t, p, "hold"), ofLoud) })
		n.await("the measure is proved", func() bool {
			n.due()
			all := n.standing(loud)
			return len(all) == 1 && all[0].State == measure.Active && all[0].Level == abuse.M3 && all[0].Auto
		})
		if all := n.standing(loud); len(all[0].Connectors) != 1 || all[0].Connectors[0].Name != "postfix-queue" || !all[0].Connectors[0].Verified {
			t.Errorf("%+v", all)
		}
		if left := inQueue(t, p, "deferred"); !slices.Equal(left, ofBert) {
			t.Errorf("deferred: %v, of others %v", left, ofBert)
		}
		n.atPostfix(p, loud).refused("Postfix by the policy service", loud)

		n.command("account", "hold", "--reason", "to be looked at", bert)
		n.await("what waits of a held account is on hold", func() bool { return slices.Contains(inQueue(t, p, "hold"), ofBert[0]) })
		late := n.waits(p, bert, 1)
		n.await("and what it sends now, by the answer of the policy service", func() bool { return slices.Contains(inQueue(t, p, "hold"), late[0]) })
		n.Kill()
		if held := len(inQueue(t, p, "hold")); held != len(ofLoud)+2 {
			t.Errorf("with Postern killed %d are held", held)
		}
		later := n.waits(p, bert, 1) // nobody answers Postfix
		super(t, p, "-h", later[0])
		n.serve()
		n.command("account", "undo", "--reason", "nothing was found", bert)
		byHandToo := slices.Sorted(slices.Values(append(later, ofLoud...)))
		n.await("it goes on, but for what the postmaster held meanwhile", func() bool { return slices.Equal(inQueue(t, p, "hold"), byHandToo) })
		n.pass(time.Minute)
		if held := inQueue(t, p, "hold"); !slices.Equal(held, byHandToo) {
			t.Errorf("held: %v, not %v", held, byHandToo)
		}
		super(t, p, "-H", later[0])

		super(t, p, "-H", ofLoud[0]) // somebody lifts it
		n.pass(11 * time.Minute)
		n.await("it is held again", func() bool { return slices.Equal(inQueue(t, p, "hold"), ofLoud) })

		id := n.standing(loud)[0].ID
		n.command("measure", "undo", "--reason", "the password was changed", id)
		n.await("what the measure held goes on, what the postmaster held stays", func() bool { return slices.Equal(inQueue(t, p, "hold"), []string{byHand}) })
		n.await("the end is proved", func() bool { n.due(); return len(n.standing(loud)) == 0 })
	})
}
