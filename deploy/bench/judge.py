"""Judges the same labelled mail with Postern, SpamAssassin and Rspamd, each taught by the rest of
it. No network: none of them asks a name server. README.md beside this file says how to read it.

Kin (one sender, one campaign) stays on one side of the split, as in `postern rules fit`."""
import argparse
import email
import email.header
import json
import math
import os
import random
import re
import shutil
import subprocess
import sys
import tempfile
import time

import cost
import systems

ANYBODY = {"aol.com", "gmail.com", "gmx.de", "gmx.net", "googlemail.com", "hotmail.com", "icloud.com", "live.com", "mail.ru", "msn.com", "outlook.com",
           "qq.com", "163.com", "126.com", "web.de", "yahoo.com", "yandex.ru"}


def bare(s, n):
    return re.sub(r"^(re|fwd?)", "", "".join(c for c in s.lower() if c.isalpha())[:n])


def keys(raw):
    m = email.message_from_bytes(raw)
    try:
        subject = str(email.header.make_header(email.header.decode_header(str(m.get("Subject", "")))))
    except (LookupError, ValueError):
        subject = str(m.get("Subject", ""))
    found = re.findall(r"@([a-z0-9.-]+)", str(m.get("From", "")).lower())
    domain = ".".join(found[-1].split(".")[-2:]) if found else ""
    text = next((p.get_payload(decode=True) or b"" for p in m.walk() if p.get_content_maintype() == "text"), b"").decode("utf-8", "replace")
    out = ["d " + domain] if domain and domain not in ANYBODY else []
    if len(bare(subject, 80)) > 24:
        out.append("s " + bare(subject, 80))
    text = bare(re.sub(r"<[^>]*>", "", text), 120)
    return out + (["t " + text] if len(text) > 100 else []) or ["o " + domain + subject + text]


def groups(mails):
    root = {}

    def find(k):
        while root.setdefault(k, k) != k:
            k = root[k]
        return k
    for m in mails:
        for k in m["keys"][1:]:
            root[find(k)] = find(m["keys"][0])
    out = {}
    for m in mails:
        out.setdefault(find(m["keys"][0]), []).append(m)
    return [out[k] for k in sorted(out)]


def read(corpora):
    mails = []
    for label in ("ham", "spam"):
        for folder, _, names in sorted(os.walk(os.path.join(corpora, label))):
            for name in sorted(names):
                path = os.path.join(folder, name)
                with open(path, "rb") as f:
                    raw = f.read()
                mails.append({"label": label, "path": path, "corpus": os.path.relpath(path, os.path.join(corpora, label)).split(os.sep)[0], "keys": keys(raw), "raw": raw})
    return mails


