# SPDX-License-Identifier: MIT
"""Real clients with real plaintext servers: each pair logs in over TLS through the proxy, talks both ways, loses its connection
and comes back."""
import os
import time

import pytest
from harness import audit, clients
from harness.ejabberd import Ejabberd
from harness.jabberd2 import Jabberd2
from harness.path import Path
from harness.prosody import Prosody
from harness.proxy import Portcullis
from harness.wait import SLOW

USERS = {"juliet": "r0m30myr0m30", "romeo": "c4pul3t"}
SERVERS = {"prosody": Prosody, "ejabberd": Ejabberd, "jabberd2": Jabberd2}
CLIENTS = {"slixmpp": clients.Slixmpp, "go-sendxmpp": clients.GoSendxmpp, "profanity": clients.Profanity, "mcabber": clients.Mcabber,
           "libstrophe": clients.Strophe}
# The sanitized program meets each server and each client once, the plain one all of them.
PAIRS = [(s, c) for s in SERVERS for c in CLIENTS if SLOW == 1 or s == "prosody" or c == "slixmpp"]


class Stage:
    """A server, the proxy before it, a network that can be cut, and somebody who answers."""

    def __init__(self, pki, name, **config):
        self.pki, self.server = pki, SERVERS[name](USERS)
        self.proxy = Portcullis(pki, self.server.address, config=config)
        self.path = self.romeo = None
        try:
            self.proxy.start()
            self.path = Path(self.proxy.port)
            self.romeo = clients.Slixmpp("romeo@im.test/echo", USERS["romeo"], self.proxy.port, pki, echo=True)
            self.romeo.online()
        except BaseException:
            self.end()
            raise

    def juliet(self, client, **options):
        return client("juliet@im.test/balcony", USERS["juliet"], self.path.port, self.pki, **options)

    def end(self):
        """The proxy is stopped last and in order: its log must be whole."""
        try:
            for part in (self.romeo, self.path):
                if part:
                    part.leave() if part is self.romeo else part.close()
            if self.proxy.process and self.proxy.process.poll() is None:
                self.proxy.stop()
        finally:
            self.proxy.kill()
            self.server.stop()


@pytest.fixture(scope="module")
def stage(pki):
    stages = {}

    def get(name):
        if name not in stages:
            stages[name] = Stage(pki, name)
        return stages[name]
    yield get
    for one in stages.values():
        one.end()


def talk(client, text):
    client.say("romeo@im.test", text)
    client.heard("echo " + text)


@pytest.mark.parametrize("server,name", PAIRS, ids=["-".join(pair) for pair in PAIRS])
def test_pair(stage, server, name):
    if name == "mcabber" and os.geteuid() != 0:
        pytest.skip("mcabber can be shown the tests' authority only by root")
    there = stage(server)
    before = len(there.proxy.records())
    juliet = there.juliet(CLIENTS[name])
    try:
        juliet.online()
        talk(juliet, f"before {name}")
        there.path.cut()
        if server == "jabberd2":
            # It tells sessions apart by descriptor: what it does yet for the old one would hit a new one with its number.
            time.sleep(0.5)
        juliet.come_back()
        juliet.online(2)
        talk(juliet, f"after {name}")
        juliet.leave()
    finally:
        juliet.kill()
    there.proxy.wait_records("stream-closed", len(there.proxy.records("stream-established", xmpp__to="im.test")) - 1)
    records = there.proxy.records()[before:]
    assert not audit.of(records, "stream-refused")
    established, closed = audit.of(records, "stream-established"), audit.of(records, "stream-closed")
    assert len(established) == len(closed) >= 2
    for record in established:
        assert record["tls"]["established"] is True and record["tls"]["version"] in ("1.2", "1.3")
        assert record["xmpp"]["starttls"]["result"] == "negotiated"
    identities = {audit.get(record, "xmpp.auth.identity") for record in closed}
    # DIGEST-MD5 names nobody until a resource is bound, and a resumed session binds none.
    assert "juliet@im.test" in identities and identities <= {"juliet@im.test", None}
    # Cut off, and that is how it is told; how the others end is the clients' business.
    assert "peer-gone" in [record["event"]["code"] for record in closed]


@pytest.mark.parametrize("server", ["prosody", "ejabberd"])
@pytest.mark.parametrize("how", ["reset", "silence"])
def test_resumption(stage, server, how):
    """XEP-0198: the connection goes, what was sent meanwhile arrives. `silence`: the proxy does not learn that the old
    connection is dead, and the new one comes while it is open."""
    there = stage(server)
    juliet = there.juliet(clients.Slixmpp, resume=True, delay=0.5)
    try:
        juliet.wait_event("resumable")
        talk(juliet, f"before {how}")
        if how == "reset":
            there.path.cut()
        else:
            there.path.swallow()
            juliet.hang_up()
        juliet.wait_event("lost")
        there.romeo.say("juliet@im.test/balcony", f"while you were away {how}")
        juliet.wait_event("resumed")
        juliet.heard(f"while you were away {how}")
        talk(juliet, f"after {how}")
        assert len(juliet.events("online")) == 1, "a new session instead of the old one"
        juliet.leave()
    finally:
        juliet.kill()
        there.path.cut()
    there.proxy.wait_records("stream-closed", len(there.proxy.records("stream-established", xmpp__to="im.test")) - 1)
