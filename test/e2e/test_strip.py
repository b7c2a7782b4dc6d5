# SPDX-License-Identifier: MIT
"""Somebody takes <starttls/> away (RFC 7590 section 3.1, STRIP-1 to 12). TLS is asked for all the same; what came of it is
told from what did not; plaintext holds a header and <starttls/> in any case (section 5, vector 7)."""
import itertools

import pytest

from harness import audit, s2s, wire
from harness.client import Client
from harness.gateway import EXCUSE, peer
from harness.legacy import Legacy
from harness.peer import Peer, context
from harness.wait import free_port, until

IMPATIENT = {"timeouts": {"connect": "2s"}}
NUMBERS = itertools.count(1)


def told_of(proxy, action="starttls-stripped"):
    """The one record of it: severity, advertised, result."""
    found = proxy.wait_records(action)
    assert len(found) == 1, found
    return found[0]["event"]["severity"], audit.get(found[0], "xmpp.starttls.advertised"), audit.get(found[0], "xmpp.starttls.result")


# --- the offer is gone, and STARTTLS works: somebody took it away
OFFERS = {"absent": "absent", "empty": "empty", "no-features": "silent", "mechanisms": (
    f"<stream:features><mechanisms xmlns='{wire.SASL}'><mechanism>EXTERNAL</mechanism></mechanisms></stream:features>").encode()}
# STRIP-6: what only looks like an offer is none.
MANGLED = {"nested": f"<x xmlns='urn:x'><starttls xmlns='{wire.TLS}'/></x>", "namespace": "<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tlz'/>",
           "case": f"<STARTTLS xmlns='{wire.TLS}'/>", "text": f"<x xmlns='urn:x'>&lt;starttls xmlns='{wire.TLS}'/></x>"}
OFFERS.update({name: f"<stream:features>{element}</stream:features>".encode() for name, element in MANGLED.items()})


@pytest.mark.parametrize("offer", OFFERS)
def test_stripped_and_verified_goes_on(gateway, remote, outward, offer):
    """Transcript 3.3: PKIX holds, so the stream is what it should be; but the alarm is raised."""
    server = outward.server(remote, offer=OFFERS[offer])
    proxy = gateway([peer("remote.test", server)], config=IMPATIENT)
    legacy = outward.open(proxy, "remote.test")
    guest = server.ready()
    guest.saw_only_starttls()
    assert legacy.identity == guest.identity
    outward.authenticate(legacy, guest)
    legacy.close()
    assert told_of(proxy) == (3, False, "stripped-negotiated")
    assert audit.get(proxy.wait_records("stream-established")[0], "xmpp.verification.result") == "verified"


def test_no_version_and_no_features(gateway, remote, outward):
    """STRIP-2: nothing more will come behind such a header, so nothing is waited for."""
    server = outward.server(remote, offer=b"", version=None)
    proxy = gateway([peer("remote.test", server)], config={"timeouts": {"connect": "20s"}})
    legacy = outward.open(proxy, "remote.test")
    server.ready().saw_only_starttls()
    legacy.close()
    assert told_of(proxy) == (3, False, "stripped-negotiated")


@pytest.mark.parametrize("level", ["verify", "encrypt", "may"])
def test_stripped_and_unverified_is_refused_at_every_level(gateway, remote, outward, zoo, level):
    """STRIP-4: though `encrypt` and `may` take that certificate when nobody tampers."""
    server = outward.server(remote, offer="absent", certificate=zoo.get("self-signed"))
    excuse = {} if level == "verify" else EXCUSE
    proxy = gateway([peer("*.zoo.test", server, level=level, **excuse)])
    outward.begin(proxy, "self-signed.zoo.test").refused("stripped")
    assert told_of(proxy) == (3, False, "stripped-negotiated")
    assert proxy.wait_records("stream-refused")[0]["event"]["code"] == "stripped"
    guest = server.guests[0]
    guest.saw_only_starttls()


# --- the offer is gone, and nothing comes of asking: a server without TLS, or somebody who keeps it away
ANSWERS = {"failure": "it answered <failure/>", "error": "it answered with a stream error, <unsupported-stanza-type/>",
           "eof": "it closed the stream", "garbage": "it sent something that is no answer", "silence": "it answered nothing in time"}


