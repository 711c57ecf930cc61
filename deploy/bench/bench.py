"""One round of the bench: starts each gateway with a configuration of its own, sends all mails
through it, and prints what it cost. README.md beside this file says how to read the table."""
import argparse
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time

import cost
import systems


class Drive:
    """The sender, the server behind and the name server, in one process."""

    def __init__(self, tools, mails, log):
        self.p = subprocess.Popen(
            [os.path.join(tools, "drive"), "-mails", mails, "-keys", os.path.join(mails, "keys.tsv")],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log, text=True)
        line = self.p.stdout.readline()
        if not line:
            raise RuntimeError("the sender did not start: see drive.log")
        hello = json.loads(line)
        self.sink, self.dns = hello["sink"], hello["dns"]

    def run(self, **task):
        self.p.stdin.write(json.dumps({"wait": 60 * 10**9, **task}) + "\n")
        self.p.stdin.flush()
        line = self.p.stdout.readline()
        if not line:
            raise RuntimeError("the sender died: see drive.log")
        return json.loads(line)

    def close(self):
        self.p.stdin.close()
        try:
            self.p.wait(20)
        except subprocess.TimeoutExpired:
            self.p.kill()


def await_port(addr, group, limit=90):
    host, port = addr.rsplit(":", 1)
    end = time.monotonic() + limit
    while time.monotonic() < end and group.alive():
        try:
            socket.create_connection((host, int(port)), 2).close()
            return
        except OSError:
            time.sleep(0.1)
    raise RuntimeError(f"nothing listens on {addr}")


def catch(heads, index, score_of, bar):
    """How many of the labelled mails reach the bar. One without a score was not judged."""
    out = {"spam": [0, 0], "ham": [0, 0], "unjudged": 0}
    for i, m in index.items():
        if m["label"] not in out or i not in heads:
            continue
        score = score_of(heads[i])
        if score is None:
            out["unjudged"] += 1
            continue
        out[m["label"]][0] += score >= bar
        out[m["label"]][1] += 1
    return out


def measure(system, args, drive, index, work):
    folder = tempfile.mkdtemp(prefix=system.name.replace(" ", "-") + "-", dir=work)
    os.chmod(folder, 0o755)
    group = cost.Group(system.name.replace(" ", "-"))
    try:
        system.start(group, folder, drive)
        await_port(system.addr, group)
        system.ready(group)
        drive.run(name="warm", addr=system.addr, count=args.warm, c=4, xclient=system.xclient)
        for c in args.c:
            heads = os.path.join(folder, f"heads-{c}.json")
            before, others = group.cpu(), machine_cpu()
            r = drive.run(name=system.name, addr=system.addr, c=c, xclient=system.xclient, heads=heads)
            after, busy = group.cpu(), machine_cpu() - others
            n = max(r["accepted"], 1)
            r["parts"] = {part: (after[part] - before[part]) / n for part in after}
            r["cpu"] = sum(r["parts"].values())
            r["busy"] = busy / max(r["seconds"], 0.001)
            r["rss"], r["pss"], r["procs"] = group.memory()
            r["dns"] = r["questions"] / n
            if system.score_of:
                with open(heads) as f:
                    r["catch"] = catch(json.load(f), index, system.score_of, system.bar)
            yield r
    finally:
        system.stop(group)
        group.end()


def machine_cpu():
    """CPU seconds that all of the machine has spent."""
    with open("/proc/stat") as f:
        v = list(map(int, f.readline().split()[1:]))
    return (sum(v[:3]) + sum(v[5:8])) / cost.TICK


COLUMNS = "| {:22} | {:>2} | {:>7} | {:>5} | {:>8} | {:>7} | {:>7} | {:>7} | {:>6} | {:>6} | {:>5} | {:>11} | {:>11} | {}"


