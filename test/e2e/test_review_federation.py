# SPDX-License-Identifier: MIT
"""Federation under attack: what one of several addresses, an unproven claim or a server that wastes time must not gain."""
import contextlib
import socket
import ssl
import threading

import pytest

from harness import audit, s2s, wire
from harness.gateway import EXCUSE, Gateway, peer
from harness.legacy import Legacy
from harness.peer import Peer, context
from harness.wait import until
from harness.zoo import fingerprints

DOMAIN = "two.example"
ENCRYPT = {"s2s-outbound": "encrypt", "s2s-inbound": "encrypt"}
REFUSE = {"policy": dict(ENCRYPT, **{"on-certificate-change": "refuse"})}


@pytest.fixture
def unproven(zoo):
    """Two certificates that prove nothing, of different keys, for one domain."""
    return [zoo.issue(f"review-{n}", DOMAIN, f"subjectAltName=DNS:{DOMAIN}\n", None) for n in (1, 2)]


@pytest.fixture
def silent():
    """An address where connections are neither taken nor refused."""
    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    listener.listen(0)
    waiting = [socket.socket() for _ in range(4)]
    for sock in waiting:
        sock.setblocking(False)
        sock.connect_ex(listener.getsockname())
    yield listener.getsockname()[1]
    for sock in [listener, *waiting]:
        sock.close()


def announce(dns, domain, *ports):
    """Its servers on loopback, in that order."""
    dns.publish(f"host.{domain}. A 127.0.0.1", *(f"_xmpp-server._tcp.{domain}. SRV {number} 0 {port} host.{domain}."
                                                 for number, port in enumerate(ports)))


def remembered(proxy, domain):
    done = proxy.cli("peers", "show", domain, "--json")
    return done.stdout if done.returncode == 0 else ""


def test_a_change_is_refused_at_every_address(gateway, remote, dns, unproven):
    """Whoever can show one bad certificate can show it at two addresses."""
    servers = [remote(certificate=unproven[0]) for _ in range(2)]
    announce(dns, DOMAIN, *(s.port for s in servers))
    proxy = gateway(dns=dns, config=REFUSE)
    Legacy(proxy.outbound).open(DOMAIN).close()
    until(lambda: fingerprints(unproven[0][0])[0] in remembered(proxy, DOMAIN), "the certificate in the memory")
    for server in servers:
        server.certificate = unproven[1]
    Legacy(proxy.outbound).begin(DOMAIN).refused("certificate-changed")
    assert [len(s.guests) for s in servers] == [2, 1]
    assert len(proxy.records("stream-established")) == 1


def test_the_record_of_a_refusal_shows_what_was_refused(gateway, remote, dns, zoo):
    """The certificate, what is wrong with it and where it was shown, though other addresses were tried and TLS never was up there."""
    chain = zoo.get("expired")
    server = remote(certificate=lambda domain: chain)
    with contextlib.closing(socket.socket()) as nobody:
        nobody.bind(("127.0.0.1", 0))
        announce(dns, "refused.example", server.port, nobody.getsockname()[1])
        proxy = gateway(dns=dns)
        Legacy(proxy.outbound).begin("refused.example").refused("remote-unverified")
    record = proxy.wait_records("stream-refused")[0]
    assert audit.get(record, "xmpp.verification.reason") not in (None, "there is no TLS")
    assert audit.get(record, "tls.server.hash.sha256") == fingerprints(chain[0])[0]
    assert audit.get(record, "destination.port") == server.port


def test_the_record_of_a_stripped_refusal_shows_its_tls(gateway, remote, zoo):
    server = remote(certificate=zoo.get("self-signed"), offer="absent")
    proxy = gateway([peer("*.zoo.test", server, level="encrypt", **EXCUSE)])
    Legacy(proxy.outbound).begin("self-signed.zoo.test").refused("stripped")
    record = proxy.wait_records("stream-refused")[0]
    assert audit.get(record, "tls.established") is True and audit.get(record, "xmpp.starttls.result") == "stripped-negotiated"
    assert audit.get(record, "tls.server.hash.sha256") == fingerprints(zoo.get("self-signed")[0])[0]
    assert audit.get(record, "xmpp.verification.reason") == "the certificate is self-signed and not among those trusted"


def test_stopping_between_two_addresses(gateway, remote, dns, zoo, silent):
    """The first had TLS and was refused, the second does not answer: nothing is left of the first that could be told."""
    server = remote(certificate=zoo.get("self-signed"), offer="absent")
    announce(dns, "stop.example", server.port, silent)
    proxy = gateway(dns=dns, config={"policy": ENCRYPT, "timeouts": {"drain": "1s", "connect": "20s"}})
    legacy = Legacy(proxy.outbound).begin("stop.example")
    proxy.wait_records("starttls-stripped")
    server.failed()
    proxy.stop()
    assert b"<system-shutdown" in legacy.to_end()[0]
    assert proxy.wait_records("stream-closed")[0]["event"]["code"] == "shutdown"


