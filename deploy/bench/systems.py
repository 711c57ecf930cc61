"""The gateways that are measured, each with a private configuration on loopback. All of them
only mark mail, so that every message arrives behind and all did the same work."""
import os
import pwd
import re
import shutil
import socket
import subprocess
import time

EICAR = rb"X5O!P%@AP[4\PZX54(P^)7CC)7}$EICAR-STANDARD-ANTIVIRUS-TEST-FILE!$H+H*"


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def write(path, text, owner=None):
    with open(path, "w") as f:
        f.write(text)
    if owner:
        shutil.chown(path, owner)
    return path


def folder_of(parent, name, owner=None, mode=0o755):
    path = os.path.join(parent, name)
    os.makedirs(path, exist_ok=True)
    os.chmod(path, mode)
    if owner:
        shutil.chown(path, owner)
    return path


def log_of(folder, name):
    return open(os.path.join(folder, name), "ab")


class System:
    xclient, score_of, bar = True, None, 0

    def __init__(self, name, args):
        self.name, self.args = name, args
        self.addr = f"127.0.0.1:{free_port()}"

    def ready(self, group):
        pass

    def stop(self, group):
        pass


class Relay(System):
    xclient = False

    def start(self, group, folder, drive):
        group.run("mta", [os.path.join(self.args.tools, "relay"), "-addr", self.addr, "-sink", drive.sink], log_of(folder, "relay.log"))


def start_clamd(group, folder, options=""):
    """clamd with the test signature alone and without its cache: parsing is what costs, and
    the mails repeat. The official set costs more; see README.md."""
    db = folder_of(folder, "clamdb", "clamav")
    write(os.path.join(db, "bench.ndb"), "Bench.Eicar:0:*:" + EICAR.hex() + "\n", "clamav")
    tmp, sock = folder_of(folder, "clamtmp", "clamav"), os.path.join(folder_of(folder, "clamrun", "clamav"), "clamd.sock")
    conf = write(os.path.join(folder, "clamd.conf"), f"""Foreground yes
LogFile {os.path.join(tmp, "clamd.log")}
LocalSocket {sock}
LocalSocketMode 666
DatabaseDirectory {db}
TemporaryDirectory {tmp}
User clamav
MaxThreads 10
StreamMaxLength 50M
MaxFileSize 50M
MaxScanSize 200M
DisableCache yes
SelfCheck 36000
{options}""")
    p = group.run("clamd", ["clamd", "-c", conf], log_of(folder, "clamd.out"))
    for _ in range(600):
        if os.path.exists(sock):
            return sock
        if p.poll() is not None:
            break
        time.sleep(0.1)
    raise RuntimeError("clamd did not start: see " + folder)