def split(mails, n, seed):
    """n mails to be judged, half of each class, by whole groups; the others teach."""
    rnd, judge, want = random.Random(seed), [], {"ham": n // 2, "spam": n // 2}
    all_groups = groups(mails)
    rnd.shuffle(all_groups)
    taught = []
    for g in all_groups:
        have = {c: sum(m["label"] == c for m in g) for c in want}
        if all(have[c] <= want[c] for c in want) and len(g) <= n // 8:
            judge += g
            for c in want:
                want[c] -= have[c]
        else:
            taught += g
    return judge, taught


def folder(top, name, mails):
    for i, m in enumerate(mails):
        d = os.path.join(top, name, m["label"], m["corpus"])
        os.makedirs(d, exist_ok=True)
        m["file"] = os.path.join(d, "%05d.eml" % i)
        with open(m["file"], "wb") as f:
            f.write(m["raw"])
    return os.path.join(top, name)


def run(argv, **kw):
    p = subprocess.run(argv, capture_output=True, text=True, **kw)
    if p.returncode:
        raise RuntimeError("%s: %s" % (" ".join(argv[:6]), p.stderr[-800:] or p.stdout[-800:]))
    return p.stdout


SCORE = re.compile(r"^  ([A-Z0-9_]+): \{score:")


def merge(rules, fitted):
    """A symbol may have one score only: what is fitted stands in the place of what was there."""
    with open(fitted) as f:
        text = f.read()
    new = {m.group(1) for m in map(SCORE.match, text.splitlines()) if m}
    for name in os.listdir(rules):
        path = os.path.join(rules, name)
        with open(path) as f:
            lines = f.read().splitlines()
        keep = [line for line in lines if not ((m := SCORE.match(line)) and m.group(1) in new)]
        systems.write(path, "\n".join(keep) + "\n")
    shutil.copy(fitted, os.path.join(rules, "zz-fitted.yaml"))


def postern(args, top, judge, taught, group):
    """Scores fitted to the teaching part alone; then the same with learning."""
    conf = os.path.join(top, "postern.yaml")
    rules = os.path.join(top, "rules.d")
    os.makedirs(rules)
    if args.rules:
        for name in os.listdir(args.rules):
            shutil.copy(os.path.join(args.rules, name), rules)
    systems.write(conf, f"hostname: mx.example.org\nstate: {top}/state\nlisteners: [{{name: mx, kind: inbound, addr: 127.0.0.1:{systems.free_port()}}}]\n"
                  f"backends: {{behind: [{{addr: 127.0.0.1:1}}]}}\nroutes: {{example.org: {{backend: behind}}}}\nrules: {{dir: {rules}}}\nlearning: {{aside: 0}}\n")
    ham, spam, fitted = os.path.join(taught, "ham"), os.path.join(taught, "spam"), os.path.join(top, "fitted.yaml")
    run([args.postern, "rules", "fit", "--with-config", conf, "--ham", ham, "--spam", spam, "--learned", "--ham-wrong", str(args.ham_wrong), "--out", fitted])
    merge(rules, fitted)
    serve = [args.postern, "-c", conf, "serve"]
    group.run("postern", serve, systems.log_of(top, "postern.log"))
    for _ in range(300):
        if subprocess.run([args.postern, "-c", conf, "learn", "status"], capture_output=True).returncode == 0:
            break
        time.sleep(0.2)
    for label in ("ham", "spam"):
        run([args.postern, "-c", conf, "learn", label, os.path.join(taught, label)])
    out = {}
    for name, more in (("Postern, nothing learned", []), ("Postern", ["--learned"])):
        scores = os.path.join(top, "scores.tsv")
        run([args.postern, "-c", conf, "eval", "--with-config", conf, "--ham", os.path.join(judge, "ham"), "--spam", os.path.join(judge, "spam"), "--scores", scores] + more)
        with open(scores) as f:
            rows = [line.rstrip("\n").split("\t") for line in f]
        out[name] = (7, {os.path.join(judge, r[0], r[1]): float(r[2]) for r in rows if r[0] in ("ham", "spam")})
    return out


PERL = r"""
use strict; use Mail::SpamAssassin;
my $sa = Mail::SpamAssassin->new({ local_tests_only => 1, dont_copy_prefs => 1, userprefs_filename => $ARGV[0], userstate_dir => $ARGV[1], site_rules_filename => '/etc/spamassassin' });
$sa->compile_now(0, 0);
while (my $path = <STDIN>) {
  chomp $path; open(my $f, '<', $path) or die "$path: $!"; binmode $f; my @lines = <$f>; close $f;
  my $mail = $sa->parse(\@lines); my $status = $sa->check($mail);
  printf "%s\t%s\n", $path, $status->get_score(); $status->finish(); $mail->finish();
}
"""


def spamassassin(top, judged, taught):
    home = os.path.join(top, "sa")
    os.makedirs(home)
    prefs = systems.write(os.path.join(home, "user_prefs"), f"bayes_path {home}/bayes\nbayes_auto_learn 0\nuse_bayes 1\nuse_auto_whitelist 0\n")
    for label in ("ham", "spam"):
        run(["sa-learn", "--local", "-p", prefs, "--" + label, "--no-sync", os.path.join(taught, label)])
    run(["sa-learn", "--local", "-p", prefs, "--sync"])
    script = systems.write(os.path.join(home, "judge.pl"), PERL)
    out = run(["perl", script, prefs, home], input="".join(m["file"] + "\n" for m in judged))
    return {"SpamAssassin": (5, {p: float(s) for p, s in (line.split("\t") for line in out.splitlines() if "\t" in line)})}


# What the mere age of a message, or that nobody asks a name server, makes fire.
NEUTRAL = re.compile(r"DATE_IN_|MISSING_DATE|INVALID_DATE|R_DKIM|R_SPF|DMARC|ARC_|DKIM_|AUTH_NA|RDNS|HFILTER|ASN|_DNSFAIL|VIOLATED|RBL|SURBL|URIBL|DBL|ONCE_RECEIVED|RCVD_|HOSTNAME|MX_|FROM_DN|FORGED_RECVD")


def rspamd(args, top, judged, taught, group):
    class Nobody:
        dns = "127.0.0.1:" + str(systems.free_port())
    controller = systems.free_port()
    real = systems.free_port
    ports = iter([real(), real(), controller])
    systems.free_port = lambda: next(ports, None) or real()
    systems.start_rspamd(group, top, Nobody, None)
    systems.free_port = real
    at = ["rspamc", "-h", f"127.0.0.1:{controller}", "-P", "bench", "-t", "120"]
    for _ in range(300):
        if subprocess.run(at + ["stat"], capture_output=True).returncode == 0:
            break
        time.sleep(0.2)
    for label in ("ham", "spam"):
        for d, _, names in os.walk(os.path.join(taught, label)):
            for i in range(0, len(names), 100):
                run(at + ["-n", "4", "learn_" + label] + [os.path.join(d, n) for n in names[i:i + 100]])
    as_is, neutral = {}, {}
    for m in judged:
        r = json.loads(run(at + ["--json", m["file"]]))
        as_is[m["file"]] = r["score"]
        neutral[m["file"]] = r["score"] - sum(s["score"] for n, s in r["symbols"].items() if NEUTRAL.search(n))
    return {"Rspamd": (6, as_is), "Rspamd, dates and DNS neutral": (6, neutral)}


def wilson(k, n):
    z = 1.96
    p = k / n
    mid, half = p + z * z / (2 * n), z * math.sqrt(p * (1 - p) / n + z * z / (4 * n * n))
    return max(0, (mid - half) / (1 + z * z / n)), min(1, (mid + half) / (1 + z * z / n))


def share(k, n):
    lo, hi = wilson(k, n)
    return f"{100 * k / n:.1f} % ({100 * lo:.1f} to {100 * hi:.1f})"


def report(name, bar, scores, judged):
    ham = sorted(scores[m["file"]] for m in judged if m["label"] == "ham")
    spam = sorted(scores[m["file"]] for m in judged if m["label"] == "spam")
    auc = sum(sum(h < s for h in ham) + sum(h == s for h in ham) / 2 for s in spam) / len(ham) / len(spam)
    row = [name, f"{auc:.4f}", share(sum(h >= bar for h in ham), len(ham)), share(sum(s < bar for s in spam), len(spam))]
    for at in (0.001, 0.005, 0.01):
        line = ham[len(ham) - 1 - int(at * len(ham))]
        row.append(share(sum(s <= line for s in spam), len(spam)))
    print("| " + " | ".join(row) + " |", flush=True)


def main():
    p = argparse.ArgumentParser(description=__doc__)
    p.add_argument("--corpora", default="../shared/corpora")
    p.add_argument("--postern", default="bin/postern")
    p.add_argument("--rules", help="rule files that stand before the fit, for scores that have not seen the judged mail")
    p.add_argument("--ham-wrong", type=float, default=0.1)
    p.add_argument("-n", type=int, default=2000)
    p.add_argument("--seed", type=int, default=1)
    p.add_argument("--without", nargs="*", default=[], help="corpora that neither teach nor are judged")
    p.add_argument("--only", nargs="*", default=["postern", "spamassassin", "rspamd"])
    args = p.parse_args()
    args.postern = os.path.abspath(args.postern)
    top = tempfile.mkdtemp(prefix="postern-judge-")
    os.chmod(top, 0o755)
    mails = [m for m in read(args.corpora) if m["corpus"] not in args.without]
    judged, taught = split(mails, args.n, args.seed)
    judge, teach = folder(top, "judge", judged), folder(top, "taught", taught)
    counts = {f"{m['label']}/{m['corpus']}": 0 for m in judged}
    for m in judged:
        counts[f"{m['label']}/{m['corpus']}"] += 1
    print(f"{len(judged)} judged ({counts}), {len(taught)} taught, seed {args.seed}\n")
    print("| | AUC | good mail over its line | spam below it | spam missed at 0.1 % | at 0.5 % | at 1 % |\n|---|---|---|---|---|---|---|")
    group = cost.Group("judge")
    try:
        for name in args.only:
            found = {"postern": lambda: postern(args, top, judge, teach, group), "spamassassin": lambda: spamassassin(top, judged, teach),
                     "rspamd": lambda: rspamd(args, top, judged, teach, group)}[name]()
            for who, (bar, scores) in found.items():
                report(who, bar, scores, judged)
    finally:
        group.end()
        cost.close()
        shutil.rmtree(top, ignore_errors=True)


if __name__ == "__main__":
    sys.exit(main())