def test_a_server_that_dribbles_is_asked_for_tls(gateway, remote, dns):
    """STRIP-2: a space now and then is no reason to wait for features until the end of all patience."""
    dribbling = socket.create_server(("127.0.0.1", 0))
    asked = threading.Event()

    def dribble():
        with contextlib.suppress(OSError):
            sock, _ = dribbling.accept()
            sock.sendall(s2s.header("im.test", "slow.example", identity="d1"))
            sock.settimeout(0.2)
            got = b""
            for _ in range(100):
                with contextlib.suppress(socket.timeout):
                    got += sock.recv(4096)
                if wire.STARTTLS in got:
                    asked.set()
                sock.sendall(b" ")
    threading.Thread(target=dribble, daemon=True).start()
    server = remote()
    announce(dns, "slow.example", dribbling.getsockname()[1], server.port)
    proxy = gateway(dns=dns, config={"timeouts": {"connect": "2s", "negotiation": "15s"}, "policy": ENCRYPT})
    Legacy(proxy.outbound).open("slow.example").close()
    assert asked.is_set()
    dribbling.close()


class Open(Gateway):
    """The outbound listener takes connections at every address of the machine."""

    def listeners(self, address):
        return [dict(listener, address=listener["address"].replace(address, "0.0.0.0")) for listener in super().listeners(address)]


def test_a_name_that_leads_back_by_another_address(pki, manage, dns, legacy_backend):
    """DNS belongs to the remote domain: 127.0.0.2 is this machine, too. One turn, not hundreds."""
    proxy = Open(pki, legacy_backend.address, dns=dns)
    dns.publish("host.loop.example. A 127.0.0.2", f"_xmpp-server._tcp.loop.example. SRV 0 0 {proxy.outbound} host.loop.example.")
    manage(proxy)
    data, _ = Legacy(proxy.outbound).begin("loop.example").to_end()
    assert b"<remote-connection-failed" in data
    assert sorted(r["event"]["code"] for r in proxy.wait_records("stream-closed", 2)) == ["loop", "remote-error"]


def test_nobody_is_remembered_who_has_proven_nothing(gateway, legacy_backend, pki, unproven):
    """Whoever comes may claim any name: until dialback says so it is nobody's certificate, and pushes nobody out."""
    proxy = gateway(config=REFUSE)
    visitor = Peer(proxy.inbound).secure(context(pki, unproven[1]), sender=DOMAIN).begin(sender=DOMAIN)
    legacy_backend.greet_server()
    visitor.opened()
    visitor.close()
    proxy.wait_records("stream-closed")
    visitor = Peer(proxy.inbound).secure(context(pki, unproven[0]), sender=DOMAIN).begin(sender=DOMAIN)
    server = legacy_backend.greet_server()
    visitor.opened()
    assert not remembered(proxy, DOMAIN)
    visitor.dialback(server, sender=DOMAIN)
    known = until(lambda: remembered(proxy, DOMAIN), "the peer in the memory")
    assert fingerprints(unproven[0][0])[0] in known and fingerprints(unproven[1][0])[0] not in known
    visitor.close()


def test_a_further_domain_is_not_verified_by_the_dialback_of_the_first(gateway, legacy_backend, pki, unproven):
    proxy = gateway([peer("strict.test", level="verify"), peer("lax.test", level="encrypt", **EXCUSE)],
                    config={"policy": ENCRYPT})
    visitor = Peer(proxy.inbound).secure(context(pki, unproven[0]), sender=DOMAIN).begin(sender=DOMAIN)
    server = legacy_backend.greet_server()
    visitor.opened()
    visitor.dialback(server, sender=DOMAIN)
    visitor.send(s2s.result("strict.test", "im.test"))
    record = proxy.wait_records("stream-refused")[0]
    assert audit.get(record, "xmpp.verification.identity") == "strict.test"
    assert audit.get(record, "xmpp.verification.method") == "none" and audit.get(record, "xmpp.verification.result") == "unverified"
    assert audit.get(record, "xmpp.auth.identity") is None
    visitor.close()


def test_our_own_dialback_verifies_nobody_else(gateway, remote, zoo):
    """It proves our domain to the remote server, not its own to us."""
    server = remote(certificate=zoo.get("self-signed"))
    proxy = gateway([peer("*.zoo.test", server, level="encrypt", **EXCUSE)])
    legacy = Legacy(proxy.outbound).open("self-signed.zoo.test")
    legacy.dialback(server.ready())
    legacy.close()
    closed = proxy.wait_records("stream-closed")[0]
    assert audit.get(closed, "xmpp.verification.result") == "unverified"
    assert audit.get(closed, "xmpp.verification.reason") == "the certificate is self-signed and not among those trusted"


