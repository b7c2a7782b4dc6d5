# SPDX-License-Identifier: MIT
"""A DNS of our own: knot serves a signed root and zones below it, unbound validates them with that root's key. It runs on
loopback at free ports, or in a namespace at port 53. Zones of the laboratory:

  example.            signed: what is published there is DNSSEC-secure
  plain.example.      delegated without DS: insecure
  bogus.example.      signed, but its parent holds another key's DS: nothing of it validates
  dead.example.       delegated to a server that lost it: SERVFAIL
"""
import contextlib
import hashlib
import os
import shutil
import signal
import socket
import subprocess
import tempfile

import dns.message
import dns.query

from .wait import free_port, until

SIGNED = (".", "example.", "bogus.example.")
ZONES = SIGNED + ("plain.example.",)
DEAD = "dead.example."
TTL = 60
KNOT = """\
server:
    rundir: "{directory}"
    pidfile: "{directory}/knot.pid"
    listen: [ {listen} ]
log:
  - target: "{directory}/knot.log"
    any: info
database:
    storage: "{directory}/keys"
policy:
  - id: one-key
    algorithm: ecdsap256sha256
    single-type-signing: on
    ksk-lifetime: 0
template:
  - id: default
    storage: "{directory}/zones"
    zonefile-sync: -1
    journal-content: all
    zonefile-load: difference-no-serial
zone:
"""
ZONE = """\
  - domain: "{name}"
    file: "{file}"
"""
SIGNING = """\
    dnssec-signing: on
    dnssec-policy: one-key
"""
UNBOUND = """\
server:
    directory: "{directory}"
    chroot: ""
    username: ""
    pidfile: "{directory}/unbound.pid"
    logfile: "{directory}/unbound.log"
    use-syslog: no
    verbosity: 1
    val-log-level: 2
    interface: {address}@{port}
    access-control: 0.0.0.0/0 allow
    num-threads: 1
    do-not-query-localhost: no
    trust-anchor-file: "{anchor}"
    module-config: "validator iterator"
    aggressive-nsec: no
    qname-minimisation: no
    cache-max-negative-ttl: 1
    infra-host-ttl: 1
remote-control:
    control-enable: no
"""
STUB = """\
stub-zone:
    name: "{name}"
    stub-addr: {address}@{port}
"""


def free_dns_port():
    """For UDP and TCP."""
    while True:
        port = free_port()
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp, contextlib.suppress(OSError):
            udp.bind(("127.0.0.1", port))
            return port


