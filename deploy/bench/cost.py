"""What a set of processes costs: CPU time and memory, by control group (v1 or v2) or, where
there is none to write to, by the tree of processes in /proc."""
import os
import signal
import subprocess
import time

TICK = os.sysconf("SC_CLK_TCK")


def base():
    """The folder below which groups are made, and its kind."""
    for folder, kind in (("/sys/fs/cgroup/cpuacct", "v1"), ("/sys/fs/cgroup", "v2")):
        probe = os.path.join(folder, f"postern-bench-{os.getpid()}")
        usage = "cpuacct.usage" if kind == "v1" else "cpu.stat"
        try:
            os.mkdir(probe)
        except OSError:
            continue
        if os.path.exists(os.path.join(probe, usage)):
            return probe, kind
        os.rmdir(probe)
    return None, "proc"


class Group:
    """The processes of one system, in named parts."""

    root, kind = None, None

    def __init__(self, name):
        if Group.kind is None:
            Group.root, Group.kind = base()
        self.name, self.started = name, {}

    def folder(self, part):
        return os.path.join(Group.root, f"{self.name}-{part}")

    def run(self, part, argv, log, **kw):
        """Starts a process in a part of this group."""
        enter = None
        if Group.root:
            os.makedirs(self.folder(part), exist_ok=True)
            procs = os.path.join(self.folder(part), "cgroup.procs")

            def enter():
                with open(procs, "w") as f:
                    f.write("0")
        else:
            self.started.setdefault(part, [])
        p = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True,
                             preexec_fn=enter, **kw)
        self.started.setdefault(part, []).append(p)
        return p

    def pids(self, part):
        if Group.root:
            try:
                with open(os.path.join(self.folder(part), "cgroup.procs")) as f:
                    return [int(x) for x in f.read().split()]
            except FileNotFoundError:
                return []
        mine, parents = [p.pid for p in self.started[part]], tree()
        for pid in mine:  # grows while it is walked
            mine.extend(parents.get(pid, []))
        return [p for p in mine if os.path.exists(f"/proc/{p}")]

    def all(self):
        return [pid for part in self.started for pid in self.pids(part)]

    def alive(self):
        return all(p.poll() is None for ps in self.started.values() for p in ps)

    def cpu(self):
        """CPU milliseconds so far, by part."""
        return {part: self.cpu_of(part) for part in self.started}

    def cpu_of(self, part):
        if Group.kind == "v1":
            with open(os.path.join(self.folder(part), "cpuacct.usage")) as f:
                return int(f.read()) / 1e6
        if Group.kind == "v2":
            with open(os.path.join(self.folder(part), "cpu.stat")) as f:
                return next(int(line.split()[1]) for line in f if line.startswith("usage_usec")) / 1e3
        total = 0
        for pid in self.pids(part):
            try:
                with open(f"/proc/{pid}/stat") as f:
                    fields = f.read().rsplit(")", 1)[1].split()
            except OSError:
                continue
            total += sum(map(int, fields[11:15]))  # utime stime cutime cstime
        return total * 1000 / TICK

    def memory(self):
        """Resident and proportional megabytes, and the number of processes."""
        rss = pss = n = 0
        for pid in self.all():
            try:
                with open(f"/proc/{pid}/smaps_rollup") as f:
                    lines = dict(line.split(":", 1) for line in f if line.startswith(("Rss", "Pss:")))
            except OSError:
                continue
            rss += int(lines["Rss"].split()[0])
            pss += int(lines["Pss"].split()[0])
            n += 1
        return rss / 1024, pss / 1024, n

    def end(self):
        """Ends every process of the group, by its ID."""
        for sig, wait in ((signal.SIGTERM, 8), (signal.SIGKILL, 5)):
            for pid in self.all():
                try:
                    os.kill(pid, sig)
                except ProcessLookupError:
                    pass
            end = time.monotonic() + wait
            while time.monotonic() < end:
                for ps in self.started.values():
                    for p in ps:
                        p.poll()
                if not self.all():
                    break
                time.sleep(0.1)
        for part in self.started:
            if Group.root:
                try:
                    os.rmdir(self.folder(part))
                except OSError:
                    pass


def tree():
    """Children by parent."""
    out = {}
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{pid}/stat") as f:
                parent = int(f.read().rsplit(")", 1)[1].split()[1])
        except OSError:
            continue
        out.setdefault(parent, []).append(int(pid))
    return out


def close():
    """Removes the folder that groups were made in."""
    if Group.root:
        try:
            os.rmdir(Group.root)
        except OSError:
            pass
