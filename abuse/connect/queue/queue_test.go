package queue

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"postern/abuse"
	"postern/abuse/measure"
)

// restricted are accounts with what is in force against them.
type restricted map[string]abuse.Account

func (r restricted) Known() (all []abuse.Account) {
	for _, a := range r {
		all = append(all, a)
	}
	return all
}

func (r restricted) Force(account string) abuse.Account {
	if a, ok := r[account]; ok {
		return a
	}
	return r["@"+r.DomainOf(account)]
}

func (restricted) DomainOf(account string) string {
	_, domain, _ := strings.Cut(account, "@")
	return domain
}

// began is when the measures of the tests began.
var began = time.Unix(1_900_000_000, 0)

// postfix is a queue of files, with programs that do to them what those of Postfix do.
type postfix struct {
	t   *testing.T
	dir string
	*Queue
	restricted
	now time.Time
}

// programs of a queue in $DIR: each message is a file QUEUE/ID with its arrival, login and sender.
const (
	postqueue = `#!/bin/sh
cd "$DIR" || exit 1
test ! -e fails || { echo "postqueue: fatal: mail system is down" >&2; exit 1; }
for f in active/* deferred/* hold/*; do
	test -e "$f" || continue
	read at login sender < "$f"
	printf '{"queue_name":"%s","queue_id":"%s","arrival_time":%s,"sender":"%s","login":"forged@x.example","recipients":[]}\n' "${f%/*}" "${f#*/}" "$at" "$sender"
done
`
	postcat = `#!/bin/sh
cd "$DIR" || exit 1
shift 4
echo "$@" >> asked
for id in "$@"; do
	f=$(ls -d active/$id deferred/$id hold/$id 2>/dev/null)
	test "$f" || { echo "postcat: fatal: open queue file $id: No such file or directory" >&2; exit 1; }
	read at login sender < "$f"
	echo "*** ENVELOPE RECORDS $f ***"
	echo "message_arrival_time: whenever"
	test "$login" = - || echo "named_attribute: sasl_username=$login"
	echo "sender: $sender"
	echo "*** HEADER EXTRACTED $f ***"
	echo "*** MESSAGE FILE END $f ***"
done
`
	postsuper = `#!/bin/sh
cd "$DIR" || exit 1
test ! -e superfails || { echo "postsuper: fatal: use of this command is reserved for the superuser" >&2; exit 1; }
while read id; do
	case "$3" in
	-h) mv active/$id deferred/$id hold/ 2>/dev/null ;;
	-H) mv hold/$id deferred/ 2>/dev/null ;;
	esac
done
exit 0
`
)

