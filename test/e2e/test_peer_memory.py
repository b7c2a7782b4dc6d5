# SPDX-License-Identifier: MIT
"""What is remembered of remote domains (STRIP-7, LOG-6), across restarts and kills: a certificate that changed is said once, a
peer that had TLS and no longer has it is an alarm, `peers accept` and `peers forget` are obeyed at once."""
import json
import os
import shutil
import signal
import subprocess

import pytest

from harness import audit, s2s
from harness.gateway import EXCUSE, peer
from harness.legacy import Legacy
from harness.peer import Peer, context
from harness.wait import until
from harness.zoo import fingerprints

REMOTE = "remote.test"
ENCRYPT = {"policy": {"s2s-outbound": "encrypt", "s2s-inbound": "encrypt"}}


@pytest.fixture
def renewed(pki):
    """Another good certificate of the same domain, with another key."""
    return pki.issue(REMOTE, name="renewed-remote", usage="serverAuth,clientAuth")


@pytest.fixture
def unproven(zoo):
    """Two certificates that prove nothing, of different keys, for one domain."""
    return [zoo.issue(f"unproven-{n}", REMOTE, f"subjectAltName=DNS:{REMOTE}\n", None) for n in (1, 2)]


@pytest.fixture
def same_key(zoo, unproven):
    """The first of them renewed, with the key it had."""
    shutil.copy(unproven[0][1], zoo.path("renewed.key"))
    return zoo.issue("renewed", REMOTE, f"subjectAltName=DNS:{REMOTE}\n", None, key=("-key", zoo.path("renewed.key")))


def talk(proxy, server):
    """One stream, closed in order."""
    before = len(proxy.records("stream-closed"))
    legacy = Legacy(proxy.outbound).open(REMOTE)
    guest = server.ready()
    legacy.dialback(guest).finish(guest)
    proxy.wait_records("stream-closed", before + 1)
    return proxy.records("stream-established")[-1]


def shown(proxy, domain=REMOTE, command="show", expect=0):
    done = proxy.cli("peers", command, domain, "--json")
    assert done.returncode == expect, (done.returncode, done.stdout, done.stderr)
    return done.stdout


def until_shown(proxy, text):
    return until(lambda: text in shown(proxy), f"{text} in the peer memory")


def test_a_renewed_certificate_is_news_once(gateway, remote, remote_certificate, renewed):
    server = remote()
    proxy = gateway([peer(REMOTE, server)])
    talk(proxy, server)
    until_shown(proxy, fingerprints(remote_certificate[0])[0])
    server.certificate = renewed
    talk(proxy, server)
    record = proxy.wait_records("certificate-changed")[0]
    previous = json.dumps(record["xmpp"]["peer"]["previous"])
    assert fingerprints(remote_certificate[0])[0] in previous and '"not_after": "20' in previous
    assert audit.get(record, "tls.server.hash.sha256") == fingerprints(renewed[0])[0]
    assert record["event"]["severity"] == 1, "a change that verifies is news, not an alarm"
    until_shown(proxy, fingerprints(renewed[0])[0])
    talk(proxy, server)
    server.certificate = remote_certificate  # a site with two nodes
    talk(proxy, server)
    assert len(proxy.records("certificate-changed")) == 1


def restart(proxy, how):
    if how == "stop":
        proxy.stop()
    else:
        # Everything at once, as when the machine's memory runs out; what was acknowledged must be there afterwards.

        children = [int(pid) for pid in subprocess.run(["pgrep", "-P", str(proxy.process.pid)], capture_output=True, text=True).stdout.split()]
        for pid in [proxy.process.pid] + children:
            os.kill(pid, signal.SIGKILL)
        proxy.process.wait()
    if os.path.exists(proxy.socket):
        os.unlink(proxy.socket)
    proxy.start()


@pytest.mark.parametrize("how", ["stop", "kill"])
def test_memory_survives(gateway, remote, remote_certificate, renewed, how):
    server = remote()
    proxy = gateway([peer(REMOTE, server)], config={"audit": {"chain": False}})
    talk(proxy, server)
    until_shown(proxy, fingerprints(remote_certificate[0])[0])
    restart(proxy, how)
    assert fingerprints(remote_certificate[0])[0] in shown(proxy)
    server.certificate = renewed
    talk(proxy, server)
    assert fingerprints(remote_certificate[0])[0] in json.dumps(proxy.wait_records("certificate-changed")[0]["xmpp"]["peer"]["previous"])