@pytest.mark.parametrize("level", ["verify", "encrypt"])
@pytest.mark.parametrize("answer", ANSWERS)
def test_stripped_and_failed_is_refused(gateway, remote, outward, answer, level):
    """Transcript 3.4 a to c, and the bytes that the legacy side is told."""
    server = outward.server(remote, offer="absent", answer=answer)
    excuse = {} if level == "verify" else EXCUSE
    proxy = gateway([peer("remote.test", server, level=level, **excuse)], config=IMPATIENT)
    outward.begin(proxy, "remote.test").refused("no-tls")
    guest = server.failed()
    assert guest.prefix == s2s.prefix("remote.test", "im.test", outward.namespace)
    rest = {"silence": wire.stream_error("policy-violation", "Use of STARTTLS required")}.get(answer)
    if answer in ("failure", "error"):
        rest = wire.CLOSE
    assert rest is None or guest.rest == rest, guest.rest
    assert told_of(proxy) == (2, False, "stripped-failed")
    record = proxy.wait_records("stream-refused")[0]
    assert record["event"]["code"] == "no-tls" and audit.get(record, "tls.established") is False
    seen = f": its features had no <starttls/>; asked for TLS, {ANSWERS[answer]}"
    assert record["event"]["reason"].endswith(seen)
    assert proxy.records("starttls-stripped")[0]["event"]["reason"].endswith(seen + ".")
    assert len(server.guests) == 1


@pytest.mark.parametrize("answer", ANSWERS)
def test_a_header_without_version_is_said(gateway, remote, outward, answer):
    """STRIP-2, 5: no features come behind it, and that is another sentence."""
    server = outward.server(remote, offer=b"", version=None, answer=answer)
    proxy = gateway([peer("remote.test", server)], config=IMPATIENT)
    outward.begin(proxy, "remote.test").refused("no-tls")
    reason = proxy.wait_records("stream-refused")[0]["event"]["reason"]
    assert reason.endswith(f": its header had no usable version, and it sent no features; asked for TLS, {ANSWERS[answer]}")
    assert told_of(proxy) == (2, False, "stripped-failed")


# --- STRIP-8: DNS announces TLS, so that there is some
@pytest.fixture
def announced(remote, outward, dns, pki):
    """announced(offer, ...) -> a domain whose port for direct TLS is dead, and its server for STARTTLS."""
    def make(**script):
        name = f"announced{next(NUMBERS)}.example"
        server = outward.server(remote, certificate=pki.issue(name, usage="serverAuth,clientAuth"), plain_from=1, **script)
        dns.service(name, "127.0.0.1", server.port, direct=free_port(), role=outward.service)
        return name, server
    return make


@pytest.mark.parametrize("level", ["verify", "encrypt", "may"])
@pytest.mark.parametrize("offer, answer", [("absent", "failure"), ("absent", "eof"), ("required", "failure")])
def test_announced_tls_is_not_done_without(gateway, dns, outward, announced, offer, answer, level):
    name, server = announced(offer=offer, answer=answer)
    proxy = gateway([peer(name, level=level, **({} if level == "verify" else EXCUSE))], dns=dns)
    outward.begin(proxy, name).refused("no-tls", 30)
    assert len(server.guests) == 1, "it was tried again in plaintext"
    record = proxy.wait_records("stream-refused")[0]
    assert record["event"]["reason"].endswith(f"; asked for TLS, {ANSWERS[answer]}; the DNS of its domain announces TLS")
    if offer == "absent":
        assert told_of(proxy) == (3, False, "stripped-failed")
        assert proxy.records("starttls-stripped")[0]["event"]["reason"].endswith("; the DNS of its domain announces TLS.")


def test_level_none_pays_no_attention_to_what_is_announced(gateway, dns, outward, announced):
    name, server = announced()
    server.plain_from = 0
    proxy = gateway([peer(name, level="none", **EXCUSE)], dns=dns)
    legacy = outward.open(proxy, name)
    assert b"starttls" not in server.ready().prefix
    legacy.close()


@pytest.mark.parametrize("answer", ["failure", "error", "eof"])
def test_an_offer_that_is_not_kept(gateway, remote, outward, answer):
    """STRIP-3, offer-refused: not stripped, but no TLS either."""
    server = outward.server(remote, offer="required", answer=answer)
    proxy = gateway([peer("remote.test", server)])
    outward.begin(proxy, "remote.test").refused("no-tls")
    record = proxy.wait_records("stream-refused")[0]
    assert audit.get(record, "xmpp.starttls.result") == "refused"
    assert record["event"]["reason"].endswith(f": it offered STARTTLS; asked for TLS, {ANSWERS[answer]}")
    assert not proxy.records("starttls-stripped")