def head():
    print(COLUMNS.format("system", "c", "arrived", "err", "CPU ms", "x relay", "p50 ms", "p99 ms", "RSS MB", "PSS MB", "DNS", "spam caught", "ham caught", "CPU ms by part |"))
    print("|---|---|---|---|---|---|---|---|---|---|---|---|---|---|", flush=True)


def show(r):
    spam = ham = ""
    if "catch" in r:
        spam, ham = ("{}/{}".format(*r["catch"][k]) for k in ("spam", "ham"))
    parts = ", ".join(f"{k} {v:.2f}" for k, v in r["parts"].items())
    print(COLUMNS.format(r["name"], r["c"], f"{r['arrived']}/{r['sent']}", r["errors"], f"{r['cpu']:.2f}", f"{r['x']:.1f}" if "x" in r else "", f"{r['p50']:.1f}", f"{r['p99']:.1f}",
                         f"{r['rss']:.0f}", f"{r['pss']:.0f}", f"{r['dns']:.1f}", spam, ham, parts + " |"), flush=True)
    for e in r.get("examples") or []:
        print("  error:", e)


def wanted(rows):
    """Compares with what is wanted: CPU per message at 10 connections."""
    bad = 0
    for name, most in (("postern", 3.0), ("postern+clamd", 7.0)):
        for r in rows:
            if r["name"] == name and r["c"] == 10:
                ok = r["cpu"] <= most and r["arrived"] == r["sent"]
                bad += not ok
                print(f"{name}: {r['cpu']:.2f} ms CPU a message, wanted at most {most}: {'met' if ok else 'NOT MET'}")
    return bad


def main():
    p = argparse.ArgumentParser(description=__doc__)
    p.add_argument("--corpora", required=True)
    p.add_argument("--tools", required=True, help="folder of the built drive, mails and relay")
    p.add_argument("--postern", default="bin/postern")
    p.add_argument("--n", type=int, default=500, help="about how many mails")
    p.add_argument("--warm", type=int, default=50, help="mails sent before measuring")
    p.add_argument("--c", type=int, nargs="+", default=[1, 10, 50], help="connections at once")
    p.add_argument("--only", nargs="+", help="names of systems")
    p.add_argument("--rounds", type=int, default=1)
    p.add_argument("--json", help="file to write all results to")
    p.add_argument("--keep", action="store_true", help="keep the work folder")
    args = p.parse_args()
    args.tools, args.postern = os.path.abspath(args.tools), os.path.abspath(args.postern)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    work = tempfile.mkdtemp(prefix="postern-bench-")
    os.chmod(work, 0o755)
    mails, rows, failed = os.path.join(work, "mails"), [], 0
    os.mkdir(mails)
    subprocess.run([os.path.join(args.tools, "mails"), "-corpora", args.corpora, "-out", mails, "-n", str(args.n)], check=True)
    with open(os.path.join(mails, "index.jsonl")) as f:
        index = {m["id"]: m for m in map(json.loads, f)}
    drive = Drive(args.tools, mails, open(os.path.join(work, "drive.log"), "ab"))
    try:
        head()
        for _ in range(args.rounds):
            for system in systems.systems(args):
                if args.only and system.name not in args.only:
                    continue
                try:
                    for r in measure(system, args, drive, index, work):
                        bare = [b["cpu"] for b in rows + [r] if b["name"] == "go-smtp relay" and b["c"] == r["c"]]
                        if bare:
                            r["x"] = r["cpu"] / bare[-1]
                        rows.append(r)
                        show(r)
                except (RuntimeError, OSError, subprocess.SubprocessError) as e:
                    failed, args.keep = failed + 1, True
                    print(f"{system.name}: FAILED: {e}", flush=True)
        print(f"\nCPU counted by: {cost.Group.kind}; other work on the machine is in no figure but slows the clock ones")
        failed += wanted(rows)
        if args.json:
            with open(args.json, "w") as f:
                json.dump(rows, f, indent=1)
    finally:
        drive.close()
        cost.close()
        if args.keep:
            print("kept:", work)
        else:
            shutil.rmtree(work, ignore_errors=True)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