def test_memory_survives_a_killed_keeper(gateway, remote, remote_certificate):
    server = remote()
    proxy = gateway([peer(REMOTE, server)])
    talk(proxy, server)
    until_shown(proxy, fingerprints(remote_certificate[0])[0])
    keeper = proxy.status()["keeper"]["pid"]
    os.kill(keeper, signal.SIGKILL)
    until(lambda: proxy.status()["keeper"]["pid"] not in (keeper, 0, None), "another keeper")
    assert fingerprints(remote_certificate[0])[0] in shown(proxy)
    talk(proxy, server)
    assert not proxy.records("certificate-changed")


def test_a_change_that_nothing_verifies_is_refused_until_accepted(gateway, remote, unproven):
    server = remote(certificate=unproven[0])
    config = dict(ENCRYPT, policy=dict(ENCRYPT["policy"], **{"on-certificate-change": "refuse"}))
    proxy = gateway([peer(REMOTE, server)], config=config)
    talk(proxy, server)
    until_shown(proxy, fingerprints(unproven[0][0])[0])
    server.certificate = unproven[1]
    for _ in range(2):
        Legacy(proxy.outbound).begin(REMOTE).refused("certificate-changed")
        assert "have b''" in server.failed().failure  # TLS was up, and nothing was said inside it
    record = proxy.wait_records("certificate-changed")[0]
    assert record["event"]["severity"] == 2
    assert proxy.wait_records("stream-refused", 2)[0]["event"]["code"] == "certificate-changed"
    until_shown(proxy, fingerprints(unproven[1][0])[0])
    shown(proxy, command="accept")
    talk(proxy, server)
    server.certificate = unproven[0]
    talk(proxy, server)


def test_a_renewal_that_keeps_its_key_is_let_in_for_good(gateway, remote, unproven, same_key):
    """Nobody but the peer has that key; it is news once all the same."""
    server = remote(certificate=unproven[0])
    config = dict(ENCRYPT, policy=dict(ENCRYPT["policy"], **{"on-certificate-change": "refuse"}))
    proxy = gateway([peer(REMOTE, server)], config=config)
    talk(proxy, server)
    until_shown(proxy, fingerprints(unproven[0][0])[0])
    server.certificate = same_key
    for _ in range(3):
        talk(proxy, server)
        until_shown(proxy, fingerprints(same_key[0])[0])
    records = proxy.records("certificate-changed")
    assert [r["event"]["severity"] for r in records] == [1]
    assert "its key is the same" in records[0]["event"]["reason"] and " issuer and expires in " in records[0]["event"]["reason"]
    assert fingerprints(unproven[0][0])[0] in json.dumps(records[0]["xmpp"]["peer"]["previous"])
    assert '"accepted": false' not in shown(proxy)


def test_a_change_that_nothing_verifies_is_a_warning_by_default(gateway, remote, unproven):
    server = remote(certificate=unproven[0])
    proxy = gateway([peer(REMOTE, server)], config=ENCRYPT)
    talk(proxy, server)
    until_shown(proxy, fingerprints(unproven[0][0])[0])
    server.certificate = unproven[1]
    talk(proxy, server)
    assert proxy.wait_records("certificate-changed")[0]["event"]["severity"] == 2


@pytest.fixture
def second(gateway, remote, dns):
    """second(domain, certificates) -> portcullis that has met the first server of a domain, which is down now, and the second."""
    def make(domain, *certificates):
        servers = [remote(certificate=chain) for chain in certificates]
        for number, server in enumerate(servers):
            dns.publish(f"node{number}.{domain}. A 127.0.0.1",
                        f"_xmpp-server._tcp.{domain}. SRV {number} 0 {server.port} node{number}.{domain}.")
        proxy = gateway(dns=dns, config=dict(ENCRYPT, policy=dict(ENCRYPT["policy"], **{"on-certificate-change": "refuse"})))
        Legacy(proxy.outbound).open(domain).close()
        until(lambda: f"node0.{domain}" in proxy.cli("peers", "show", domain).stdout, "the first in the memory")
        servers[0].close()
        return proxy, servers[1]
    return make


