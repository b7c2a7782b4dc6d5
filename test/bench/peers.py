# SPDX-License-Identifier: MIT
"""The programs that are measured: each started with one worker on one processor, the same certificate and the same TLS
parameters, in front of the same plaintext backend. A program that is not installed is left out."""
import json
import os
import shutil
import socket
import subprocess
import time

CIPHER, GROUP = "TLS_AES_256_GCM_SHA384", "X25519"
PACKAGES = "hitch haproxy nginx-light libnginx-mod-stream stunnel4 prosody"


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def parent_of(pid):
    with open(f"/proc/{pid}/stat", encoding="utf-8") as file:
        return int(file.read().rpartition(")")[2].split()[1])


def family(pid):
    """The process and all below it."""
    parents = {}
    for name in os.listdir("/proc"):
        if name.isdigit():
            try:
                parents[int(name)] = parent_of(name)
            except OSError:
                pass
    found = [pid]
    for parent in found:
        found += [child for child, its in parents.items() if its == parent]
    return found


def cpu_ns(pid):
    """Processor time of all threads, also of those that have ended (the clock of another process, clock_getcpuclockid)."""
    return time.clock_gettime_ns((~pid << 3) | 2)


def pss_bytes(pid):
    with open(f"/proc/{pid}/smaps_rollup", encoding="ascii") as file:
        return sum(int(line.split()[1]) for line in file if line.startswith("Pss:")) * 1024


class Peer:
    program = None
    starttls, direct = False, True  # what it speaks

    def __init__(self, directory, pki, backend, cpu):
        self.directory = os.path.join(directory, self.name)
        os.mkdir(self.directory)
        os.chmod(self.directory, 0o755)
        self.pki, self.backend, self.cpu, self.port = pki, backend, cpu, free_port()
        self.process = None

    @classmethod
    def is_installed(cls):
        return shutil.which(cls.program) is not None

    def path(self, name):
        return os.path.join(self.directory, name)

    def write(self, name, text):
        with open(self.path(name), "w", encoding="ascii") as out:
            out.write(text)
        return self.path(name)

    def start(self):
        self.log = open(self.path("log"), "wb")
        self.process = subprocess.Popen(self.command(), stdin=subprocess.DEVNULL, stdout=self.log, stderr=self.log,
                                        preexec_fn=lambda: os.sched_setaffinity(0, {self.cpu}), start_new_session=True)
        end = time.monotonic() + 20
        while True:
            try:
                socket.create_connection(("127.0.0.1", self.port), 1).close()
                break
            except OSError:
                if self.process.poll() is not None or time.monotonic() > end:
                    raise SystemExit(f"bench: {self.name} does not start:\n{open(self.log.name, encoding='utf-8').read()}")
                time.sleep(0.05)
        time.sleep(0.3)
        self.pids = family(self.process.pid)
        return self

    def cpu_ns(self):
        return {pid: cpu_ns(pid) for pid in self.pids}

    def pss(self):
        return {pid: pss_bytes(pid) for pid in self.pids}

    def stop(self):
        if self.process is None:
            return
        self.process.terminate()
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            for pid in family(self.process.pid):
                os.kill(pid, 9)
            self.process.wait()
        self.log.close()


class Portcullis(Peer):
    program = os.environ.get("PORTCULLIS", "build/plain/portcullis")
    starttls = True
    stanza, name = "512k", "portcullis"

    @classmethod
    def is_installed(cls):
        return os.access(cls.program, os.X_OK)

    def command(self):
        return [self.program, "run", "-c", self.write("portcullis.yaml", json.dumps({
            "workers": 1, "state-directory": self.path("state"), "user": "nobody" if os.geteuid() == 0 else os.environ["USER"],
            "listeners": [{"role": "c2s-inbound", "address": f"127.0.0.1:{self.port}"}],
            "domains": [{"name": "im.test", "certificate": self.pki.path("im.test.pem"),
                         "private-key": self.pki.path("im.test.key"), "backend": {"c2s": f"127.0.0.1:{self.backend}"}}],
            "audit": {"output": "file:" + self.audit()}, "admin": {"socket": self.path("control.sock")},
            "limits": {"connections-per-address": 20000, "stanza": self.stanza},
            "log": {"level": "warn"}, "timeouts": {"drain": "300ms"}}))]

    def audit(self):
        directory = self.path("audit")
        os.makedirs(directory, exist_ok=True)
        os.chmod(directory, 0o777)
        return os.path.join(directory, "audit.log")

    def start(self):
        super().start()
        answer = subprocess.run([self.program, "status", "--json", "-c", self.path("portcullis.yaml")], check=True,
                                capture_output=True, timeout=20).stdout
        self.worker, = (w["pid"] for w in json.loads(answer)["workers"])
        self.roles = {pid: "worker" if pid == self.worker else "master" if pid == self.process.pid else "keeper"
                      for pid in self.pids}
        return self


class Blind(Portcullis):
    """The same program, told to look at nothing after authentication."""
    name, stanza = "portcullis-blind", 0


