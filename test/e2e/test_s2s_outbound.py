# SPDX-License-Identifier: MIT
"""The legacy server's streams to other servers: nothing leaves before TLS but a header and <starttls/>, nothing comes back
before the remote server has proved who it is, and then both speak as if there were nobody in between."""
import re
import ssl
import threading

import pytest

from harness import audit, s2s, wire
from harness.gateway import EXCUSE, peer
from harness.legacy import Legacy
from harness.wait import free_port, until
from harness.zoo import fingerprints


def test_a_stream_from_header_to_close(gateway, remote):
    server = remote()
    proxy = gateway([peer("remote.test", server)])
    legacy = Legacy(proxy.outbound).open("remote.test")
    guest = server.ready()
    guest.saw_only_starttls()
    assert s2s.value(guest.prefix, "to") == "remote.test" and b" from='im.test'" in guest.prefix
    assert (guest.server_name, guest.protocol) == ("remote.test", None)
    assert ("DNS", "im.test") in guest.certificate["subjectAltName"]
    assert guest.header == legacy.sent
    header, features = guest.opened[:-len(s2s.FEATURES_DIALBACK)], s2s.FEATURES_DIALBACK
    assert legacy.opened == header + s2s.limited(features)
    legacy.dialback(guest)
    stanza = s2s.message("juliet@im.test/balcony", "romeo@remote.test")
    legacy.send(stanza)
    assert guest.exactly(len(stanza)) == stanza
    legacy.finish(guest)
    record = proxy.wait_records("stream-established")[0]
    expected = {"network.direction": "outbound", "xmpp.role": "s2s-outbound", "xmpp.from": "im.test", "xmpp.to": "remote.test",
                "xmpp.policy.level": "verify", "xmpp.starttls.advertised": True, "xmpp.starttls.required": True,
                "xmpp.starttls.result": "negotiated", "tls.established": True, "tls.version": "1.3",
                "tls.client.server_name": "remote.test", "xmpp.verification.method": "pkix", "xmpp.verification.result": "verified",
                "xmpp.verification.identity": "remote.test", "xmpp.verification.matched": "DNS-ID remote.test",
                "destination.domain": "remote.test", "destination.ip": "127.0.0.1", "destination.port": server.port,
                "xmpp.inner.tls.established": False, "tls.server.hash.sha256": fingerprints(server.certificate[0])[0],
                "xmpp.peer.spki_sha256": fingerprints(server.certificate[0])[1]}
    assert {name: audit.get(record, name) for name in expected} == expected
    assert "remote.test" in audit.get(record, "tls.server.x509.alternative_names")
    closed = proxy.wait_records("stream-closed")[0]
    assert audit.get(closed, "xmpp.auth.method") == "dialback" and audit.get(closed, "xmpp.auth.identity") == "im.test"
    assert closed["event"]["outcome"] == "success"
    assert not [r for r in proxy.records() if s2s.KEY in str(r)] and s2s.KEY not in "\n".join(proxy.log)


def test_what_is_pipelined_behind_the_header_waits_for_tls(gateway, remote):
    """NEG-28."""
    server = remote()
    proxy = gateway([peer("remote.test", server)])
    legacy = Legacy(proxy.outbound).begin("remote.test", behind=s2s.result("im.test", "remote.test"))
    guest = server.ready()
    guest.saw_only_starttls()
    asked = guest.until(s2s.result("im.test", "remote.test"))
    assert asked == s2s.result("im.test", "remote.test")
    guest.send(s2s.answer("remote.test", "im.test"))
    legacy.until(s2s.answer("remote.test", "im.test"))
    legacy.close()


def test_the_legacy_side_hears_nothing_before_the_remote_is_verified(gateway, remote, remote_certificate):
    gate = threading.Event()
    server = remote(certificate=lambda _: gate.wait(20) and remote_certificate)
    proxy = gateway([peer("remote.test", server)])
    legacy = Legacy(proxy.outbound).begin("remote.test")
    until(lambda: server.guests and server.guests[0].first_byte, "the ClientHello")
    assert legacy.quiet(0.5)
    gate.set()
    assert legacy.until(wire.HEADER_PATTERN)
    legacy.close()


