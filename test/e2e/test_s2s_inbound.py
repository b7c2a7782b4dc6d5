# SPDX-License-Identifier: MIT
"""Other servers that come to the legacy server: TLS before anything, who they are by certificate once the header inside TLS is
there, and a legacy server that hears of nobody who did not get that far."""
import re
import ssl

import pytest

from harness import audit, s2s, wire
from harness.gateway import EXCUSE, peer
from harness.legacy import FEATURES_END, Legacy
from harness.peer import Peer, context
from harness.zoo import fingerprints

REMOTE = "remote.test"


@pytest.fixture
def trusted(pki, remote_certificate):
    return context(pki, remote_certificate)


def test_a_stream_from_header_to_close(gateway, legacy_backend, trusted):
    proxy = gateway()
    visitor = Peer(proxy.inbound).secure(trusted)
    assert legacy_backend.accepted == 0
    visitor.begin()
    server = legacy_backend.greet_server()
    assert server.opened == visitor.sent
    opened = visitor.opened()
    assert opened == server.answered[:-len(s2s.FEATURES_DIALBACK)] + s2s.limited(s2s.FEATURES_DIALBACK)
    assert s2s.value(opened, "id") == "b1-93ab62f7c05d" != visitor.clear_identity.decode()
    visitor.dialback(server)
    stanza = s2s.message("romeo@remote.test", "juliet@im.test")
    visitor.send(stanza)
    server.wait_for(stanza)
    visitor.send(wire.CLOSE)
    server.wait_for(wire.CLOSE)
    server.send(wire.CLOSE)
    server.close()
    assert visitor.to_end() == (wire.CLOSE, "fin")
    record = proxy.wait_records("stream-established")[0]
    expected = {"network.direction": "inbound", "xmpp.role": "s2s-inbound", "xmpp.from": REMOTE, "xmpp.to": "im.test",
                "xmpp.policy.level": "verify", "xmpp.starttls.result": "negotiated", "tls.version": "1.3",
                "xmpp.verification.method": "pkix", "xmpp.verification.result": "verified", "xmpp.verification.identity": REMOTE,
                "xmpp.verification.matched": "DNS-ID remote.test", "destination.domain": "im.test"}
    assert {name: audit.get(record, name) for name in expected} == expected
    assert REMOTE in audit.get(record, "tls.client.x509.alternative_names")
    closed = proxy.wait_records("stream-closed")[0]
    assert (audit.get(closed, "xmpp.auth.method"), audit.get(closed, "xmpp.auth.identity")) == ("dialback", REMOTE)
    assert not [r for r in proxy.records() if s2s.KEY in str(r)]


@pytest.mark.parametrize("kind", ["none", "self-signed", "other-name"])
def test_verify_turns_away_who_proves_nothing(gateway, legacy_backend, pki, zoo, kind):
    proxy = gateway()
    visitor = Peer(proxy.inbound).secure(context(pki, None if kind == "none" else zoo.get(kind)), sender="self-signed.zoo.test")
    visitor.begin(sender="self-signed.zoo.test").refused("peer-unverified", sender="self-signed.zoo.test")
    assert legacy_backend.accepted == 0
    record = proxy.wait_records("stream-refused", event__code="peer-unverified")[0]
    assert audit.get(record, "xmpp.verification.reason") and audit.get(record, "xmpp.verification.identity") == "self-signed.zoo.test"


def test_encrypt_leaves_proof_to_dialback(gateway, legacy_backend, pki, zoo):
    sender = "self-signed.zoo.test"
    proxy = gateway([peer("*.zoo.test", level="encrypt", **EXCUSE)])
    visitor = Peer(proxy.inbound).secure(context(pki, zoo.get("self-signed")), sender=sender).begin(sender=sender)
    server = legacy_backend.greet_server()
    visitor.opened()
    visitor.dialback(server, sender=sender)
    visitor.close()
    closed = proxy.wait_records("stream-closed")[0]
    assert audit.get(closed, "xmpp.verification.method") == "dialback"