class Postfix(System):
    """Postfix with its own queue; a milter where Rspamd is asked too."""

    def __init__(self, name, args, rspamd=False, clamd=False):
        super().__init__(name, args)
        self.rspamd, self.clamd = rspamd, clamd
        if rspamd:
            self.score_of, self.bar = rspamd_score, 6

    def start(self, group, folder, drive):
        milter = ""
        if self.rspamd:
            sock = start_clamd(group, folder) if self.clamd else None
            milter = "smtpd_milters = inet:" + start_rspamd(group, folder, drive, sock)
        self.conf = folder_of(folder, "postfix")
        queue, data = folder_of(folder, "queue"), folder_of(folder, "data", "postfix")
        write(os.path.join(self.conf, "main.cf"), f"""compatibility_level = 3.6
queue_directory = {queue}
data_directory = {data}
myhostname = gw.inside.test
mydestination =
alias_maps =
local_recipient_maps =
inet_interfaces = 127.0.0.1
inet_protocols = ipv4
mynetworks = 127.0.0.2/32
relay_domains = inside.test
relay_transport = relay:[127.0.0.1]:{drive.sink.rsplit(":", 1)[1]}
default_transport = error:loopback only
smtpd_relay_restrictions = reject_unauth_destination
smtpd_authorized_xclient_hosts = 127.0.0.0/8
smtpd_client_connection_count_limit = 0
smtpd_peername_lookup = no
smtp_host_lookup = native
lmtp_host_lookup = native
smtp_dns_support_level = disabled
default_process_limit = 100
message_size_limit = 52428800
maillog_file = {os.path.join(folder, "postfix.log")}
maillog_file_prefixes = {folder}
milter_default_action = tempfail
{milter}
""")
        services = [f"{self.addr.rsplit(':', 1)[1]} inet n - n - - smtpd", "pickup unix n - n 60 1 pickup", "cleanup unix n - n - 0 cleanup",
                    "qmgr unix n - n 300 1 qmgr", "rewrite unix - - n - - trivial-rewrite", "bounce unix - - n - 0 bounce",
                    "defer unix - - n - 0 bounce", "trace unix - - n - 0 bounce", "verify unix - - n - 1 verify", "flush unix n - n 1000? 0 flush",
                    "proxymap unix - - n - - proxymap", "smtp unix - - n - - smtp", "relay unix - - n - - smtp", "error unix - - n - - error",
                    "retry unix - - n - - error", "discard unix - - n - - discard", "anvil unix - - n - 1 anvil", "scache unix - - n - 1 scache",
                    "postlog unix-dgram n - n - 1 postlogd"]
        write(os.path.join(self.conf, "master.cf"), "\n".join(services) + "\n")
        log = log_of(folder, "postfix.out")
        group.run("mta", ["postfix", "-c", self.conf, "start-fg"], log)

    def stop(self, group):
        if hasattr(self, "conf"):
            subprocess.run(["postfix", "-c", self.conf, "stop"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, timeout=30, check=False)


def rspamd_score(head):
    m = re.search(r"(?im)^X-Spamd-Result:[^\[]*\[(-?[\d.]+) /", head)
    return float(m.group(1)) if m else None


def start_rspamd(group, folder, drive, clamd):
    """Rspamd as Debian configures it, with a private Redis; limits and greylisting off."""
    port = free_port()
    redis_dir = folder_of(folder, "redis", mode=0o700)
    group.run("redis", ["redis-server", "--bind", "127.0.0.1", "--port", str(port), "--save", "", "--appendonly", "no", "--dir", redis_dir],
              log_of(folder, "redis.log"))
    conf, run = os.path.join(folder, "rspamd"), folder_of(folder, "rspamd-run", "_rspamd")
    shutil.copytree("/etc/rspamd", conf)
    local = folder_of(conf, "local.d")
    milter = f"127.0.0.1:{free_port()}"

    def put(name, text):
        write(os.path.join(local, name), text + "\n")
    put("options.inc", f'dns {{ nameserver = ["{drive.dns}"]; timeout = 1s; retransmits = 2; }}\npidfile = "{run}/rspamd.pid";\n'
        f'control_socket = "{run}/rspamd.sock mode=0600";\nhs_cache_dir = "{run}/";')
    put("logging.inc", f'type = "file"; filename = "{run}/rspamd.log"; level = "notice";')
    put("worker-normal.inc", "enabled = false;")
    put("worker-controller.inc", f'bind_socket = "127.0.0.1:{free_port()}"; password = "bench"; enable_password = "bench";')
    put("worker-proxy.inc", f'bind_socket = "{milter}"; milter = yes; timeout = 120s; count = 2;\nupstream "local" {{ default = yes; self_scan = yes; }}')
    put("worker-fuzzy.inc", "enabled = false;")
    put("redis.conf", f'servers = "127.0.0.1:{port}";')
    put("classifier-bayes.conf", f'backend = "redis"; servers = "127.0.0.1:{port}";')
    put("greylist.conf", "enabled = false;")
    put("ratelimit.conf", "enabled = false;")
    put("actions.conf", "reject = 9999; add_header = 6; greylist = 9998; rewrite_subject = 9997;")
    put("milter_headers.conf", 'use = ["x-spamd-result"]; skip_local = false; skip_authenticated = false;')
    if clamd:
        put("antivirus.conf", f'clamav {{ type = "clamav"; servers = "{clamd}"; symbol = "CLAM_VIRUS"; scan_mime_parts = false; no_cache = true; '
            'log_clean = false; max_size = 50000000; timeout = 60s; }')
    group.run("rspamd", ["rspamd", "-f", "-u", "_rspamd", "-g", "_rspamd", "-c", os.path.join(conf, "rspamd.conf"), f"--var=CONFDIR={conf}",
                         f"--var=LOCAL_CONFDIR={conf}", f"--var=RUNDIR={run}", f"--var=DBDIR={run}", f"--var=LOGDIR={run}"], log_of(folder, "rspamd.out"))
    host, p = milter.split(":")
    for _ in range(600):
        try:
            socket.create_connection((host, int(p)), 1).close()
            return milter
        except OSError:
            time.sleep(0.1)
    raise RuntimeError("rspamd did not start: see " + folder)


class Postern(System):
    bar = 7  # from here the default policy holds

    def __init__(self, name, args, clamd=False, profile=False):
        super().__init__(name, args)
        self.clamd = clamd
        self.admin = f"127.0.0.1:{free_port()}"
        self.score_of = postern_score

    def start(self, group, folder, drive):
        scanner = ""
        if self.clamd:
            scanner = f'clamav: {{addrs: ["unix:{start_clamd(group, folder)}"], stream_max: 50MB, max_file: 50MB, max_scan: 200MB}}'
        rules = folder_of(folder, "rules.d")
        write(os.path.join(rules, "bench.yaml"), """policies:
  bench:
    extends: default
    greylist: off
    quarantine: 100
    reject: 100
    antivirus: {scan: true, infected: tag}
    dmarc: {reject: ignore, quarantine: ignore, on_list: tag}
    unscannable: tag
    encrypted: tag
recipients: {"*": bench}
""")
        conf = write(os.path.join(folder, "postern.yaml"), f"""hostname: gw.inside.test
state: {folder}/state
listeners:
  - {{name: mx, kind: inbound, addr: "{self.addr}", xclient_from: [127.0.0.1]}}
limits: {{per_ip: 1000, errors: 100}}
backends:
  mail: [{{addr: "{drive.sink}", tls: none}}]
routes:
  inside.test: {{backend: mail, recipients: verify}}
dns: {{servers: ["{drive.dns}"]}}
lists:
  - {{name: bench, zone: list.bench.test, of: ip, codes: {{127.0.0.2: RBL_SBL}}}}
{scanner}
rules: {{dir: {rules}}}
admin: {{addr: "{self.admin}"}}
log: {{level: info}}
""")
        env = dict(os.environ, POSTERN_CONFIG=conf)
        group.run("mta", [self.args.postern, "serve"], log_of(folder, "postern.log"), env=env)

    def ready(self, group):
        import urllib.request
        for _ in range(300):
            try:
                urllib.request.urlopen(f"http://{self.admin}/readyz", timeout=2).close()
                return
            except OSError:
                time.sleep(0.1)
        raise RuntimeError("postern does not get ready")


def postern_score(head):
    m = re.search(r"(?im)^X-Postern-Verdict:[^;]*;\s*score=(-?[\d.]+)", head)
    return float(m.group(1)) if m else None


def systems(args):
    return [
        Relay("go-smtp relay", args),
        Postfix("postfix", args),
        Postfix("postfix+rspamd", args, rspamd=True),
        Postfix("postfix+rspamd+clamd", args, rspamd=True, clamd=True),
        Postern("postern", args),
        Postern("postern+clamd", args, clamd=True),
    ]