# --- STRIP-12: DNS announced TLS, and does no more
@pytest.mark.parametrize("zone, told", [("example", False), ("plain.example", True)])
def test_an_announcement_that_is_gone(gateway, remote, dns, pki, zone, told):
    """Only DNSSEC can prove that the domain itself has taken it back. The records live for a second, the programs' caches no longer."""
    name = f"recanted.{zone}"
    server = remote(certificate=pki.issue(name, usage="serverAuth,clientAuth"))
    announcement = f"_xmpps-server._tcp.{name}. 1 SRV 9 0 {free_port()} x.{name}."
    dns.publish(announcement, f"_xmpp-server._tcp.{name}. 1 SRV 5 0 {server.port} x.{name}.", f"x.{name}. A 127.0.0.1")
    proxy = gateway(dns=dns)
    for number in (1, 2):
        legacy = Legacy(proxy.outbound).open(name)
        legacy.dialback(server.ready())
        legacy.close()
        proxy.wait_records("stream-closed", number)
        if number == 1:
            assert not proxy.records("tls-downgraded")
            until(lambda: proxy.cli("peers", "show", name).returncode == 0, "the peer in the memory")
            dns.withdraw(announcement)
            until(lambda: not dns.ask(f"_xmpps-server._tcp.{name}.", "SRV").answer, "the announcement to be gone", 20)
            proxy.stop()
            proxy.start()
    found = proxy.records("tls-downgraded")
    assert [(r["event"]["severity"], "direct TLS" in r["event"]["reason"]) for r in found] == [(2, True)] * told, found
    assert audit.get(proxy.records("stream-established")[-1], "xmpp.dns.dnssec") == ("insecure" if told else "secure")


# --- the answer is tampered with
@pytest.mark.parametrize("offer", ["required", "absent"])
def test_proceed_and_then_no_tls(gateway, remote, outward, offer):
    """STRIP-11, transcript 3.4 d: an alert at most, no XML, no second try in plaintext."""
    server = outward.server(remote, offer=offer, answer="not-tls")
    proxy = gateway([peer("remote.test", server, level="encrypt", **EXCUSE)])
    outward.begin(proxy, "remote.test").refused("remote-tls")
    guest = server.failed()
    assert guest.first_byte == b"\x16" and b"stream" not in guest.rest
    assert len(server.guests) == 1, "it was tried again in plaintext"


@pytest.mark.parametrize("level", ["verify", "may"])
def test_bytes_behind_proceed(gateway, remote, outward, level):
    """NEG-8: at no level is that a stream."""
    server = outward.server(remote, answer="inject")
    proxy = gateway([peer("remote.test", server, level=level, **({} if level == "verify" else EXCUSE))])
    outward.begin(proxy, "remote.test").refused("remote-injection")
    record = proxy.wait_records("starttls-injection")[0]
    assert record["event"]["severity"] == 3
    guest = server.failed()
    assert s2s.PREFIX.fullmatch(guest.prefix), guest.prefix
    assert len(server.guests) == 1


# --- the same on the path, between us and a good server
@pytest.mark.parametrize("strip", [("feature",), ("feature", "version"), ("version",)], ids=["feature", "feature-version", "version"])
def test_a_stripping_man_in_the_middle(gateway, remote, outward, mitm, strip):
    server = outward.server(remote)
    relay = mitm(("127.0.0.1", server.port), strip=strip)
    proxy = gateway([peer("remote.test", relay)], config=IMPATIENT)
    legacy = outward.open(proxy, "remote.test")
    outward.authenticate(legacy, server.ready())
    legacy.close()
    assert relay.edited and all(s2s.PREFIX.fullmatch(clear) for clear in relay.prefixes()), relay.clear
    if "feature" in strip:
        assert told_of(proxy) == (3, False, "stripped-negotiated")
    record = proxy.wait_records("stream-established")[0]
    differs = True if "version" in strip else None  # STRIP-9: inside TLS it is there
    assert (audit.get(record, "xmpp.starttls.differs"), record["event"]["severity"]) == (differs, 2 if differs else 0)


@pytest.mark.parametrize("answer, word", [("failure", "no-tls"), ("garbage", "remote-injection"), ("inject", "remote-injection")])
def test_a_man_in_the_middle_who_answers(gateway, remote, outward, mitm, answer, word):
    server = outward.server(remote)
    relay = mitm(("127.0.0.1", server.port), strip=("feature",), answer=answer)
    proxy = gateway([peer("remote.test", relay)])
    outward.begin(proxy, "remote.test").refused(word)
    assert all(s2s.PREFIX.fullmatch(clear) for clear in relay.prefixes()), relay.clear