func start(t *testing.T) *postfix {
	t.Helper()
	p := &postfix{t: t, dir: t.TempDir(), restricted: restricted{}, now: began}
	for _, d := range []string{"active", "deferred", "hold", "bin"} {
		if err := os.Mkdir(filepath.Join(p.dir, d), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	for name, text := range map[string]string{"postqueue": postqueue, "postcat": postcat, "postsuper": postsuper} {
		if err := os.WriteFile(filepath.Join(p.dir, "bin", name), []byte(text), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	t.Setenv("DIR", p.dir)
	t.Setenv("PATH", filepath.Join(p.dir, "bin")+":"+os.Getenv("PATH"))
	p.restart()
	return p
}

// restart is a new process over the same queue.
func (p *postfix) restart() {
	p.Queue = &Queue{Label: "postfix-queue", Config: "/etc/postfix", Path: filepath.Join(p.dir, "ours.json"), Accounts: p.restricted, Must: true, Now: func() time.Time { return p.now }}
}

func (p *postfix) put(queue, id, login string, at time.Time) {
	p.t.Helper()
	if err := os.WriteFile(filepath.Join(p.dir, queue, id), fmt.Appendf(nil, "%d %s sender-of-%s\n", at.Unix(), login, login), 0o600); err != nil {
		p.t.Fatal(err)
	}
}

func (p *postfix) in(queue string) string {
	p.t.Helper()
	files, err := os.ReadDir(filepath.Join(p.dir, queue))
	if err != nil {
		p.t.Fatal(err)
	}
	var names []string
	for _, f := range files {
		names = append(names, f.Name())
	}
	return strings.Join(names, " ")
}

func (p *postfix) restrict(name string, level abuse.Level) {
	p.restricted[name] = abuse.Account{Name: name, Level: level, State: map[bool]abuse.State{true: abuse.Suspended, false: abuse.Active}[level >= abuse.M3], At: began}
}

func (p *postfix) verify(m measure.Measure, want bool) {
	p.t.Helper()
	if got, err := p.Verify(p.t.Context(), m, ""); err != nil || got != want {
		p.t.Errorf("%s on %s, %s: in force %v, %v", m.Level, m.Target, m.State, got, err)
	}
}

// Mail of the account that waits is held, by its login; that of others goes on, and what somebody
// held before stays held when the measure has ended.
func TestHoldAndLetGo(t *testing.T) {
	p := start(t)
	before := began.Add(-time.Hour)
	for id, login := range map[string]string{"A1": "anna@x.example", "A2": "Anna@X.example", "B1": "bert@x.example", "C1": "-"} {
		p.put("deferred", id, login, before)
	}
	p.put("active", "A3", "anna@x.example", before)
	p.put("hold", "A4", "anna@x.example", before) // by the postmaster
	m := measure.Measure{ID: "m-1", Target: "anna@x.example", Level: abuse.M3, State: measure.PendingActivation}
	p.verify(m, false)
	p.restrict("anna@x.example", abuse.M3)
	handle, err := p.Apply(t.Context(), m)
	if err != nil || handle == "" || p.in("hold") != "A1 A2 A3 A4" || p.in("deferred") != "B1 C1" {
		t.Fatalf("%q, held %s, %v", handle, p.in("hold"), err)
	}
	p.verify(m, true)
	if err := p.Answered("A5", "Anna@x.example"); err != nil { // HOLD was the policy service's answer
		t.Fatal(err)
	}
	p.put("hold", "A5", "anna@x.example", began.Add(time.Minute))
	p.put("hold", "A6", "anna@x.example", began.Add(time.Minute)) // by the postmaster, while the measure is in force
	if err := os.Rename(filepath.Join(p.dir, "hold/A1"), filepath.Join(p.dir, "deferred/A1")); err != nil {
		t.Fatal(err)
	}
	p.verify(m, false) // somebody let it go by hand
	p.restart()
	if held, freed, err := p.Sync(t.Context()); err != nil || held != 1 || freed != 0 {
		t.Errorf("%d %d %v", held, freed, err)
	}
	p.verify(m, true)

	m.State = measure.PendingRemoval
	p.restrict("anna@x.example", abuse.M2) // another measure stands
	if err := p.Undo(t.Context(), m, handle); err != nil || p.in("hold") != "A1 A2 A3 A4 A5 A6" {
		t.Errorf("held %s, %v", p.in("hold"), err)
	}
	p.verify(m, false)
	delete(p.restricted, "anna@x.example")
	p.verify(m, true)
	p.restart()
	if err := p.Undo(t.Context(), m, handle); err != nil || p.in("hold") != "A4 A6" || p.in("deferred") != "A1 A2 A3 A5 B1 C1" {
		t.Errorf("held %s, deferred %s, %v", p.in("hold"), p.in("deferred"), err)
	}
	p.verify(m, false)
	if idle, err := p.Idle(); err != nil || !idle {
		t.Errorf("%v %v", idle, err)
	}
}

// What an answer put on hold is let go whenever it comes into the queue: also when the measure has
// ended before anybody looked, and by the next process. An ID that another's message has by then
// is none of ours.
func TestAnsweredHold(t *testing.T) {
	p := start(t)
	p.restrict("anna@x.example", abuse.M2)
	for _, id := range []string{"A1", "A2", "A3"} {
		for range 2 {
			if err := p.Answered(id, "anna@x.example"); err != nil {
				t.Fatal(err)
			}
		}
	}
	for _, odd := range []string{"", "-d", "A 1"} {
		if err := p.Answered(odd, "anna@x.example"); err != nil {
			t.Error(err)
		}
	}
	p.put("hold", "A1", "anna@x.example", began)
	delete(p.restricted, "anna@x.example")
	p.restart()
	if idle, err := p.Idle(); idle || err != nil {
		t.Errorf("idle: %v, %v", idle, err)
	}
	m := measure.Measure{ID: "m-1", Target: "anna@x.example", Level: abuse.M2, State: measure.PendingRemoval}
	p.verify(m, true)
	if _, freed, err := p.Sync(t.Context()); err != nil || freed != 1 || p.in("deferred") != "A1" {
		t.Errorf("%d freed, held %s, %v", freed, p.in("hold"), err)
	}
	p.verify(m, false)
	p.put("hold", "A2", "dora@y.example", began)
	if _, freed, err := p.Sync(t.Context()); err != nil || freed != 0 || p.in("hold") != "A2" {
		t.Errorf("%d freed, held %s, %v", freed, p.in("hold"), err)
	}
	p.now = began.Add(answeredFor) // A3 never came
	if _, _, err := p.Sync(t.Context()); err != nil {
		t.Error(err)
	}
	if idle, err := p.Idle(); !idle || err != nil {
		t.Errorf("idle: %v, %v", idle, err)
	}
	p.put("hold", "A3", "anna@x.example", p.now)
	if _, freed, err := p.Sync(t.Context()); err != nil || freed != 0 {
		t.Errorf("%d freed, %v", freed, err)
	}
}

// Answers are bounded, those that are over give way, and a file that cannot be read is an error.
func TestAnswersAreBounded(t *testing.T) {
	p := start(t)
	many := map[string]answer{}
	for i := range AnsweredMost {
		many[fmt.Sprint("A", i)] = answer{"anna@x.example", began}
	}
	if err := write(p.answersPath(), many); err != nil {
		t.Fatal(err)
	}
	if err := p.Answered("B1", "anna@x.example"); !errors.Is(err, ErrTooMany) {
		t.Errorf("%v", err)
	}
	p.now = began.Add(answeredFor)
	if err := p.Answered("B1", "anna@x.example"); err != nil {
		t.Error(err)
	}
	if told, err := p.answered(); err != nil || len(told) != 1 {
		t.Errorf("%d, %v", len(told), err)
	}
	if err := os.WriteFile(p.answersPath(), []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	p.restart()
	if _, _, err := p.Sync(t.Context()); err == nil || !strings.Contains(err.Error(), ".answered") {
		t.Errorf("%v", err)
	}
	if err := p.Answered("B1", "anna@x.example"); err == nil {
		t.Error("a file that cannot be read is written over")
	}
}

// A whole domain, mail without a login, and an ID that another message has now.
func TestWhoseMail(t *testing.T) {
	p := start(t)
	p.put("deferred", "A1", "anna@x.example", began)
	p.put("deferred", "C1", "-", began)
	p.put("deferred", "D1", "dora@y.example", began)
	p.restrict("@x.example", abuse.M3)
	m := measure.Measure{ID: "m-1", Target: "@x.example", Level: abuse.M3, State: measure.PendingActivation}
	if _, err := p.Apply(t.Context(), m); err != nil || p.in("hold") != "A1" {
		t.Errorf("held %s, %v", p.in("hold"), err)
	}
	p.verify(m, true)
	delete(p.restricted, "@x.example")
	if err := os.Remove(filepath.Join(p.dir, "hold/A1")); err != nil {
		t.Fatal(err)
	}
	p.put("hold", "A1", "dora@y.example", began.Add(time.Hour)) // the postmaster's hold of another message
	if _, freed, err := p.Sync(t.Context()); err != nil || freed != 0 || p.in("hold") != "A1" {
		t.Errorf("%d freed, held %s, %v", freed, p.in("hold"), err)
	}
	p.Senders = true
	p.restrict("sender-of--", abuse.M2)
	p.logins = nil
	if _, err := p.Apply(t.Context(), m); err != nil || p.in("hold") != "A1 C1" {
		t.Errorf("held %s, %v", p.in("hold"), err)
	}
}

// Automation that is switched off keeps nothing: its measure is not put back each ten minutes.
func TestSwitchedOff(t *testing.T) {
	p := start(t)
	p.put("deferred", "A1", "anna@x.example", began)
	m := measure.Measure{ID: "m-1", Target: "anna@x.example", Level: abuse.M3, State: measure.Active, Auto: true}
	p.verify(m, true)
	m.Auto = false
	p.verify(m, false)
}

// A message that leaves while it is looked at ends nothing; a Postfix that does not answer is an
// error, and never a yes.
func TestFaults(t *testing.T) {
	p := start(t)
	for i := range 7 {
		p.put("active", fmt.Sprint("A", i), "anna@x.example", began)
	}
	read := map[string]string{}
	if err := p.envelopes(t.Context(), []string{"A0", "gone1", "A1", "A2", "gone2", "A6"}, read); err != nil || len(read) != 4 || read["A6"] != "anna@x.example" {
		t.Errorf("%v %v", read, err)
	}
	m := measure.Measure{ID: "m-1", Target: "anna@x.example", Level: abuse.M3, State: measure.PendingActivation}
	p.restrict("anna@x.example", abuse.M3)
	fault := func(name, words string) {
		t.Helper()
		if err := os.WriteFile(filepath.Join(p.dir, name), nil, 0o600); err != nil {
			t.Fatal(err)
		}
		_, err := p.Apply(t.Context(), m)
		if err == nil || !strings.Contains(err.Error(), words) {
			t.Errorf("%s: %v", name, err)
		}
		in, verr := p.Verify(t.Context(), m, "")
		if in {
			t.Errorf("%s: in force, %v", name, verr)
		}
		if err := os.Remove(filepath.Join(p.dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	fault("fails", "mail system is down")
	fault("superfails", "reserved for the superuser")
	if err := os.WriteFile(p.Path, []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	p.restart()
	if _, _, err := p.Sync(t.Context()); err == nil || !strings.Contains(err.Error(), "ours.json") {
		t.Errorf("%v", err)
	}
	if err := os.Remove(p.Path); err != nil {
		t.Fatal(err)
	}
	p.restart()
	if _, err := p.Apply(t.Context(), m); err != nil || p.in("active") != "" {
		t.Errorf("left: %s, %v", p.in("active"), err)
	}
	asked, err := os.ReadFile(filepath.Join(p.dir, "asked"))
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := p.Sync(t.Context()); err != nil {
		t.Error(err)
	}
	if again, err := os.ReadFile(filepath.Join(p.dir, "asked")); err != nil || len(again) != len(asked) {
		t.Errorf("envelopes are read twice: %s %v", again[len(asked):], err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := p.Apply(ctx, m); !errors.Is(err, context.Canceled) && err == nil {
		t.Errorf("%v", err)
	}
}

// What postqueue says is bounded, and nothing of it gets into a command but an ID.
func TestWhatPostqueueSays(t *testing.T) {
	for _, bad := range []string{"{", `{"queue_id":"-d"}`, `{"queue_id":"A1 ALL"}`, `{"queue_id":""}`, `{"queue_id":"` + strings.Repeat("A", maxID+1) + `"}`, `{"queue_id":"A1","arrival_time":"x"}`} {
		if all, err := parse([]byte(bad + "\n")); err == nil {
			t.Errorf("%s: %v", bad, all)
		}
	}
	all, err := parse([]byte(`{"queue_id":"A1","queue_name":"active"}` + "\n\n" + `{"queue_id":"B1","queue_name":"hold","more":{}}` + "\n" + `{"queue_id":"A1","queue_name":"deferred"}`))
	if err != nil || len(all) != 2 || all[0].Queue != "deferred" || all[1].Queue != "hold" {
		t.Errorf("%+v %v", all, err)
	}
	var long strings.Builder
	for i := range MaxQueue + 1 {
		fmt.Fprintf(&long, "{\"queue_id\":\"A%d\"}\n", i)
	}
	if _, err := parse([]byte(long.String())); !errors.Is(err, ErrTooLong) {
		t.Errorf("%v", err)
	}
	q := &Queue{Label: "postfix-queue", Must: true}
	can := q.Capabilities()
	if !can.Domains || !can.Required || slices.Contains(can.Levels, abuse.M1) || q.Name() != "postfix-queue" || q.KillSessions(t.Context(), "a") != nil {
		t.Errorf("%+v", can)
	}
}

// Keep follows the accounts by itself, and says when it cannot.
func TestKeep(t *testing.T) {
	p := start(t)
	p.put("deferred", "A1", "anna@x.example", began)
	p.restrict("anna@x.example", abuse.M2)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	if err := os.WriteFile(filepath.Join(p.dir, "superfails"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	at := began
	var said []bool
	clock := func() time.Time {
		at = at.Add(lookEvery)
		if p.in("hold") == "A1" {
			cancel()
		}
		return at
	}
	err := p.Keep(ctx, clock, func(err error) {
		said = append(said, err == nil)
		if err != nil {
			_ = os.Remove(filepath.Join(p.dir, "superfails"))
		}
	})
	if err != nil || p.in("hold") != "A1" || len(said) == 0 || said[0] {
		t.Errorf("held %s, said %v, %v", p.in("hold"), said, err)
	}
}