@pytest.mark.parametrize("level", ["verify", "encrypt"])
@pytest.mark.parametrize("version, alert", [(ssl.TLSVersion.TLSv1_2, "HANDSHAKE_FAILURE"), (ssl.TLSVersion.TLSv1_3, "CERTIFICATE_REQUIRED")],
                         ids=["1.2", "1.3"])
def test_a_certificate_that_is_required(gateway, legacy_backend, pki, version, alert, level):
    """TLS itself ends for want of one, whatever the level: an alert, and no word of XMPP."""
    proxy = gateway(config={"tls": {"client-certificate": "require"}, "policy": {"s2s-inbound": level}})
    visitor = Peer(proxy.inbound)
    try:
        visitor.secure(context(pki, version=version)).begin()
        data, end = visitor.to_end()
    except ssl.SSLError as error:  # 1.2: the handshake is not over before that
        data, end = b"", f"alert:{error.reason}"
    assert data == b"" and end.startswith("alert:") and end.endswith("ALERT_" + alert), (data, end)
    assert proxy.wait_records("stream-closed")[0]["event"]["code"] == "tls-failed" and legacy_backend.accepted == 0


def test_a_certificate_that_is_requested(gateway, legacy_backend, pki):
    """Without one TLS goes on: it is policy that refuses, by a stream error, or leaves it to dialback."""
    proxy = gateway([peer("lax.test", level="encrypt", **EXCUSE)], config={"tls": {"client-certificate": "request"}})
    Peer(proxy.inbound).secure(context(pki)).begin().refused("peer-unverified")
    assert proxy.wait_records("stream-refused")[0]["event"]["code"] == "peer-unverified" and legacy_backend.accepted == 0
    visitor = Peer(proxy.inbound).secure(context(pki), sender="lax.test").begin(sender="lax.test")
    server = legacy_backend.greet_server()
    visitor.opened()
    visitor.dialback(server, sender="lax.test")
    visitor.close()


@pytest.mark.parametrize("listed", ["certificate", "key", "next"])
def test_a_fingerprint_proves_who_comes(gateway, legacy_backend, pki, zoo, listed):
    """No authority is asked: self-signed is as good, by the certificate, by its key, or by the second that is listed."""
    sender = "self-signed.zoo.test"
    certificate, key = fingerprints(zoo.get("self-signed")[0])
    other = "sha256:" + "0" * 64
    pins = {"certificate": ["sha256:" + certificate], "key": ["spki-sha256:" + key], "next": [other, "spki-sha256:" + key]}[listed]
    proxy = gateway([peer(sender, level="fingerprint", fingerprints=pins)])
    visitor = Peer(proxy.inbound).secure(context(pki, zoo.get("self-signed")), sender=sender).begin(sender=sender)
    server = legacy_backend.greet_server()
    visitor.opened()
    visitor.dialback(server, sender=sender)
    visitor.close()
    record = proxy.wait_records("stream-established")[0]
    expected = {"xmpp.role": "s2s-inbound", "xmpp.policy.level": "fingerprint", "xmpp.policy.rule": sender,
                "xmpp.verification.method": "fingerprint", "xmpp.verification.result": "verified", "tls.client.hash.sha256": certificate,
                "xmpp.verification.matched": pins[-1]}
    assert {name: audit.get(record, name) for name in expected} == expected


@pytest.mark.parametrize("shown", ["verified", "none"])
def test_a_fingerprint_is_not_replaced_by_an_authority(gateway, legacy_backend, pki, remote_certificate, shown):
    """A certificate that PKIX verifies for that very domain is not the one that is pinned; nor is none."""
    proxy = gateway([peer(REMOTE, level="fingerprint", fingerprints=["sha256:" + "0" * 64])])
    visitor = Peer(proxy.inbound).secure(context(pki, remote_certificate if shown == "verified" else None))
    visitor.begin().refused("peer-unverified")
    assert legacy_backend.accepted == 0
    record = proxy.wait_records("stream-refused")[0]
    assert record["event"]["code"] == "peer-unverified" and audit.get(record, "xmpp.policy.level") == "fingerprint"
    assert audit.get(record, "xmpp.verification.result") == "unverified" and audit.get(record, "xmpp.verification.reason")


OLD = {"tls": {"profile": "compat", "min-version": "1.1"}, **EXCUSE}


