# SPDX-License-Identifier: MIT
"""The certificate zoo (CERT-1 to 12) on each outer leg: of a remote server that the legacy server or a local client reaches, and
of one that comes to it. One running program for all of it: a refusal must leave nothing behind."""
import pytest

from harness import audit, s2s, wire
from harness.gateway import Gateway, peer
from harness.legacy import Legacy, LegacyBackend
from harness.peer import Peer, context
from harness.remote import Remote
from harness.wait import until
from harness.zoo import KINDS, PROVEN, PROVEN_TO_CLIENTS, Zoo, fingerprints


@pytest.fixture(scope="module")
def shown(pki, zoo):
    """One remote server that shows to each domain KIND.zoo.test the certificate of that kind, the proxy, a legacy server."""
    server = Remote(pki, lambda domain: zoo.get(domain.removesuffix(".zoo.test")))
    backend = LegacyBackend()
    proxy = Gateway(pki, backend.address, [peer("*.zoo.test", server)])
    try:
        proxy.start()
        yield proxy, server, backend
        proxy.stop()
    finally:
        proxy.kill()
        backend.close()
        server.close()


def of_peer(proxy, action, domain, **fields):
    """The record of that peer's last stream."""
    return until(lambda: [r for r in proxy.records(action, **fields) if audit.get(r, "xmpp.verification.identity") == domain],
                 f"a record {action} of {domain}")[-1]


@pytest.mark.parametrize("kind", KINDS)
def test_a_server_that_we_go_to(shown, outward, kind):
    """Section 5, vector 7: before TLS there is our own header and <starttls/>, whatever the certificate will be; of what the legacy
    side declares and pipelines nothing is said until it has proven."""
    proxy, server, _ = shown
    outward.dress(server)
    proven = PROVEN if outward.servers else PROVEN_TO_CLIENTS
    domain = Zoo.domain(kind)
    legacy = outward.begin(proxy, domain, behind=s2s.result("im.test", domain) if outward.servers else wire.auth(), extra=" xmlns:mine='urn:mine'")
    if kind in proven:
        legacy.until(b"</stream:features>")
        guest = server.ready()
        legacy.close()
        record = of_peer(proxy, "stream-established", domain, xmpp__role=outward.role)
        assert audit.get(record, "xmpp.verification.matched") == proven[kind]
    else:
        said = legacy.refused("remote-unverified")
        guest = server.failed()
        assert "ALERT" in guest.failure.upper(), guest.failure  # CERT-10: said inside the handshake
        record = of_peer(proxy, "stream-refused", domain, xmpp__role=outward.role)
        assert record["event"]["code"] == "remote-unverified" and audit.get(record, "xmpp.error") == "policy-violation"
        assert audit.get(record, "xmpp.verification.result") == "unverified"
        # Section 4, row 30: why is said in the record, and nothing of the certificate to the legacy side.
        reason = audit.get(record, "xmpp.verification.reason")
        assert reason and reason.encode() not in said
    guest.saw_only_starttls()
    assert guest.prefix == s2s.prefix(domain, "im.test", outward.namespace)


@pytest.mark.parametrize("kind, alert", [("expired", "CERTIFICATE_EXPIRED"), ("self-signed", "UNKNOWN_CA"), ("untrusted", "UNKNOWN_CA"),
                                         ("cn-only", "BAD_CERTIFICATE"), ("other-name", "BAD_CERTIFICATE")])
def test_the_alert_says_why(shown, outward, kind, alert):
    proxy, server, _ = shown
    outward.dress(server)
    outward.begin(proxy, Zoo.domain(kind)).refused("remote-unverified")
    assert alert in server.failed().failure


@pytest.mark.parametrize("kind", KINDS)
def test_a_server_that_comes_to_us(shown, pki, zoo, kind):
    """CERT-11, 12: any certificate ends the handshake well; the header's `from` is what it is held against, with a server's
    purpose, for these are servers' certificates."""
    proxy, _, backend = shown
    domain = Zoo.domain(kind)
    chain = zoo.get(kind)
    visitor = Peer(proxy.inbound).secure(context(pki, chain), sender=domain).begin(sender=domain)
    if kind in PROVEN:
        backend.greet_server()
        visitor.opened()
        visitor.close()
        record = of_peer(proxy, "stream-established", domain, xmpp__role="s2s-inbound")
        assert audit.get(record, "xmpp.verification.matched") == PROVEN[kind]
    else:
        accepted = backend.accepted
        visitor.refused("peer-unverified", sender=domain)
        assert backend.accepted == accepted
        record = of_peer(proxy, "stream-refused", domain, xmpp__role="s2s-inbound")
        assert audit.get(record, "xmpp.verification.reason")
    assert audit.get(record, "tls.client.hash.sha256") == fingerprints(chain[0])[0]


def test_international_domains(gateway, remote, pki):
    """CERT-5: asked for with its own letters, proven by A-labels."""
    ascii_name = "xn--bcher-kva.test"
    chain = pki.issue(ascii_name, usage="serverAuth,clientAuth")
    server = remote(certificate=chain)
    proxy = gateway([peer(ascii_name, server)])
    for name in ("b\u00fccher.test", "B\u00dcCHER.test", ascii_name):
        legacy = Legacy(proxy.outbound)
        legacy.begin(name)
        legacy.until(b"</stream:features>", 20)
        assert server.ready().server_name == ascii_name
        legacy.close()


def test_a_certificate_for_the_target_only(gateway, remote, zoo, dns):
    """CERT-1: the SRV record's target is nobody who was asked for."""
    server = remote(certificate=zoo.get("dns-id"))
    dns.publish(f"_xmpp-server._tcp.target-only.example. SRV 0 0 {server.port} dns-id.example.", "dns-id.example. A 127.0.0.1")
    proxy = gateway(dns=dns)
    Legacy(proxy.outbound).begin("target-only.example").refused("remote-unverified")


def test_own_anchors_of_a_peer_replace_the_common_ones(gateway, remote, zoo):
    """CERT-9."""
    zoo.get("untrusted")
    stranger = zoo.path("stranger.pem")
    server = remote(certificate=lambda domain: zoo.get(domain.removesuffix(".zoo.test")))
    proxy = gateway([peer("*.zoo.test", server, tls={"ca-file": stranger})])
    legacy = Legacy(proxy.outbound).open("untrusted.zoo.test")
    legacy.close()
    Legacy(proxy.outbound).begin("dns-id.zoo.test").refused("remote-unverified")