def good(pki, domain, number):
    return pki.issue(domain, name=f"node{number}-{domain}", usage="serverAuth,clientAuth")


@pytest.mark.parametrize("domain, told", [("nodes.example", False), ("nodes.plain.example", True)], ids=["signed", "unsigned"])
def test_another_server_of_a_site_has_its_own_certificate(second, pki, zoo, domain, told):
    """It is verified, and DNSSEC says that it is one of the domain's: no change. Without DNSSEC whoever has got himself a
    certificate could have thought of the name: let in, and said once."""
    first, other = good(pki, domain, 0), good(pki, domain, 1)
    proxy, server = second(domain, first, other)
    Legacy(proxy.outbound).open(domain).close()
    until(lambda: f"node1.{domain}" in proxy.cli("peers", "show", domain).stdout, "the second in the memory")
    Legacy(proxy.outbound).open(domain).close()
    changes = proxy.records("certificate-changed")
    assert [record["event"]["severity"] for record in changes] == [1] * told, changes
    for record in changes:
        assert "a server of the domain that was not met before; it is verified" in record["event"]["reason"]
        assert audit.get(record, "xmpp.peer.previous.sha256") == fingerprints(first[0])[0]
    assert "NOT ACCEPTED" not in proxy.cli("peers", "show", domain).stdout
    # One that is remembered of the domain may move there; any other is a change.
    server.certificate = first
    Legacy(proxy.outbound).open(domain).close()
    assert len(proxy.records("certificate-changed")) == told
    server.certificate = zoo.issue(f"unproven-{domain}", domain, f"subjectAltName=DNS:{domain}\n", None)
    Legacy(proxy.outbound).begin(domain).refused("certificate-changed")
    assert "not met before" not in proxy.wait_records("certificate-changed", told + 1)[-1]["event"]["reason"]


@pytest.mark.parametrize("domain", ["strange.example", "strange.plain.example"], ids=["signed", "unsigned"])
def test_a_server_that_only_dns_names_is_a_change(second, unproven, domain):
    """Anybody on the way can name a server that was not met before, or answer for one that DNSSEC names: whoever keeps us
    from the first must not be let in at the next, and not at the first after that."""
    proxy, server = second(domain, unproven[0], unproven[1])
    Legacy(proxy.outbound).begin(domain).refused("certificate-changed")
    until(lambda: "NOT ACCEPTED" in proxy.cli("peers", "show", domain).stdout, "the second in the memory")
    Legacy(proxy.outbound).begin(domain).refused("certificate-changed")
    proxy.wait_records("stream-refused", 2)
    record, = proxy.records("certificate-changed")
    assert record["event"]["severity"] == 2
    assert "a server of the domain that was not met before, and nothing verifies it" in record["event"]["reason"]
    # Each server of such a site wants to be accepted, once.
    assert proxy.cli("peers", "accept", domain, fingerprints(unproven[1][0])[0]).returncode == 0
    Legacy(proxy.outbound).open(domain).close()
    server.certificate = unproven[0]
    Legacy(proxy.outbound).open(domain).close()
    assert len(proxy.records("certificate-changed")) == 1


def test_forget(gateway, remote, renewed):
    server = remote()
    proxy = gateway([peer(REMOTE, server)])
    talk(proxy, server)
    until(lambda: proxy.cli("peers", "show", REMOTE).returncode == 0, "the peer in the memory")
    shown(proxy, command="forget")
    shown(proxy, expect=1)
    server.certificate = renewed
    talk(proxy, server)
    assert not proxy.records("certificate-changed")
    assert REMOTE in proxy.cli("peers", "list").stdout


def test_stripping_weighs_more_after_tls_was_seen(gateway, remote):
    """RFC 7457 section 2.2: to who never saw TLS it may be a server without; to who did it is an attack."""
    server = remote()
    proxy = gateway([peer(REMOTE, server)])
    talk(proxy, server)
    until(lambda: proxy.cli("peers", "show", REMOTE).returncode == 0, "the peer in the memory")
    restart(proxy, "stop")
    server.offer, server.answer = "absent", "failure"
    Legacy(proxy.outbound).begin(REMOTE).refused("no-tls")
    record = proxy.wait_records("starttls-stripped")[0]
    assert (record["event"]["severity"], audit.get(record, "xmpp.starttls.result")) == (3, "stripped-failed")