@pytest.mark.parametrize("how", ["direct", "nameless"])
def test_a_weaker_rule_is_for_who_gives_a_name_before_tls(gateway, legacy_backend, pki, how):
    """With direct TLS, or without `from`, nobody has said who comes: the common settings hold for the handshake."""
    proxy = gateway([peer("old.test", **OLD)])
    made = context(pki, pki.issue("old.test", usage="serverAuth,clientAuth"), version=ssl.TLSVersion.TLSv1_1)
    with pytest.raises(ssl.SSLError, match="PROTOCOL_VERSION"):
        if how == "direct":
            Peer(proxy.inbound).handshake(made, "im.test")
        else:
            Peer(proxy.inbound).secure(made, sender=None)
    assert proxy.wait_records("stream-closed")[0]["event"]["code"] == "tls-failed" and legacy_backend.accepted == 0


def test_a_weaker_rule_is_for_all_its_names(gateway, legacy_backend, pki):
    """It was lent by the name before TLS; inside it may be another one of the same rule, if that is proven."""
    chain = pki.issue("two.old.test", usage="serverAuth,clientAuth")
    proxy = gateway([peer("*.old.test", **OLD)])
    visitor = Peer(proxy.inbound).secure(context(pki, chain, version=ssl.TLSVersion.TLSv1_1), sender="one.old.test")
    visitor.begin(sender="two.old.test")
    legacy_backend.greet_server()
    visitor.opened()
    visitor.close()
    record = proxy.wait_records("stream-established")[0]
    assert (audit.get(record, "tls.version"), audit.get(record, "xmpp.verification.matched")) == ("1.1", "DNS-ID two.old.test")


@pytest.mark.parametrize("sender, names, matched", [
    ("192.0.2.7", "IP:192.0.2.7", "IP-ID 192.0.2.7"), ("[2001:db8::7]", "IP:2001:db8::7", "IP-ID 2001:db8::7"),
    ("192.0.2.7", "DNS:192.0.2.7", None), ("192.0.2.7", "IP:192.0.2.8", None), ("[2001:db8::7]", "DNS:remote.test", None)])
def test_a_domain_that_is_an_address(gateway, legacy_backend, pki, sender, names, matched):
    """CERT-6: proven by the octets of an iPAddress, and by nothing that looks like it."""
    chain = pki.issue("an-address", san=names, usage="serverAuth,clientAuth")
    proxy = gateway()
    visitor = Peer(proxy.inbound).secure(context(pki, chain), sender=sender).begin(sender=sender)
    if matched is None:
        visitor.refused("peer-unverified", sender=sender)
        assert legacy_backend.accepted == 0
        return
    server = legacy_backend.greet_server()
    visitor.opened()
    visitor.dialback(server, sender=sender)
    visitor.close()
    assert audit.get(proxy.wait_records("stream-established")[0], "xmpp.verification.matched") == matched


@pytest.mark.parametrize("sender, allowed", [(REMOTE, True), ("somebody.else.test", False)])
def test_a_header_that_names_nobody(gateway, legacy_backend, trusted, sender, allowed):
    """NEG-39: who it is comes with the first <db:result/>, and the certificate is held against that."""
    proxy = gateway()
    visitor = Peer(proxy.inbound).secure(trusted, sender=None).begin(sender=None)
    server = legacy_backend.greet_server()
    visitor.opened()
    if allowed:
        visitor.dialback(server)
        visitor.close()
        assert audit.get(proxy.wait_records("stream-closed")[0], "xmpp.verification.matched") == "DNS-ID remote.test"
        return
    visitor.send(s2s.result(sender, "im.test"))
    data, _ = visitor.to_end()
    assert b"<not-authorized" in data, data
    assert proxy.wait_records("stream-refused", event__code="peer-unverified")
    assert s2s.KEY.encode() not in server.received


def test_no_to_in_the_header_means_the_only_domain(gateway, legacy_backend, trusted):
    gateway_ = gateway()
    visitor = Peer(gateway_.inbound)
    visitor.send(s2s.header(None, REMOTE))
    visitor.until(wire.FEATURES_STARTTLS)
    visitor.send(wire.STARTTLS)
    visitor.until(wire.PROCEED)
    visitor.handshake(trusted, "im.test")
    visitor.begin(to=None)
    server = legacy_backend.greet_server()
    assert server.opened == visitor.sent
    visitor.opened()
    visitor.dialback(server)
    visitor.close()


