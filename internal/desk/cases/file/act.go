package file

import (
	"net/http"
	"strconv"
	"strings"

	"postern/internal/desk/page"
)

// call is what a form of the page asks for.
type call struct {
	name   string
	params map[string]any
}

// asked turns a form into a call; ok is false for an act that there is not.
func asked(r *http.Request, caseID, me string) (c call, ok bool) {
	word := func(name string) string { return strings.TrimSpace(r.PostFormValue(name)) }
	p := map[string]any{"id": caseID}
	why := func() { p["reason"] = word("reason") }
	switch act := r.PostFormValue("act"); act {
	case "take":
		c.name, p["owner"] = "case.assign", me
	case "assign":
		c.name, p["owner"] = "case.assign", word("owner")
	case "drop":
		c.name, p["owner"] = "case.assign", ""
	case "comment":
		c.name = "case.comment"
		why()
	case "category":
		all := r.PostForm["category"]
		c.name, p["categories"] = "case.category", all
	case "priority":
		c.name = "case.priority"
		p["priority"], _ = strconv.Atoi(word("priority")) // 0 is refused
		why()
	case "state":
		c.name, p["to"] = "case.state", word("to")
		if b := word("barred"); b != "" {
			p["barred"] = b
		}
		if word("no_abuse") != "" {
			p["no_abuse"] = true
		}
		why()
	case "merge":
		c.name, p["other"] = "case.merge", strings.ToUpper(word("other"))
		why()
	case "unmerge", "reopen", "end":
		c.name = "case." + act
		if o := word("order"); o != "" {
			p["order"] = o
		}
		why()
	case "hold", "unhold":
		c.name, p["on"] = "case.hold", act == "hold"
		why()
	default:
		return onOthers(r, act)
	}
	c.params = p
	return c, true
}

// onOthers are the acts on what belongs to a case: a report, a measure, a proposal.
func onOthers(r *http.Request, act string) (c call, ok bool) {
	p := map[string]any{"id": r.PostFormValue("of"), "reason": strings.TrimSpace(r.PostFormValue("reason"))}
	switch act {
	case "judge":
		c.name, p["verdict"] = "complaint.judge", r.PostFormValue("verdict")
	case "undo":
		c.name = "measure.undo"
		if r.PostFormValue("cleared") != "" {
			p["cleared"] = true
		}
	case "approve":
		c.name = "approval.approve"
	case "refuse":
		c.name = "approval.refuse"
	default:
		return c, false
	}
	c.params = p
	return c, true
}

// dangerous acts are asked for by somebody who proved lately to be who is signed in.
func dangerous(c call) bool {
	return c.name == "case.end" || c.name == "approval.approve" || c.name == "case.hold" && c.params["on"] == false || c.params["to"] == "TERMINATED"
}

func (h *Room) act(w http.ResponseWriter, r *http.Request) {
	id, me := r.PathValue("id"), ""
	if u := page.Of(r.Context()).User; u != nil {
		me = u.Name
	}
	c, ok := asked(r, id, me)
	if !ok {
		h.Kit.Fail(w, r, &page.Error{Status: http.StatusBadRequest})
		return
	}
	if dangerous(c) && !h.Kit.Fresh(w, r) {
		return
	}
	var out any
	if err := h.Calls.Call(r.Context(), c.name, c.params, &out); err != nil {
		h.Kit.Fail(w, r, err)
		return
	}
	h.Kit.Back(w, r, "/cases/"+id)
}
