# SPDX-License-Identifier: MIT
"""What `make demo` shows, once everything is built."""
import contextlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import types

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

from harness import audit, slix, wire  # noqa: E402
from harness.client import Client  # noqa: E402
from harness.clients import Slixmpp  # noqa: E402
from harness.federated import MODERN, NEXT_HOP, FederatedProsody  # noqa: E402
from harness.gateway import Gateway, peer  # noqa: E402
from harness.pki import Pki  # noqa: E402
from harness.proxy import BINARY, environment  # noqa: E402
from harness.snippet import snippet  # noqa: E402
from harness.wait import free_port  # noqa: E402

USERS = {"juliet": "r0m30myr0m30", "romeo": "c4pul3t"}
LOCAL, REMOTE, FRIAR = "im.test", "remote.test", "l4wr3nc3"
FIELDS = ("source.ip", "source.port", "destination.ip", "destination.port", "xmpp.role", "xmpp.from", "xmpp.to", "xmpp.policy.level",
          "xmpp.starttls.result", "tls.version", "tls.cipher", "tls.curve", "tls.resumed", "xmpp.inner.tls.established",
          "xmpp.verification.method", "xmpp.verification.matched", "xmpp.auth.method", "xmpp.auth.identity", "xmpp.error",
          "event.reason", "source.bytes", "destination.bytes", "xmpp.stanzas.in", "xmpp.stanzas.out", "event.duration",
          "audit.seq", "audit.chain")


class Here:
    """This machine, where the laboratory has hosts: no namespace, no root needed."""

    addresses = ["127.0.0.1"]

    @staticmethod
    def prefix():
        return ()

    @staticmethod
    def inside():
        return contextlib.nullcontext()


def hop(port):
    return NEXT_HOP.replace("15270", str(port))


class LegacyProsody(FederatedProsody):
    """Plaintext only; what it opens to other servers goes to portcullis, as docs/federation.md has it."""

    def start(self):
        self.ports(free_port(), free_port())
        c2s = snippet("prosody.cfg.lua", port=("15222", self.port))
        s2s = snippet("prosody-s2s.cfg.lua", port=("15269", self.s2s_port))
        self.begin('"s2s_next_hop"', c2s + s2s + hop(self.settings["next_hop"]))


class ModernProsody(FederatedProsody):
    """TLS with everybody, and a certificate from every server. The same plugin leads it to portcullis: there is no DNS here."""

    def start(self):
        self.ports(free_port(), free_port())
        chain, key = self.settings["certificate"]
        text = MODERN.format(interfaces='"127.0.0.1"', key=key, chain=chain, ca=self.settings["ca"], secure="true")
        for standard, port in (("5222", self.port), ("5269", self.s2s_port), ("5223", free_port()), ("5270", free_port())):
            text = text.replace(f"{{ {standard} }}", f"{{ {port} }}")
        self.begin('"tls", "s2s_next_hop"', text + hop(self.settings["next_hop"]))


class Proxy(Gateway):
    """Clients and servers, both ways."""

    def listeners(self, address):
        return [{"role": "c2s-inbound", "address": f"{address}:{self.port}"}] + super().listeners(address)[:2]

    def behind(self, legacy):
        self.config["domains"][0]["backend"] = {"c2s": legacy.address, "s2s": legacy.s2s_address}

    def before(self, modern):
        self.config["peers"] = [peer(REMOTE, modern.s2s_address)]


def say(text):
    print(f"\n==> {text}", flush=True)


def show(record):
    print(f"  {record['@timestamp']}  {record['event']['action']}  ({record['event']['outcome']})")
    for name in FIELDS:
        value = audit.get(record, name)
        if value is not None:
            print(f"      {name:28} {value / 1e9:.3f} s" if name == "event.duration" else f"      {name:28} {value}")


def talk(proxy, pki):
    """Two clients say something to each other and stay, so that their streams can be looked at."""
    settings = {"domain": LOCAL, "port": proxy.port, "ca": pki.ca, "direct": False, "timeout": 30, "hold": True, "resource": "demo",
                "users": [{"user": "juliet", "password": USERS["juliet"], "body": "Wherefore art thou Romeo?"},
                          {"user": "romeo", "password": USERS["romeo"], "body": "I take thee at thy word."}]}
    noise = tempfile.TemporaryFile("w+")  # slixmpp talks of its own affairs; shown only if it fails
    clients = subprocess.Popen(["/usr/bin/python3", slix.__file__, json.dumps(settings)], stdin=subprocess.PIPE,
                               stdout=subprocess.PIPE, stderr=noise, text=True)
    try:
        line = clients.stdout.readline()
        if not line:
            noise.seek(0)
            raise SystemExit("demo: the clients could not log in:\n" + noise.read())
        result = json.loads(line)
        for me, other in (("juliet", "romeo"), ("romeo", "juliet")):
            print(f"  {result[me]['jid']} is logged in over {result[me]['tls']}, {result[me]['cipher']}")
            print(f"      and heard from {other}: {result['heard'][me]!r}")
        for command in ("status", "streams"):
            say(f"portcullis {command}")
            subprocess.run([BINARY, command, "-c", proxy.config_file], check=True, env=environment())
    finally:
        try:
            clients.stdin.close()
            clients.wait(15)
        except (subprocess.TimeoutExpired, OSError):
            clients.kill()
            clients.wait()
        noise.close()


