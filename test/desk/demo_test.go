package desk

import (
	"bytes"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/chromedp"

	"postern/internal/demo"
	"postern/test/world"
)

// heard keeps what a program prints.
type heard struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (h *heard) Write(b []byte) (int, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.buf.Write(b)
}

func (h *heard) String() string {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.buf.String()
}

var demoLink = regexp.MustCompile(`(http://[^/\s]+)(/welcome/\S+)`)

// TestDemo opens the desk of the demo as a newcomer does: the printed link, a password, the
// figures with a day to look at, and why a message was held.
func TestDemo(t *testing.T) {
	t.Parallel()
	world.Need(t, "clamav-daemon", "/usr/sbin/clamd")
	var said, errs heard
	cmd := exec.Command(world.Binary(t), "demo")
	cmd.Stdout, cmd.Stderr = &said, &errs
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Signal(os.Interrupt)
		if err := cmd.Wait(); err != nil {
			t.Errorf("the end of the demo: %v\n%s", err, errs.String())
		}
	})
	world.Await(t, "the demo prints its link", 3*time.Minute, func() bool { return demoLink.MatchString(said.String()) })
	m := demoLink.FindStringSubmatch(said.String())
	if text := said.String(); !strings.Contains(text, "synthetic") || !strings.Contains(text, demo.Synthetic) {
		t.Errorf("it is not said that the history is made up:\n%s", text)
	}
	b := open(t, m[1], "en")
	b.do(navigate(m[1]+m[2]), visible("#again"), keys("#password", password), keys("#again", password+"\n"), visible("#name"))
	b.do(keys("#name", "demo"), keys("#password", password+"\n"), visible("header nav"))
	b.do(navigate(b.base+"/figures"), visible(".plot"))
	b.until("plots are drawn", `document.querySelectorAll(".plot canvas").length >= 7`)
	b.do(chromedp.EmulateViewport(1280, 2600))
	b.picture("figures")
	// The page says that it is the history, beside the node once that has counted a minute too.
	if got := b.ask(`[...document.querySelectorAll("nav")].some(n => n.textContent.includes("` + demo.Synthetic + `"))`); got != "true" {
		t.Error("the node of the history does not stand on the page")
	}
	b.do(chromedp.EmulateViewport(1280, 800), navigate(b.base+"/held"), visible("tr[data-row]"), chromedp.KeyEvent("j"), chromedp.KeyEvent("\r"))
	b.until("why it was held", `document.querySelector("tr.decided")`)
	b.picture("held")
}