def test_required_is_taken_away_from_a_peer_that_had_it(gateway, remote, mitm):
    server = remote()
    relay = mitm(("127.0.0.1", server.port))
    proxy = gateway([peer("remote.test", relay)])
    for strip in ((), ("required",)):
        relay.strip = set(strip)
        legacy = Legacy(proxy.outbound).open("remote.test")
        legacy.dialback(server.ready())
        legacy.send(wire.CLOSE)
        legacy.close()
    assert len(proxy.wait_records("starttls-required-stripped")) == 1
    second = proxy.wait_records("stream-established", 2)[1]
    assert (audit.get(second, "xmpp.starttls.advertised"), audit.get(second, "xmpp.starttls.required")) == (True, False)


# --- inbound: who comes cannot see the offer (STRIP-10)
def test_a_peer_behind_a_stripping_man_in_the_middle(gateway, mitm, legacy_backend):
    """It goes on in plaintext, and is told no; that it was told <required/> makes it evidence."""
    proxy = gateway()
    relay = mitm(("127.0.0.1", proxy.inbound), strip=("feature",))
    visitor = Client(relay.port)
    visitor.send(s2s.header("im.test", "remote.test"))
    visitor.until(b"<stream:features></stream:features>")
    visitor.send(s2s.result("remote.test", "im.test"))
    data, _ = visitor.to_end()
    assert data.endswith(wire.stream_error("policy-violation", "Use of STARTTLS required")), data
    assert proxy.wait_records("starttls-ignored")[0]["event"]["severity"] >= 2
    assert legacy_backend.accepted == 0


def test_a_peer_that_is_not_deterred(gateway, mitm, legacy_backend, pki, remote_certificate):
    proxy = gateway()
    relay = mitm(("127.0.0.1", proxy.inbound), strip=("feature", "version"))
    visitor = Peer(relay.port)
    visitor.send(s2s.header("im.test", "remote.test"))
    visitor.until(b"<stream:features></stream:features>")
    visitor.send(wire.STARTTLS)
    assert visitor.until(wire.PROCEED) == wire.PROCEED
    visitor.handshake(context(pki, remote_certificate), "im.test").begin()
    server = legacy_backend.greet_server()
    visitor.opened()
    visitor.dialback(server)
    visitor.close()


# --- what is said before TLS and inside it
MECHANISM = f"<mechanisms xmlns='{wire.SASL}'><mechanism>EXTERNAL</mechanism></mechanisms>".encode()
BEFORE = b"<stream:features><starttls xmlns='" + wire.TLS.encode() + b"'/>%b</stream:features>"


@pytest.mark.parametrize("before, inside, differs", [
    (BEFORE % b"", s2s.FEATURES_DIALBACK, None), (BEFORE % b"", BEFORE % s2s.FEATURE, True), (BEFORE % MECHANISM, s2s.FEATURES_DIALBACK, True)],
    ids=["same", "starttls-inside", "mechanism-outside"])
def test_a_difference_inside_tls_is_in_the_record(gateway, remote, before, inside, differs):
    """STRIP-9: features that only somebody on the way explains."""
    server = remote(offer=before, features=inside)
    proxy = gateway([peer("remote.test", server)])
    legacy = Legacy(proxy.outbound).open("remote.test")
    legacy.dialback(server.ready())
    legacy.close()
    closed, established = proxy.wait_records("stream-closed")[0], proxy.wait_records("stream-established")[0]
    assert [audit.get(record, "xmpp.starttls.differs") for record in (established, closed)] == [differs] * 2
    assert established["event"]["severity"] == (2 if differs else 0)
    assert audit.get(established, "xmpp.starttls.result") == "negotiated"


def test_a_mangled_offer_is_none_and_is_said(gateway, remote):
    """STRIP-6: another namespace; STRIP-9: inside TLS there are words that only somebody on the way explains."""
    server = remote(offer=b"<stream:features><starttls xmlns='urn:ietf:params:xml:ns:xmpp-tlz'/></stream:features>",
                    features=b"<stream:features><starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>" + s2s.FEATURE + b"</stream:features>")
    proxy = gateway([peer("remote.test", server)])
    legacy = Legacy(proxy.outbound).open("remote.test")
    record = proxy.wait_records("starttls-stripped")[0]
    assert audit.get(record, "xmpp.starttls.result") == "stripped-negotiated"
    assert record["event"]["reason"].endswith(": its features had only something that looks like <starttls/>; asked for TLS, it answered <proceed/>.")
    assert audit.get(proxy.wait_records("stream-established")[0], "xmpp.starttls.differs") is True
    assert proxy.wait_log("the server of remote.test says inside TLS what it did not say before")
    legacy.close()