def test_going_on_in_plaintext_where_tls_was_is_a_downgrade(gateway, remote):
    server = remote()
    proxy = gateway([peer(REMOTE, server, level="may", **EXCUSE)])
    talk(proxy, server)
    until(lambda: proxy.cli("peers", "show", REMOTE).returncode == 0, "the peer in the memory")
    server.offer, server.answer, server.plain_from = "absent", "failure", 2
    talk(proxy, server)
    assert proxy.wait_records("tls-downgraded")[0]["event"]["severity"] == 3


def test_verification_that_was_and_no_longer_is(gateway, remote, unproven):
    server = remote()
    proxy = gateway([peer(REMOTE, server)], config=ENCRYPT)
    talk(proxy, server)
    until(lambda: proxy.cli("peers", "show", REMOTE).returncode == 0, "the peer in the memory")
    server.certificate = unproven[0]
    talk(proxy, server)
    assert proxy.wait_records("tls-downgraded")
    assert proxy.wait_records("certificate-changed")[0]["event"]["severity"] == 2


def test_what_it_does_when_it_comes_is_no_less_than_when_it_is_called(gateway, remote, legacy_backend, pki, unproven):
    """A server with a good certificate need not have one that is good as a client, or TLS 1.3 there."""
    server = remote()
    proxy = gateway([peer(REMOTE, server)], config=ENCRYPT)
    talk(proxy, server)
    until(lambda: proxy.cli("peers", "show", REMOTE).returncode == 0, "the peer in the memory")
    visitor = Peer(proxy.inbound).secure(context(pki, unproven[0])).begin()
    backend = legacy_backend.greet_server()
    visitor.opened()
    visitor.dialback(backend)
    visitor.close()
    proxy.wait_records("stream-closed", 2)
    assert not proxy.records("tls-downgraded")
    until(lambda: "inbound       TLS best 1.3" in proxy.cli("peers", "show", REMOTE).stdout, "the other direction in the memory")
    assert "outbound      TLS best 1.3, last 1.3; verified best by pkix" in proxy.cli("peers", "show", REMOTE).stdout


def test_who_comes_is_remembered_too(gateway, legacy_backend, pki, unproven):
    """One memory for both directions: the certificate is the domain's."""
    proxy = gateway(config=ENCRYPT)
    for number, chain in enumerate(unproven):
        visitor = Peer(proxy.inbound).secure(context(pki, chain)).begin()
        server = legacy_backend.greet_server()
        visitor.opened()
        visitor.dialback(server)
        visitor.close()
        proxy.wait_records("stream-closed", number + 1)
        until_shown(proxy, fingerprints(chain[0])[0])
    record = proxy.wait_records("certificate-changed")[0]
    assert fingerprints(unproven[0][0])[0] in json.dumps(record["xmpp"]["peer"]["previous"])


def test_who_proves_nothing_is_not_remembered(gateway, legacy_backend, pki, unproven):
    """Anybody can say that he is a domain that was never seen before, and show a certificate that would then be its first."""
    proxy = gateway(config=ENCRYPT)
    for number, (chain, proven) in enumerate([(unproven[0], False), (unproven[1], True)]):
        visitor = Peer(proxy.inbound).secure(context(pki, chain)).begin()
        server = legacy_backend.greet_server()
        visitor.opened()
        if proven:
            visitor.dialback(server)
        visitor.close()
        proxy.wait_records("stream-closed", number + 1)
    until_shown(proxy, fingerprints(unproven[1][0])[0])
    assert fingerprints(unproven[0][0])[0] not in shown(proxy)
    assert not proxy.records("certificate-changed")


def test_no_word_of_what_was_said_is_kept(gateway, remote):
    server = remote()
    proxy = gateway([peer(REMOTE, server)])
    talk(proxy, server)
    until(lambda: proxy.cli("peers", "show", REMOTE).returncode == 0, "the peer in the memory")
    proxy.stop()
    for root, _, names in os.walk(proxy.config["state-directory"]):
        for name in names:
            with open(os.path.join(root, name), "rb") as file:
                data = file.read()
            assert s2s.KEY.encode() not in data and b"juliet" not in data
            assert os.stat(os.path.join(root, name)).st_mode & 0o077 == 0, name