def test_weak_tls_of_who_comes_is_recorded(gateway, legacy_backend, pki):
    """An exception is recorded on every use, also by the peer that comes to us."""
    chain = pki.issue("old.test", usage="serverAuth,clientAuth")
    proxy = gateway([peer("old.test", tls={"profile": "compat", "min-version": "1.1"}, **EXCUSE)])
    visitor = Peer(proxy.inbound).secure(context(pki, chain, version=ssl.TLSVersion.TLSv1_1), sender="old.test").begin(sender="old.test")
    legacy_backend.greet_server()
    visitor.opened()
    visitor.close()
    record = proxy.wait_records("stream-established")[0]
    assert audit.get(record, "tls.version") == "1.1"
    assert audit.get(record, "xmpp.policy.reason") == "a test"
    assert proxy.wait_records("weak-exception-used")[0]["xmpp"]["from"] == "old.test"


def test_weak_tls_is_not_lent_to_others(gateway, legacy_backend, pki):
    """The name in the plaintext header chooses the settings of the handshake; the one inside must be the same then."""
    chain = pki.issue("strong.test", usage="serverAuth,clientAuth")
    proxy = gateway([peer("old.test", tls={"profile": "compat"}, **EXCUSE)])
    visitor = Peer(proxy.inbound).secure(context(pki, chain), sender="old.test").begin(sender="strong.test")
    assert b"<not-authorized" in visitor.to_end()[0]
    assert proxy.wait_records("stream-refused")[0]["event"]["code"] == "header-switch"


def test_weak_tls_also_where_plaintext_may_go_on(gateway, legacy_backend, pki):
    """There STARTTLS is a change of mind on a stream that was joined; the rule's settings are the same."""
    chain = pki.issue("old.test", usage="serverAuth,clientAuth")
    proxy = gateway([peer("old.test", level="may", tls={"profile": "compat", "min-version": "1.1"}, **EXCUSE)])
    visitor = Peer(proxy.inbound)
    visitor.send(s2s.header("im.test", "old.test"))
    legacy_backend.greet_server()
    visitor.opened()
    visitor.send(wire.STARTTLS)
    assert visitor.until(wire.PROCEED) == wire.PROCEED
    visitor.handshake(context(pki, chain, version=ssl.TLSVersion.TLSv1_1), "im.test").begin(sender="old.test")
    legacy_backend.greet_server()
    visitor.opened()
    assert audit.get(proxy.wait_records("stream-established")[0], "tls.version") == "1.1"
    visitor.close()


def test_monitor_objects_once_to_missing_tls(gateway, remote):
    server = remote(offer="absent", answer="failure", plain_from=1)
    proxy = gateway([peer("remote.test", server)], config={"mode": "monitor"})
    Legacy(proxy.outbound).open("remote.test").close()
    proxy.wait_records("stream-closed")
    assert [r["event"]["code"] for r in proxy.records("stream-refused")] == ["no-tls"]


def test_the_record_of_an_injection_says_that_starttls_was_tried(gateway, remote):
    server = remote(answer="inject")
    proxy = gateway([peer("remote.test", server)])
    Legacy(proxy.outbound).begin("remote.test").refused("remote-injection")
    record = proxy.wait_records("starttls-injection")[0]
    assert audit.get(record, "xmpp.starttls.advertised") is True and audit.get(record, "xmpp.starttls.result") == "refused"


@pytest.mark.parametrize("direct", [False, True])
def test_a_handshake_that_stands_still(gateway, dns, direct):
    """It took STARTTLS, or was never asked: the record must not say that it did not take it."""
    stalled = socket.create_server(("127.0.0.1", 0))
    taken = []

    def take():
        with contextlib.suppress(OSError):
            taken.append(stalled.accept()[0])
            if not direct:
                taken[0].sendall(s2s.header("im.test", "still.example", identity="s1") + wire.FEATURES_STARTTLS)
                taken[0].recv(4096)
                taken[0].sendall(wire.PROCEED)
    threading.Thread(target=take, daemon=True).start()
    domain = f"still-{'direct' if direct else 'starttls'}.example"
    dns.publish(f"host.{domain}. A 127.0.0.1",
                f"_xmpp{'s' if direct else ''}-server._tcp.{domain}. SRV 0 0 {stalled.getsockname()[1]} host.{domain}.")
    proxy = gateway(dns=dns, config={"timeouts": {"connect": "1s"}})
    Legacy(proxy.outbound).begin(domain).refused("remote-tls")
    record = proxy.wait_records("stream-refused")[0]
    assert record["event"]["reason"].endswith(": it did not finish the handshake in time")
    for sock in [stalled, *taken]:
        sock.close()