def test_a_legacy_server_older_than_1_0(gateway, remote):
    """Transcript 3.7a1: TLS needs 1.0 outside; inside it is as the legacy server speaks, id and all."""
    server = remote()
    proxy = gateway([peer("remote.test", server)])
    legacy = Legacy(proxy.outbound).open("remote.test", version=None)
    guest = server.ready()
    guest.saw_only_starttls()
    assert s2s.value(guest.prefix, "version") == "1.0" and s2s.value(guest.header, "version") == "1.0"
    assert s2s.older(guest.header) == legacy.sent
    assert legacy.opened == s2s.older(guest.opened[:-len(s2s.FEATURES_DIALBACK)])
    assert legacy.identity == guest.identity
    legacy.dialback(guest)
    legacy.close()


def test_a_remote_server_older_than_1_0_inside_tls(gateway, remote):
    """NEG-40: features that it does not send are put in its place; the id stays."""
    server = remote(version_inside=None, features=b"")
    proxy = gateway([peer("remote.test", server)])
    legacy = Legacy(proxy.outbound).open("remote.test")
    assert legacy.identity == server.ready().identity
    assert s2s.value(legacy.opened, "version") == "1.0"
    assert b"<dialback xmlns='urn:xmpp:features:dialback'" in legacy.opened
    legacy.close()


def test_namespaces_of_a_header_are_carried_across(gateway, remote):
    """NEG-20."""
    server = remote(header_options={"extra": " xmlns:y='urn:y'"})
    proxy = gateway([peer("remote.test", server)])
    legacy = Legacy(proxy.outbound).open("remote.test", extra=" xmlns:x='urn:x'")
    guest = server.ready()
    assert b" xmlns:x='urn:x'" in guest.header and b" xmlns:x=" not in guest.prefix
    assert b" xmlns:y='urn:y'" in legacy.opened
    legacy.dialback(guest)
    stanza = b"<message from='a@im.test' to='b@remote.test'><x:y/></message>"
    legacy.send(stanza)
    assert guest.exactly(len(stanza)) == stanza
    legacy.close()


def test_starttls_and_compression_inside_tls_are_not_shown(gateway, remote):
    """NEG-12, 24; ejabberd gives up when it sees <starttls/> that it was told not to use."""
    offered = (f"<stream:features><starttls xmlns='{wire.TLS}'><required/></starttls><compression xmlns='http://jabber.org/features/"
               "compress'><method>zlib</method></compression>").encode() + s2s.FEATURE + b"</stream:features>"
    server = remote(features=offered)
    proxy = gateway([peer("remote.test", server)])
    legacy = Legacy(proxy.outbound).open("remote.test")
    assert legacy.opened.endswith(s2s.limited(s2s.FEATURES_DIALBACK)), legacy.opened
    legacy.close()


@pytest.mark.parametrize("condition, expected", [
    ("host-unknown", "host-unknown"), ("resource-constraint", "resource-constraint"), ("system-shutdown", "system-shutdown"),
    ("undefined-condition", "remote-connection-failed"), ("not-authorized", "remote-connection-failed")])
def test_stream_errors_of_the_remote(gateway, remote, condition, expected):
    """Section 4, row 32: what is about the domain is passed on, anything else is a connection that failed."""
    proxy = gateway([peer("remote.test", remote(features=wire.stream_error(condition)))])
    legacy = Legacy(proxy.outbound).begin("remote.test")
    data, _ = legacy.to_end()
    assert re.search(wire.error_pattern(expected), data), data
    record = proxy.wait_records("stream-closed")[0]
    assert (record["event"]["code"], audit.get(record, "xmpp.error")) == ("remote-error", expected)


REDIRECT = wire.stream_error("see-other-host").replace(b"/>", b">127.0.0.1:9</see-other-host>", 1)


@pytest.mark.parametrize("word, script", [
    ("remote-other-domain", {"domain": "somebody.else.test"}), ("remote-redirect", {"features": REDIRECT}),
    ("remote-invalid", {"features": s2s.NOT_XML}),
    ("remote-tls", {"tls_version": ssl.TLSVersion.TLSv1_1})])
def test_useless_servers(gateway, remote, word, script):
    proxy = gateway([peer("remote.test", remote(**script))])
    Legacy(proxy.outbound).begin("remote.test").refused(word)
    record = proxy.wait_records("stream-refused", event__code=word)[0]
    assert audit.get(record, "xmpp.to") == "remote.test"


def test_nobody_listens(gateway):
    proxy = gateway([peer("remote.test", f"127.0.0.1:{free_port()}")])
    Legacy(proxy.outbound).begin("remote.test").refused("remote-down")
    assert proxy.wait_records("stream-closed")[0]["event"]["code"] == "remote-down"


def test_a_remote_that_says_nothing(gateway, backend):
    proxy = gateway([peer("remote.test", backend)], config={"timeouts": {"connect": "1s"}})
    Legacy(proxy.outbound).begin("remote.test").refused("remote-timeout")