def refuse(proxy):
    client = Client(proxy.port)
    client.open()
    client.send(wire.auth())
    print("  " + client.to_end()[0].decode().replace("><", ">\n  <"))


def federate(proxy, pki, modern):
    """juliet, on the server without TLS, and friar, on the one that demands it, say a word to each other."""
    juliet = Slixmpp(f"juliet@{LOCAL}", USERS["juliet"], proxy.port, pki)
    friar = Slixmpp(f"friar@{REMOTE}", FRIAR, modern.port, pki)
    try:
        for client in (juliet, friar):
            client.online()
        for sender, to, text in ((juliet, friar, "Love give me strength!"), (friar, juliet, "Hold, daughter: I do spy a kind of hope.")):
            name = f"friar@{REMOTE}" if to is friar else f"juliet@{LOCAL}"
            sender.say(name, text)
            to.heard(text)
            print(f"  {name} heard {text!r}")
        say("portcullis peers list")
        subprocess.run([BINARY, "peers", "list", "-c", proxy.config_file], check=True, env=environment())
    finally:
        for client in (juliet, friar):
            client.leave()


def show_clients(records):
    say("the audit records of juliet's session, and of the one that was refused")
    closed = audit.of(records, "stream-closed", xmpp__auth__identity=f"juliet@{LOCAL}")[0]
    refused = audit.of(records, "stream-closed", event__code="plaintext-auth")[0]
    for record in records:
        if audit.get(record, "xmpp.stream") in (closed["xmpp"]["stream"], refused["xmpp"]["stream"]):
            show(record)


def show_servers(records):
    say("and of the two streams between the servers, one each way")
    for role in ("s2s-outbound", "s2s-inbound"):
        show(audit.of(records, "stream-established", xmpp__role=role)[0])


def shown(directory, stack):
    say(f"a certificate authority, and a certificate for {LOCAL}")
    pki = Pki(directory)
    proxy = Proxy(pki, "127.0.0.1:9", domains=(LOCAL,))
    stack.callback(proxy.kill)
    lab = types.SimpleNamespace(anchor=proxy.config["dns"]["trust-anchor"])
    say(f"a real Prosody for {LOCAL}, plaintext only")
    legacy = LegacyProsody(Here, USERS, LOCAL, lab, next_hop=proxy.outbound)
    stack.callback(legacy.stop)
    print(f"  listening on {legacy.address} for clients, {legacy.s2s_address} for servers, without mod_tls")
    say(f"a real Prosody for {REMOTE}, which takes no server without TLS and a certificate that proves it")
    modern = ModernProsody(Here, {"friar": FRIAR}, REMOTE, lab, next_hop=proxy.inbound, ca=pki.ca,
                           certificate=pki.issue(REMOTE, usage="serverAuth,clientAuth"))
    stack.callback(modern.stop)
    print(f"  listening on {modern.s2s_address}, s2s_require_encryption, s2s_secure_auth")
    proxy.behind(legacy)
    proxy.before(modern)
    proxy.write_config()
    proxy.start()
    say(f"portcullis between them on 127.0.0.1: clients to {proxy.port}, servers to {proxy.inbound}, the legacy server to {proxy.outbound}")
    print("\n".join("  " + line for line in proxy.log))
    say("two real clients (slixmpp) that insist on TLS and check the certificate")
    talk(proxy, pki)
    say("a client that sends its password without TLS")
    refuse(proxy)
    say(f"federation: juliet@{LOCAL}, whose server knows no TLS, and friar@{REMOTE}, whose server demands it")
    federate(proxy, pki, modern)
    records = proxy.stop()
    show_clients(records)
    show_servers(records)
    say("portcullis audit verify")
    subprocess.run([BINARY, "audit", "verify", proxy.audit_file], check=True)


def main():
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    with tempfile.TemporaryDirectory(prefix="portcullis-demo-") as directory, contextlib.ExitStack() as stack:
        os.chmod(directory, 0o755)
        shown(directory, stack)
    say("shown: clients over TLS before a server that knows none, plaintext refused, federation with a server that demands TLS and "
        "certificates, and a record of each, chained and verified")


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        sys.exit(130)
