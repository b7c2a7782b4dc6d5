# SPDX-License-Identifier: MIT
"""What `make demo` shows, once everything is built."""
import json
import os
import signal
import subprocess
import sys
import tempfile

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

from harness import audit, slix, wire  # noqa: E402
from harness.client import Client  # noqa: E402
from harness.pki import Pki  # noqa: E402
from harness.prosody import Prosody  # noqa: E402
from harness.proxy import BINARY, Portcullis, environment  # noqa: E402

USERS = {"juliet": "r0m30myr0m30", "romeo": "c4pul3t"}
FIELDS = ("source.ip", "source.port", "destination.ip", "destination.port", "xmpp.role", "xmpp.from", "xmpp.to", "xmpp.policy.level",
          "xmpp.starttls.result", "tls.version", "tls.cipher", "tls.curve", "tls.resumed", "xmpp.inner.tls.established",
          "xmpp.verification.method", "xmpp.auth.method", "xmpp.auth.identity", "xmpp.error", "event.reason", "source.bytes",
          "destination.bytes", "xmpp.stanzas.in", "xmpp.stanzas.out", "event.duration", "audit.seq", "audit.chain")


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
    settings = {"domain": "im.test", "port": proxy.port, "ca": pki.ca, "direct": False, "timeout": 30, "hold": True, "resource": "demo",
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


def main():
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    prosody = proxy = None
    with tempfile.TemporaryDirectory(prefix="portcullis-demo-") as directory:
        os.chmod(directory, 0o755)
        try:
            say("a certificate authority, and a certificate for im.test")
            pki = Pki(directory)
            say("a real Prosody for im.test, plaintext only")
            prosody = Prosody(USERS)
            print(f"  listening on {prosody.address}, without mod_tls")
            proxy = Portcullis(pki, prosody.address, domains=("im.test",)).start()
            say(f"portcullis before it, on 127.0.0.1:{proxy.port}")
            print("\n".join("  " + line for line in proxy.log))
            say("two real clients (slixmpp) that insist on TLS and check the certificate")
            talk(proxy, pki)
            say("a client that sends its password without TLS")
            refuse(proxy)
            records = proxy.stop()
            say("the audit records of juliet's session, and of the one that was refused")
            closed, = audit.of(records, "stream-closed", xmpp__auth__identity="juliet@im.test")
            refused = audit.of(records, "stream-closed", event__code="plaintext-auth")[0]
            for record in records:
                if audit.get(record, "xmpp.stream") in (closed["xmpp"]["stream"], refused["xmpp"]["stream"]):
                    show(record)
            say("portcullis audit verify")
            subprocess.run([BINARY, "audit", "verify", proxy.audit_file], check=True)
        finally:
            if proxy:
                proxy.kill()
            if prosody:
                prosody.stop()
    say("shown: two clients over TLS before a server that knows none, plaintext refused, and a record of each, chained and verified")


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        sys.exit(130)