def test_a_domain_that_is_not_ours(gateway, remote):
    """STZ-4: the legacy server may speak for the domains of the configuration only."""
    server = remote()
    proxy = gateway([peer("remote.test", server)])
    Legacy(proxy.outbound).begin("remote.test", sender="bank.test").refused("not-ours")
    assert proxy.wait_records("stream-closed")[0]["event"]["code"] == "not-ours"
    server.nobody()


# --- levels
def test_level_none_asks_for_nothing(gateway, remote):
    server = remote(plain_from=0)
    proxy = gateway([peer("remote.test", server, level="none", **EXCUSE)])
    legacy = Legacy(proxy.outbound).open("remote.test")
    guest = server.ready()
    legacy.dialback(guest)
    assert b"starttls" not in guest.prefix
    legacy.close()
    record = proxy.wait_records("stream-established")[0]
    expected = {"tls.established": False, "xmpp.policy.level": "none", "xmpp.policy.reason": "a test",
                "xmpp.policy.until": "2199-12-31", "xmpp.starttls.result": "not-attempted"}
    assert {name: audit.get(record, name) for name in expected} == expected
    assert proxy.wait_records("weak-exception-used")


@pytest.mark.parametrize("offer, answer, result", [
    ("required", "failure", "refused"), ("absent", "error", "stripped-failed"), ("absent", "eof", "stripped-failed"),
    ("silent", "silence", "stripped-failed")])
def test_level_may_goes_on_in_plaintext_on_a_new_connection(gateway, remote, offer, answer, result):
    """... and says so. What was said on the first connection is not part of the second."""
    server = remote(offer=offer, answer=answer, plain_from=1)
    proxy = gateway([peer("remote.test", server, level="may", **EXCUSE)], config={"timeouts": {"connect": "2s"}})
    legacy = Legacy(proxy.outbound).open("remote.test")
    assert s2s.PREFIX.fullmatch(server.failed().prefix)
    guest = server.ready()
    assert b"starttls" not in guest.prefix and guest.header == legacy.sent
    legacy.dialback(guest)
    legacy.close()
    record = proxy.wait_records("stream-established")[0]
    assert audit.get(record, "tls.established") is False and audit.get(record, "xmpp.starttls.result") == result
    assert len(proxy.wait_records("stream-closed")) == 1


def test_level_may_takes_tls_where_it_is(gateway, remote, zoo):
    server = remote(certificate=zoo.get("self-signed"))
    proxy = gateway([peer("*.zoo.test", server, level="may", **EXCUSE)])
    legacy = Legacy(proxy.outbound).open("self-signed.zoo.test")
    server.ready().saw_only_starttls()
    legacy.close()
    record = proxy.wait_records("stream-established")[0]
    assert audit.get(record, "tls.established") is True
    assert audit.get(record, "xmpp.verification.result") == "unverified" and audit.get(record, "xmpp.verification.reason")


def test_level_encrypt_leaves_proof_to_dialback(gateway, remote, zoo):
    server = remote(certificate=zoo.get("self-signed"))
    proxy = gateway([peer("*.zoo.test", server, level="encrypt", **EXCUSE)])
    legacy = Legacy(proxy.outbound).open("self-signed.zoo.test")
    legacy.dialback(server.ready())
    legacy.close()
    closed = proxy.wait_records("stream-closed")[0]
    assert audit.get(closed, "xmpp.verification.method") == "dialback"


@pytest.mark.parametrize("kind", ["sha256", "spki-sha256"])
def test_level_fingerprint(gateway, remote, zoo, kind):
    chain = zoo.get("self-signed")
    server = remote(certificate=chain)
    mine = dict(zip(("sha256", "spki-sha256"), fingerprints(chain[0])))[kind]
    proxy = gateway([peer("self-signed.zoo.test", server, level="fingerprint", fingerprints=[f"{kind}:{mine}"]),
                     peer("*.zoo.test", server, level="fingerprint", fingerprints=[f"{kind}:{'0' * 64}"])])
    legacy = Legacy(proxy.outbound).open("self-signed.zoo.test")
    legacy.close()
    record = proxy.wait_records("stream-established")[0]
    assert audit.get(record, "xmpp.verification.method") == "fingerprint"
    Legacy(proxy.outbound).begin("expired.zoo.test").refused("remote-unverified")