class Nginx(Peer):
    name = program = "nginx"
    MODULE = "/usr/lib/nginx/modules/ngx_stream_module.so"

    @classmethod
    def is_installed(cls):
        return super().is_installed() and os.path.exists(cls.MODULE)

    def command(self):
        user = "user nobody nogroup;" if os.geteuid() == 0 else ""
        config = self.write("nginx.conf", f"""
load_module {self.MODULE};
{user}
daemon off; worker_processes 1; worker_rlimit_nofile 20000; pid {self.path("pid")}; error_log stderr error;
events {{ worker_connections 20000; }}
stream {{
  server {{
    listen 127.0.0.1:{self.port} ssl backlog=1024;
    ssl_certificate {self.pki.path("im.test.pem")}; ssl_certificate_key {self.pki.path("im.test.key")};
    ssl_protocols TLSv1.3; ssl_conf_command Ciphersuites {CIPHER}; ssl_ecdh_curve {GROUP}; ssl_session_tickets on;
    ssl_session_timeout 1h; tcp_nodelay on; proxy_timeout 1h; proxy_pass 127.0.0.1:{self.backend};
  }}
}}
""")
        return ["nginx", "-c", config, "-p", self.directory, "-e", "stderr"]


class HAProxy(Peer):
    name, program = "haproxy", "haproxy"

    def command(self):
        config = self.write("haproxy.cfg", f"""
global
  nbthread 1
  maxconn 9500
  ssl-default-bind-options ssl-min-ver TLSv1.3
  ssl-default-bind-ciphersuites {CIPHER}
  ssl-default-bind-curves {GROUP}
defaults
  mode tcp
  maxconn 9500
  timeout connect 5s
  timeout client 1h
  timeout server 1h
frontend f
  bind 127.0.0.1:{self.port} ssl crt {bundle(self.pki)}
  default_backend b
backend b
  server s 127.0.0.1:{self.backend}
""")
        return ["haproxy", "-db", "-f", config]


class Hitch(Peer):
    name = program = "hitch"

    def command(self):
        user = 'user = "nobody"\ngroup = "nogroup"\n' if os.geteuid() == 0 else ""
        config = self.write("hitch.conf", f"""
frontend = "[127.0.0.1]:{self.port}"
backend = "[127.0.0.1]:{self.backend}"
pem-file = "{bundle(self.pki)}"
workers = 1
backlog = 1024
tls-protos = TLSv1.3
ciphersuites = "{CIPHER}"
ecdh-curve = "{GROUP}"
daemon = off
quiet = on
ocsp-dir = ""
{user}""")
        return ["hitch", f"--config={config}"]


class Stunnel(Peer):
    name, program = "stunnel", "stunnel4"

    def command(self):
        return ["stunnel4", self.write("stunnel.conf", f"""
foreground = yes
pid =
debug = err
[x]
accept = 127.0.0.1:{self.port}
connect = 127.0.0.1:{self.backend}
cert = {bundle(self.pki)}
sslVersionMin = TLSv1.3
ciphersuites = {CIPHER}
curves = {GROUP}
socket = l:TCP_NODELAY=1
socket = r:TCP_NODELAY=1
""")]


class Prosody(Peer):
    """The server doing its own TLS: what a deployment without a proxy would pay."""
    name = program = "prosody"
    starttls, direct = True, False

    def command(self):
        for sub in ("data", "certs"):
            os.mkdir(self.path(sub))
        config = self.write("prosody.cfg.lua", f"""
run_as_root = true
data_path = "{self.path("data")}"
pidfile = "{self.path("pid")}"
certificates = "{self.path("certs")}"
log = {{ {{ levels = {{ min = "error" }}, to = "console" }} }}
interfaces = {{ "127.0.0.1" }}
c2s_ports = {{ {self.port} }}
c2s_direct_tls_ports = {{ }} s2s_ports = {{ }} s2s_direct_tls_ports = {{ }} http_ports = {{ }} https_ports = {{ }}
component_ports = {{ }}
modules_enabled = {{ "roster", "saslauth", "tls", "disco", "posix" }}
modules_disabled = {{ "s2s", "admin_socket" }}
c2s_require_encryption = true
authentication = "internal_plain"
limits = {{ }}
ssl = {{ key = "{self.pki.path("im.test.key")}"; certificate = "{self.pki.path("im.test.pem")}";
        protocol = "tlsv1_3"; curveslist = {{ "{GROUP}" }}; ciphersuites = "{CIPHER}" }}
VirtualHost "im.test"
""")
        subprocess.run(["prosodyctl", "--config", config, "register", "juliet", "im.test", "r0m30myr0m30"], check=True,
                       capture_output=True, timeout=30)
        return ["prosody", "--config", config, "-F"]


def bundle(pki):
    """Certificate, chain and key in one file, as most peers want it."""
    path = pki.path("bundle.pem")
    if not os.path.exists(path):
        with open(path, "w", encoding="ascii") as out:
            for name in ("im.test.key", "im.test.pem"):
                out.write(open(pki.path(name), encoding="ascii").read())
        os.chmod(path, 0o600)
    return path


ALL = (Portcullis, Blind, Nginx, HAProxy, Hitch, Stunnel, Prosody)
REFERENCE = ("nginx", "haproxy", "hitch")