@pytest.mark.parametrize("by_dialback", [False, True], ids=["header", "dialback"])
def test_nobody_may_be_one_of_our_own_domains(gateway, legacy_backend, pki, by_dialback):
    """NEG-33, even with our own certificate."""
    proxy = gateway()
    chain = (pki.path("im.test.pem"), pki.path("im.test.key"))
    sender = None if by_dialback else "im.test"
    visitor = Peer(proxy.inbound).secure(context(pki, chain), sender=None).begin(sender=sender)
    if by_dialback:
        legacy_backend.greet_server()
        visitor.opened()
        visitor.send(s2s.result("im.test", "im.test"))
        data, _ = visitor.to_end()
        assert data.endswith(s2s.told("self-claim")), data
    else:
        visitor.refused("self-claim", sender="im.test")
        assert legacy_backend.accepted == 0
    assert proxy.wait_records("stream-closed")[0]["event"]["code"] == "self-claim"


DIALBACK_ERROR = ("<db:result from='im.test' to='remote.test' type='error'><error type='cancel'><policy-violation "
                  f"xmlns='{s2s.STANZAS}'/></error></db:result>").encode()


@pytest.mark.parametrize("element", [s2s.result(REMOTE, "im.test"), s2s.verify(REMOTE, "im.test", "b1")], ids=["result", "verify"])
def test_dialback_in_plaintext(gateway, legacy_backend, element):
    """DB-5, DB-6; transcript 3.5."""
    proxy = gateway()
    visitor = Peer(proxy.inbound).clear()
    visitor.send(element)
    data, _ = visitor.to_end()
    kind = element[1:].split(b" ")[0].decode()
    expected = DIALBACK_ERROR.replace(b"db:result", kind.encode())
    assert re.sub(rb" id='b1'", b"", data).startswith(expected) or data.startswith(expected), data
    assert data.endswith(wire.stream_error("policy-violation", "Use of STARTTLS required")), data
    assert legacy_backend.accepted == 0
    assert proxy.wait_records("stream-refused")[0]["event"]["code"] == "plaintext-dialback"
    assert proxy.wait_records("starttls-ignored")


def test_an_initiator_older_than_1_0(gateway, legacy_backend):
    """Transcript 3.7c."""
    proxy = gateway()
    visitor = Peer(proxy.inbound)
    visitor.send(s2s.header("im.test", None, None, prolog=False))
    data, _ = visitor.to_end()
    pattern = s2s.own_header("im.test", version=False) + re.escape(
        wire.stream_error("policy-violation", "TLS is required and needs version 1.0"))
    assert re.fullmatch(pattern, data), data
    assert proxy.wait_records("stream-refused")[0]["event"]["code"] == "pre10-initiator"
    assert legacy_backend.accepted == 0


def test_a_domain_that_is_not_served(gateway):
    proxy = gateway()
    visitor = Peer(proxy.inbound)
    visitor.send(s2s.header("nobody.test", REMOTE))
    data, _ = visitor.to_end()
    assert re.search(wire.error_pattern("host-unknown"), data) and b"nobody.test" not in data, data


def test_another_domain_inside_tls(gateway, pki, remote_certificate, legacy_backend):
    proxy = gateway(domains=("im.test", "other.test"))
    visitor = Peer(proxy.inbound).secure(context(pki, remote_certificate))
    visitor.begin(to="other.test")
    data, _ = visitor.to_end()
    assert re.search(wire.error_pattern("not-authorized"), data), data
    assert proxy.wait_records("stream-refused")[0]["event"]["code"] == "header-switch"
    assert legacy_backend.accepted == 0