class DnsLab:
    """`address` and `port` are unbound's; `anchor` is the file with the root's DS. namespace: where both run."""

    def __init__(self, namespace=None, authority="127.0.0.1", resolver="127.0.0.1"):
        self.namespace, self.authority, self.address = namespace, authority, resolver
        self.authority_port, self.port = (53, 53) if namespace else (free_dns_port(), free_dns_port())
        self.prefix = namespace.prefix() if namespace else ()
        self.directory = tempfile.mkdtemp(prefix="portcullis-dns-")
        os.chmod(self.directory, 0o755)
        self.anchor, self.processes, self.records = self.path("root.ds"), [], {zone: [] for zone in ZONES}
        try:
            self.start()
        except BaseException:
            self.close()
            raise

    def path(self, *parts):
        return os.path.join(self.directory, *parts)

    def server(self):
        """As dns.servers of portcullis.yaml wants it."""
        return f"{self.address}@{self.port}"

    def start(self):
        for name in ("keys", "zones"):
            os.mkdir(self.path(name))
        with open(self.path("knot.conf"), "w", encoding="ascii") as out:
            out.write(KNOT.format(directory=self.directory, listen=f"{self.authority}@{self.authority_port}"))
            for zone in ZONES:
                out.write(ZONE.format(name=zone, file=self.file(zone)) + (SIGNING if zone in SIGNED else ""))
            out.write(ZONE.format(name=DEAD, file="missing.zone"))
        for zone in SIGNED:
            self.keymgr(zone, "generate", "algorithm=ecdsap256sha256", "ksk=yes", "zsk=yes")
        with open(self.anchor, "w", encoding="ascii") as out:
            out.write(self.ds(".") + "\n")
        for zone in ZONES:
            self.write(zone)
        self.run("knotd", "-c", self.path("knot.conf"))
        self.write_unbound()
        until(lambda: self.answers(self.authority, self.authority_port, "example."), "knot to answer", 20)
        self.run("unbound", "-d", "-c", self.path("unbound.conf"))
        until(lambda: self.answers(self.address, self.port, "example."), "unbound to answer", 20)

    def write_unbound(self):
        with open(self.path("unbound.conf"), "w", encoding="ascii") as out:
            out.write(UNBOUND.format(directory=self.directory, address=self.address, port=self.port, anchor=self.anchor))
            for zone in ZONES + (DEAD,):
                out.write(STUB.format(name=zone, address=self.authority, port=self.authority_port))

    def file(self, zone):
        return self.path("zones", (zone.rstrip(".") or "root") + ".zone")

    def keymgr(self, *words):
        done = subprocess.run(("keymgr", "-c", self.path("knot.conf")) + words, capture_output=True, text=True, timeout=30)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def ds(self, zone):
        """`zone IN DS tag algorithm 2 digest`, SHA-256."""
        lines = [line.split() for line in self.keymgr(zone, "ds").splitlines()]
        words = next(w for w in lines if w[-2] == "2")
        return " ".join((zone, "IN", "DS", *words[-4:]))

    def delegations(self, zone):
        if zone == ".":
            return ["example. NS ns.example.", f"ns.example. A {self.authority}", self.ds("example.")]
        if zone == "example.":
            wrong = hashlib.sha256(b"the key of somebody else").hexdigest()
            return [f"{child}.example. NS ns.example." for child in ("plain", "bogus", "dead")] + \
                   [f"ns.example. A {self.authority}", f"bogus.example. IN DS 4711 13 2 {wrong}"]
        return []

    def write(self, zone):
        with open(self.file(zone), "w", encoding="ascii") as out:
            out.write(f"$TTL {TTL}\n{zone} SOA ns.example. hostmaster.example. 1 60 60 86400 1\n{zone} NS ns.example.\n")
            out.write("\n".join(self.delegations(zone) + self.records[zone]) + "\n")

    def publish(self, *records):
        """Adds records ("name [TTL] type data", absolute names); each goes into the zone that its name belongs to."""
        for record in records:
            self.records[self.zone_of(record)].append(record)
        self.reload(records)

    def withdraw(self, *records):
        """Takes back what was published. It is gone when its TTL is over."""
        for record in records:
            self.records[self.zone_of(record)].remove(record)
        self.reload(records)

    @staticmethod
    def zone_of(record):
        name = record.split()[0]
        return max((z for z in ZONES if z == "." or name == z or name.endswith("." + z)), key=len)

    def reload(self, records):
        for zone in set(map(self.zone_of, records)):
            self.write(zone)
            subprocess.run(self.prefix + ("knotc", "-b", "-c", self.path("knot.conf"), "zone-reload", zone), check=True,
                           capture_output=True, timeout=30)

    def service(self, domain, address, port=None, address6=None, direct=None, role="server", priority=5):
        """A domain with SRV records and the addresses of its one target. direct: port of direct TLS."""
        port = port or (5269 if role == "server" else 5222)
        target = f"xmpp.{domain}."
        records = [f"_xmpp-{role}._tcp.{domain}. SRV {priority} 0 {port} {target}", f"{target} A {address}"]
        records += [f"{target} AAAA {address6}"] if address6 else []
        records += [f"_xmpps-{role}._tcp.{domain}. SRV {priority} 0 {direct} {target}"] if direct else []
        self.publish(*records)

    def run(self, *words):
        with open(self.path(f"out.{words[0]}"), "wb") as out:
            self.processes.append(subprocess.Popen(self.prefix + words, stdin=subprocess.DEVNULL, stdout=out,
                                                   stderr=subprocess.STDOUT, cwd=self.directory))

    def ask(self, name, kind, address=None, port=None, timeout=5):
        """One question over UDP: the answer as a dns.message.Message."""
        query = dns.message.make_query(name, kind, want_dnssec=True)
        address, port = address or self.address, port or self.port
        if not self.namespace:
            return dns.query.udp(query, address, timeout=timeout, port=port)
        with self.namespace.inside():
            return dns.query.udp(query, address, timeout=timeout, port=port)

    def answers(self, address, port, name):
        assert all(p.poll() is None for p in self.processes), "a DNS server ended at start:\n" + self.output()
        try:
            return self.ask(name, "SOA", address, port, 0.2).rcode() == 0
        except (OSError, dns.exception.DNSException):
            return False

    def output(self):
        names = [n for n in sorted(os.listdir(self.directory)) if n.startswith("out.") or n.endswith(".log")]
        return "\n".join(open(self.path(n), encoding="utf-8", errors="replace").read() for n in names)

    def freeze(self, frozen=True):
        """The resolver takes questions and says nothing, as one that is overloaded or cut off."""
        self.processes[-1].send_signal(signal.SIGSTOP if frozen else signal.SIGCONT)

    def close(self):
        for process in reversed(self.processes):
            process.send_signal(signal.SIGCONT)
            process.terminate()
            try:
                process.wait(5)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        shutil.rmtree(self.directory, ignore_errors=True)
