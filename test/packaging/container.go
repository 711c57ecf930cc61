package packaging

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// setup makes the root of a container in a mount namespace of its own and becomes its program.
// $1 root, $2 image or "", $3 user:group, $4 ro or rw; lines of "bind FROM TO ro|rw" and
// "tmpfs TO OPTIONS" on standard input until "run"; then come the words of the program.
const setup = `
root=$1 image=$2 who=$3 mode=$4; shift 4
mount -t tmpfs -o mode=0755 root "$root"
if [ -n "$image" ]; then
  cp -a "$image/." "$root/"
else
  mkdir "$root/usr" "$root/etc"
  mount --bind /usr "$root/usr"
  mount -o remount,bind,ro "$root/usr"
  for d in bin sbin lib lib64; do [ ! -e "/$d" ] || ln -s "usr/$d" "$root/$d"; done
  cp /etc/passwd /etc/group /etc/ld.so.cache "$root/etc/"
fi
mkdir -p "$root/proc" "$root/dev" "$root/tmp"
mount --bind /proc "$root/proc"
for d in null zero urandom random; do touch "$root/dev/$d"; mount --bind "/dev/$d" "$root/dev/$d"; done
while read -r what from to how; do
  case $what in
  run) break ;;
  tmpfs) mkdir -p "$root$from"; mount -t tmpfs -o "$to" tmpfs "$root$from" ;;
  bind)
    if [ -d "$from" ]; then mkdir -p "$root$to"; else mkdir -p "$root${to%/*}"; touch "$root$to"; fi
    mount --bind "$from" "$root$to"
    [ "$how" = rw ] || mount -o remount,bind,ro "$root$to" ;;
  esac
done
[ "$mode" = rw ] || mount -o remount,ro "$root"
exec setpriv --no-new-privs chroot --userspec="$who" --groups= "$root" "$@"
`

// Container is a service that runs in a root of its own, without rights.
type Container struct {
	Name  string
	Words []string
	UID   int
	GID   int

	svc    Service
	root   string
	image  Image
	env    []string
	mounts []string // lines for setup
	health []string
	cmd    *exec.Cmd
	done   chan struct{}
	mu     sync.Mutex
	log    bytes.Buffer
}

// Write implements io.Writer: what the program says.
func (c *Container) Write(p []byte) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.log.Write(p)
}

// Log is what it said so far.
func (c *Container) Log() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.log.String()
}

// owner sets UID and GID from "10025:10025" or a name.
func (c *Container) owner(who string) error {
	if n, err := fmt.Sscanf(who, "%d:%d", &c.UID, &c.GID); n == 2 && err == nil {
		return nil
	}
	u, err := user.Lookup(who)
	if err != nil {
		return err
	}
	_, err = fmt.Sscanf(u.Uid+":"+u.Gid, "%d:%d", &c.UID, &c.GID)
	return err
}

func (c *Container) who() string { return fmt.Sprintf("%d:%d", c.UID, c.GID) }

// Run starts the program; the test ends it.
func (c *Container) Run(t testing.TB) {
	t.Helper()
	mode := "rw"
	if c.svc.ReadOnly {
		mode = "ro"
	}
	words := append([]string{"--mount", "--propagation", "private", "sh", "-euc", setup, "sh", c.root, c.image.Dir, c.who(), mode}, c.Words...)
	c.cmd = exec.Command("unshare", words...)
	c.cmd.Env = c.env
	c.cmd.Stdin = strings.NewReader(strings.Join(c.mounts, "\n") + "\nrun\n")
	c.cmd.Stdout, c.cmd.Stderr = c, c
	c.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := c.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	c.done = done
	go func(cmd *exec.Cmd) { _ = cmd.Wait(); close(done) }(c.cmd)
	t.Cleanup(func() {
		if log := c.Log(); t.Failed() {
			t.Logf("%s said at the end:\n%s", c.Name, log[max(0, len(log)-3000):])
		}
		_ = c.cmd.Process.Kill()
		<-done
	})
}

// PID is the program's.
func (c *Container) PID() int { return c.cmd.Process.Pid }

// Running reports whether the program lives.
func (c *Container) Running() bool {
	select {
	case <-c.done:
		return false
	default:
		return true
	}
}

// Exec runs a program inside, as docker exec does.
func (c *Container) Exec(words ...string) (string, error) {
	args := append([]string{fmt.Sprintf("--mount=/proc/%d/ns/mnt", c.PID()), "setpriv", "--no-new-privs", "chroot", "--userspec=" + c.who(), "--groups=", c.root}, words...)
	cmd := exec.Command("nsenter", args...)
	cmd.Env = c.env
	out, err := cmd.CombinedOutput()
	return string(out), err
}

// Healthy waits until the health check says yes.
func (c *Container) Healthy(t testing.TB) {
	t.Helper()
	last, deadline := "", time.Now().Add(90*time.Second)
	for time.Now().Before(deadline) {
		if !c.Running() {
			t.Fatalf("%s ended", c.Name)
		}
		out, err := c.Exec(c.health...)
		if err == nil {
			return
		}
		last = fmt.Sprintf("%v: %s", err, out)
		time.Sleep(200 * time.Millisecond)
	}
	t.Fatalf("%s is not healthy: %s", c.Name, last)
}

// Stop sends the stop signal and waits as long as the service has to end by itself.
func (c *Container) Stop(t testing.TB) *os.ProcessState {
	t.Helper()
	grace, err := time.ParseDuration(c.svc.Grace)
	if err != nil {
		t.Fatal(err)
	}
	if err := c.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	select {
	case <-c.done:
	case <-time.After(grace):
		t.Fatalf("%s did not end within %s", c.Name, grace)
	}
	return c.cmd.ProcessState
}

// Writable are the mounts of the running program that are not read-only, without the
// kernel's own.
func (c *Container) Writable() ([]string, error) {
	src, err := os.ReadFile(fmt.Sprintf("/proc/%d/mountinfo", c.PID()))
	if err != nil {
		return nil, err
	}
	var out []string
	for line := range strings.Lines(string(src)) {
		f := strings.Fields(line)
		inside, ok := strings.CutPrefix(f[4], c.root)
		if !ok || strings.HasPrefix(inside, "/proc") || strings.HasPrefix(inside, "/dev/") {
			continue // outside of its root, or the kernel's
		}
		options := f[5] + "," + f[len(f)-1] // of the mount, and of its filesystem
		if !strings.Contains(","+options+",", ",ro,") {
			out = append(out, filepath.Join("/", inside))
		}
	}
	return out, nil
}