def test_direct_tls(gateway, legacy_backend, pki, remote_certificate):
    """XEP-0368: the first byte tells; ALPN xmpp-server."""
    proxy = gateway()
    visitor = Peer(proxy.inbound).handshake(context(pki, remote_certificate, ["xmpp-server"]), "im.test")
    assert visitor.sock.selected_alpn_protocol() == "xmpp-server"
    visitor.begin()
    server = legacy_backend.greet_server()
    visitor.opened()
    visitor.dialback(server)
    visitor.close()
    assert audit.get(proxy.wait_records("stream-established")[0], "xmpp.starttls.result") == "direct"


def test_direct_tls_with_the_wrong_protocol(gateway, pki):
    proxy = gateway()
    with pytest.raises((ssl.SSLError, ConnectionError)):
        Peer(proxy.inbound).handshake(context(pki, alpn=["xmpp-client"]), "im.test").begin().receive()
    assert proxy.wait_records("stream-closed")[0]["event"]["code"] == "alpn"


def test_a_legacy_server_older_than_1_0(gateway, legacy_backend, trusted):
    """NEG-40: jabberd 1.4 and its like send no features; dialback is what they can."""
    proxy = gateway()
    visitor = Peer(proxy.inbound).secure(trusted).begin()
    server = legacy_backend.greet_server(version=None)
    opened = visitor.opened()
    assert s2s.value(opened, "version") == "1.0" and s2s.value(opened, "id") == "b1-93ab62f7c05d"
    assert b"<dialback xmlns='urn:xmpp:features:dialback'" in opened
    visitor.dialback(server)
    visitor.close()
    proxy.wait_records("stream-closed")


def test_the_legacy_server_is_down(gateway, trusted):
    proxy = gateway(backend="127.0.0.1:9")
    visitor = Peer(proxy.inbound).secure(trusted).begin()
    data, _ = visitor.to_end()
    assert re.search(wire.error_pattern("internal-server-error"), data), data
    assert proxy.wait_records("stream-closed")[0]["event"]["code"] == "backend-down"


def test_bytes_behind_starttls(gateway, legacy_backend):
    proxy = gateway()
    visitor = Peer(proxy.inbound).clear()
    visitor.send(wire.STARTTLS + s2s.result(REMOTE, "im.test"))
    assert visitor.to_end()[0] == b""
    assert proxy.wait_records("starttls-injection") and legacy_backend.accepted == 0


def test_monitor_mode_shows_the_servers_own_features(gateway, legacy_backend):
    """Nobody is turned away for policy: a peer without TLS goes on as before, and is recorded."""
    proxy = gateway(config={"mode": "monitor"})
    visitor = Peer(proxy.inbound).begin()
    server = legacy_backend.greet_server()
    opened = visitor.opened()
    assert b"<starttls" in opened and s2s.FEATURE in opened
    visitor.dialback(server)
    visitor.close()
    assert proxy.wait_records("stream-refused")[0]["xmpp"]["policy"]["mode"] == "monitor"


def test_two_domains_of_ours_meet_through_our_own_listeners(gateway, manage, legacy_backend):
    """NEG-33 turns away whoever comes from outside as a domain of ours; our own outbound connection is known by its ends."""
    proxy = gateway(domains=("im.test", "other.test"), run=False)
    proxy.config["peers"] = [peer("other.test", f"127.0.0.1:{proxy.inbound}")]
    proxy.write_config()
    proxy.start()
    legacy = Legacy(proxy.outbound).begin("other.test")
    server = legacy_backend.greet_server()
    assert (s2s.value(server.opened, "from"), s2s.value(server.opened, "to")) == ("im.test", "other.test")
    legacy.until(wire.HEADER_PATTERN)
    legacy.until(FEATURES_END)
    legacy.send(s2s.result("im.test", "other.test"))
    server.wait_for(s2s.result("im.test", "other.test"))
    server.send(s2s.answer("other.test", "im.test"))
    assert legacy.until(s2s.answer("other.test", "im.test"))
    legacy.send(s2s.message("juliet@im.test", "romeo@other.test"))
    server.wait_for(s2s.message("juliet@im.test", "romeo@other.test"))
    roles = {r["xmpp"]["role"]: audit.get(r, "xmpp.verification.matched") for r in proxy.wait_records("stream-established", 2)}
    assert roles == {"s2s-outbound": "DNS-ID other.test", "s2s-inbound": "DNS-ID im.test"}
