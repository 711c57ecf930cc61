package answer

import (
	"errors"
	"strings"
	"testing"

	"github.com/emersion/go-smtp"

	"postern/filter"
	"postern/internal/address"
	"postern/internal/smtpd/command"
)

func TestError(t *testing.T) {
	for _, tt := range []struct {
		in   *command.Reply
		id   string
		want string
	}{
		{command.NewReply(550, 7, 1, "no"), "ID", "no (ref ID)"},
		{command.NewReply(550, 7, 1, "no (ref ID)"), "ID", "no (ref ID)"},
		{command.NewReply(250, 0, 0, "yes"), "ID", "yes"},
		{command.NewReply(451, 3, 0, "later"), "", "later"},
		{command.NewReply(550, 7, 1, "a\r\nb"), "", "a??b"},
	} {
		var got *smtp.SMTPError
		if !errors.As(Error(tt.in, tt.id), &got) || got.Message != tt.want || got.Code != tt.in.Code {
			t.Errorf("%+v: %+v", tt.in, got)
		}
	}
	var long *smtp.SMTPError
	if !errors.As(Error(command.NewReply(550, 7, 1, strings.Repeat("x", 5000)), "ID"), &long) || !strings.HasSuffix(long.Message, " (ref ID)") || len(long.Message) > 490 {
		t.Errorf("%+v", long)
	}
}

func TestVerdict(t *testing.T) {
	for _, tt := range []struct {
		in   filter.Verdict
		want string
	}{
		{filter.Verdict{Action: filter.Reject, Public: "on a list"}, "550 5.7.1 on a list"},
		{filter.Verdict{Action: filter.Reject}, "550 5.7.1 not accepted by local policy"},
		{filter.Verdict{Action: filter.Defer, Public: "come again"}, "451 4.7.1 come again"},
		{filter.Verdict{Action: filter.Reject, Public: "554 5.7.9 whole"}, "554 5.7.9 whole"},
		{filter.Verdict{Action: filter.Reject, Public: "250 2.0.0 lies"}, "550 5.7.1 250 2.0.0 lies"},
		{filter.Verdict{Action: filter.Defer, Public: "550 5.7.1 too hard"}, "451 4.7.1 550 5.7.1 too hard"},
	} {
		if got := Verdict(tt.in); got == nil || got.String() != tt.want {
			t.Errorf("%+v: %v", tt.in, got)
		}
	}
	for _, a := range []filter.Action{filter.Accept, filter.Tag, filter.Quarantine} {
		if r := Verdict(filter.Verdict{Action: a, Public: "x"}); r != nil {
			t.Errorf("%s refuses: %v", a, r)
		}
	}
}

func TestBadAddress(t *testing.T) {
	for err, want := range map[error]string{address.ErrUTF8: "553 5.6.7", address.ErrRoute: "550 5.1.3", address.ErrSyntax: "501 5.1.3", address.ErrControl: "501 5.1.3"} {
		if got := BadAddress(err, 3).String(); !strings.HasPrefix(got, want) {
			t.Errorf("%v: %s", err, got)
		}
	}
	if TryLater().Code != 451 {
		t.Error("unknown means 451")
	}
}

// TestRefusal has the address of the page stand behind the reference, where there is room.
func TestRefusal(t *testing.T) {
	const at = "https://mail.example/r/"
	for _, tt := range []struct {
		in           *command.Reply
		id, at, want string
	}{
		{command.NewReply(550, 7, 1, "no"), "ID", at, "no (ref ID) https://mail.example/r/ID"},
		{command.NewReply(550, 7, 1, "no (ref ID)"), "ID", at, "no (ref ID) https://mail.example/r/ID"},
		{command.NewReply(451, 7, 1, "later"), "ID", at, "later (ref ID) https://mail.example/r/ID"},
		{command.NewReply(550, 7, 1, "no"), "ID", "", "no (ref ID)"},
		{command.NewReply(550, 7, 1, "no"), "", at, "no"},
		{command.NewReply(250, 0, 0, "yes"), "ID", at, "yes"},
	} {
		var got *smtp.SMTPError
		if !errors.As(Refusal(tt.in, tt.id, tt.at), &got) || got.Message != tt.want || got.Code != tt.in.Code {
			t.Errorf("%+v: %+v", tt.in, got)
		}
	}
	var long *smtp.SMTPError
	if !errors.As(Refusal(command.NewReply(550, 7, 1, strings.Repeat("x", 5000)), "ID", at), &long) || !strings.HasSuffix(long.Message, " (ref ID) "+at+"ID") || len(long.Message) > 490 {
		t.Errorf("%+v", long)
	}
	whole := strings.Repeat("x", 470) + " (ref ID)"
	if !errors.As(Refusal(command.NewReply(550, 7, 1, whole), "ID", at), &long) || long.Message != whole {
		t.Errorf("no room for the page: %+v", long)
	}
}