def test_the_rule_that_decided_is_named(gateway, remote, zoo):
    """The first that matches, and where none does the role; in the record of a stream that is up as in that of one that is refused."""
    good, bad = remote(), remote(certificate=zoo.get("self-signed"))
    rules = [peer("self-signed.zoo.test", bad, level="encrypt", **EXCUSE), peer("*.zoo.test", bad), peer("*.test", good)]
    proxy = gateway(rules)
    for domain in ("self-signed.zoo.test", "remote.test"):
        Legacy(proxy.outbound).open(domain).close()
    Legacy(proxy.outbound).begin("expired.zoo.test").refused("remote-unverified")
    Legacy(proxy.outbound).begin("nobody.example").refused("dns", 30)

    def named(action):
        return {audit.get(r, "xmpp.to"): (audit.get(r, "xmpp.policy.rule"), audit.get(r, "xmpp.policy.level")) for r in proxy.records(action)}
    proxy.wait_records("stream-closed", 4)
    assert named("stream-established") == {"self-signed.zoo.test": ("self-signed.zoo.test", "encrypt"), "remote.test": ("*.test", "verify")}
    assert named("stream-refused") == {"expired.zoo.test": ("*.zoo.test", "verify"), "nobody.example": ("s2s-outbound", "verify")}
    assert named("stream-closed") == {**named("stream-established"), **named("stream-refused")}


def test_an_exception_that_is_over_no_longer_holds(gateway, remote, zoo):
    server = remote(certificate=zoo.get("self-signed"))
    proxy = gateway([peer("*.zoo.test", level="encrypt", reason="a test", until="2020-01-01"), peer("*.zoo.test", server)])
    Legacy(proxy.outbound).begin("self-signed.zoo.test").refused("remote-unverified")


def test_weak_tls_for_one_peer_only(gateway, remote):
    """Rule 7 of the design: the same server under two names, one of them excused."""
    server = remote(tls_version=ssl.TLSVersion.TLSv1_1)
    proxy = gateway([peer("remote.test", server, tls={"profile": "compat", "min-version": "1.1"}, **EXCUSE), peer("other.remote.test", server)])
    legacy = Legacy(proxy.outbound).open("remote.test")
    legacy.close()
    record = proxy.wait_records("stream-established")[0]
    assert audit.get(record, "tls.version") == "1.1" and audit.get(record, "xmpp.policy.reason") == "a test"
    assert proxy.wait_records("weak-exception-used")[0]["xmpp"]["to"] == "remote.test"
    Legacy(proxy.outbound).begin("other.remote.test").refused("remote-tls")


def test_monitor_mode_goes_on_and_records(gateway, remote, zoo):
    server = remote(certificate=zoo.get("expired"))
    proxy = gateway([peer("*.zoo.test", server)], config={"mode": "monitor"})
    legacy = Legacy(proxy.outbound).open("expired.zoo.test")
    server.ready()
    legacy.close()
    record = proxy.wait_records("stream-refused")[0]
    assert (audit.get(record, "xmpp.policy.mode"), record["event"]["outcome"]) == ("monitor", "unknown")
    assert record["event"]["code"] == "remote-unverified"


def test_a_session_is_resumed_and_judged_again(gateway, remote):
    server = remote()
    proxy = gateway([peer("remote.test", server)], config={"workers": 1})
    for _ in range(2):
        legacy = Legacy(proxy.outbound).open("remote.test")
        guest = server.ready()
        legacy.dialback(guest).finish(guest)
        proxy.wait_records("stream-closed", len(server.guests))
    resumed = [audit.get(r, "tls.resumed") for r in proxy.wait_records("stream-established", 2)]
    assert resumed == [False, True]
    assert {audit.get(r, "xmpp.verification.matched") for r in proxy.records("stream-established")} == {"DNS-ID remote.test"}


def test_streams_shows_them(gateway, remote):
    server = remote()
    proxy = gateway([peer("remote.test", server)])
    legacy = Legacy(proxy.outbound).open("remote.test")
    server.ready()
    shown = [s for s in proxy.streams() if s.get("role") == "s2s-outbound" or s.get("xmpp", {}).get("role") == "s2s-outbound"]
    assert len(shown) == 1 and "remote.test" in str(shown[0])
    legacy.close()


def test_the_legacy_side_is_not_held_to_a_limit_of_addresses(gateway, remote):
    """All its streams have one address; what holds for it is the total."""
    server = remote()
    proxy = gateway([peer("remote.test", server)], config={"limits": {"connections-per-address": 2}})
    streams = [Legacy(proxy.outbound).open("remote.test") for _ in range(4)]
    assert len(proxy.streams()) == 4
    for legacy in streams:
        legacy.close()
