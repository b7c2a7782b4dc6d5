# SPDX-License-Identifier: MIT
"""Real servers: legacy ones behind portcullis speak with modern ones and with each other, both ways. That they cannot without is in
test_lab.py. The connections of the legacy servers on host a are led to portcullis by the packet filter, that of host b has it for its
next hop, both as the operator's guide has it."""
import contextlib
import itertools
import json
import pathlib
import re

import pytest

from harness import audit, s2s, wire
from harness.gateway import HostGateway
from harness.mitm import Mitm
from harness.wait import SLOW, until

NUMBERS = itertools.count(1)
ON_A = {"montague.example": 15269, "abram.example": 25269, "gregory.example": 35269}
ON_B = {"tybalt.example": 15269}


class Gateways:
    def __init__(self, world):
        self.a = HostGateway(world, world.a, {domain: f"127.0.0.1:{port}" for domain, port in ON_A.items()})
        self.b = HostGateway(world, world.b, {domain: f"127.0.0.1:{port}" for domain, port in ON_B.items()}, intercept=False)
        self.both = (self.a, self.b)

    def of(self, domain):
        return self.a if domain in ON_A else self.b


@pytest.fixture(scope="module")
def gateways(world):
    made = Gateways(world)
    try:
        for proxy in made.both:
            proxy.start()
        made.a.redirect()
        yield made
        world.leave()
        for proxy in made.both:
            proxy.stop()
    finally:
        for proxy in made.both:
            proxy.kill()
        made.a.undo_redirect()


@pytest.fixture(autouse=True)
def show_logs(request, gateways):
    request.node.proxies = list(gateways.both)


def deliver(world, sender, to):
    text = f"word {next(NUMBERS)}"
    heard = world.client(to)
    world.client(sender).say(f"nurse@{to}", text)
    try:
        heard.heard(text)
    except AssertionError as error:
        logs = "\n".join(f"--- {domain}\n{world.server(domain).log()[-3000:]}" for domain in (sender, to))
        raise AssertionError(f"{error}\n{logs}") from None


MODERN = ("capulet.example", "escalus.example")
PAIRS = [(legacy, modern) for legacy in ON_A for modern in MODERN]


@pytest.mark.parametrize("legacy, modern", PAIRS)
def test_legacy_to_modern_and_back(world, gateways, legacy, modern):
    deliver(world, legacy, modern)
    deliver(world, modern, legacy)
    deliver(world, legacy, modern)
    proxy = gateways.of(legacy)
    out = proxy.wait_records("stream-established", xmpp__role="s2s-outbound", xmpp__from=legacy, xmpp__to=modern)[0]
    expected = {"tls.version": "1.3", "xmpp.verification.method": "pkix", "xmpp.verification.matched": f"DNS-ID {modern}",
                "xmpp.dns.dnssec": "secure", "xmpp.starttls.result": "negotiated"}
    assert {name: audit.get(out, name) for name in expected} == expected
    back = proxy.wait_records("stream-established", xmpp__role="s2s-inbound", xmpp__from=modern, xmpp__to=legacy)[0]
    assert audit.get(back, "xmpp.verification.method") == "pkix" and audit.get(back, "tls.established") is True


def members(value, path=""):
    """Paths of what stands in a record, in the order in which it stands there."""
    if not isinstance(value, dict):
        return [path]
    return [member for name, inner in value.items() for member in members(inner, f"{path}.{name}")]


def test_the_examples_of_the_documentation(world, gateways):
    """The first is a whole record of this very kind; none has a member that records do not have."""
    deliver(world, "montague.example", "capulet.example")
    record = gateways.a.wait_records("stream-established", xmpp__role="s2s-outbound", xmpp__to="capulet.example")[0]
    text = (pathlib.Path(__file__).resolve().parents[2] / "docs" / "audit-log.md").read_text(encoding="utf-8")
    whole, *others = [json.loads(block) for block in re.findall(r"^```json\n(.*?)^```$", text, re.M | re.S)]
    assert members(whole) == members(record)
    known = set(members(record)) | {".event.reason"} | {".xmpp.peer.previous." + name for name in ("subject", "issuer", "sha256", "spki_sha256")}
    assert len(others) == 2 and not [member for other in others for member in members(other) if member not in known]


@pytest.mark.parametrize("legacy", ON_A)
def test_legacy_to_legacy_over_two_proxies(world, gateways, legacy):
    """Neither of them knows of TLS; between the proxies there is nothing else."""
    deliver(world, legacy, "tybalt.example")
    deliver(world, "tybalt.example", legacy)
    for proxy, here, there in ((gateways.a, legacy, "tybalt.example"), (gateways.b, "tybalt.example", legacy)):
        for role, sender, to in (("s2s-outbound", here, there), ("s2s-inbound", there, here)):
            record = proxy.wait_records("stream-established", xmpp__role=role, xmpp__from=sender, xmpp__to=to)[0]
            assert audit.get(record, "tls.version") == "1.3" and audit.get(record, "xmpp.verification.method") == "pkix"


def test_many_words_keep_their_order(world, gateways):
    heard = world.client("capulet.example")
    first = next(NUMBERS)
    texts = [f"burst {first} {n}" for n in range(50)]
    for text in texts:
        world.client("montague.example").say("nurse@capulet.example", text)
    heard.heard(texts[-1])
    assert [e["body"] for e in heard.events("message") if e["body"].startswith(f"burst {first} ")] == texts


def test_an_unknown_user_bounces_through(world, gateways):
    """The whole way and back: the stanza error is the remote server's own."""
    client = world.client("montague.example")
    text = f"word {next(NUMBERS)}"
    client.say("nobody@capulet.example", text)
    assert client.bounced(text)[0] == "service-unavailable"


def test_a_domain_that_does_not_exist_bounces_at_once(world, gateways):
    """Of a server that asks no DNS of its own: it learns by a stream error what it would otherwise wait for."""
    client = world.client("tybalt.example")
    text = f"word {next(NUMBERS)}"
    client.say("nobody@no-such-domain.example", text)
    condition, _ = client.bounced(text)
    assert condition in ("remote-server-not-found", "remote-server-timeout")
    assert gateways.b.wait_records("stream-refused", xmpp__to="no-such-domain.example")[0]["event"]["code"] == "dns"


# --- somebody on the path between the hosts
LEAD = """
table inet mitm {
	chain pre {
		type nat hook prerouting priority -100;
		ip saddr 10.90.1.1 ip daddr 10.90.1.10 tcp dport 5269 redirect to :16969
		ip6 saddr fd90:1::1 ip6 daddr fd90:1::10 tcp dport 5269 redirect to :16969
	}
}
"""
# All that may be said to capulet.example before TLS, byte for byte (section 5, vector 7).
OPENING = (b"<?xml version='1.0'?><stream:stream from='montague.example' to='capulet.example' version='1.0' xml:lang='en' "
           b"xmlns='jabber:server' xmlns:db='jabber:server:dialback' xmlns:stream='http://etherx.jabber.org/streams'>") + wire.STARTTLS


@contextlib.contextmanager
def somebody_between(world, proxy, **edits):
    """On the way from host a to capulet.example. What was open before, and what went through him, is closed in order."""
    deliver(world, "montague.example", "capulet.example")
    before = len(proxy.records())
    mitm = Mitm(("10.90.1.10", 5269), namespace=world.net, address="::", port=16969, **edits)
    world.net.nft(LEAD)
    try:
        proxy.stop()
        proxy.start()
        mitm.records = lambda action: audit.of(proxy.records()[before:], action, xmpp__to="capulet.example")
        yield mitm
    finally:
        world.net.check("nft", "delete", "table", "inet", "mitm")
        proxy.stop()
        proxy.start()
        mitm.close()


@pytest.mark.parametrize("strip, alarm, seen", [
    (("feature",), ("starttls-stripped", 3), (False, False, "stripped-negotiated")),
    (("required",), ("starttls-required-stripped", 2), (True, False, "negotiated")),
    (("version",), None, (True, True, "negotiated")),
    (("feature", "version"), ("starttls-stripped", 3), (False, False, "stripped-negotiated"))],
    ids=["feature", "required", "version", "feature-and-version"])
def test_a_stripping_man_in_the_middle(world, gateways, strip, alarm, seen):
    """The words arrive, inside TLS, and the alarm is raised; he has learnt two names and nothing else."""
    proxy = gateways.a
    with somebody_between(world, proxy, strip=strip) as mitm:
        deliver(world, "montague.example", "capulet.example")
        established = proxy.wait_records("stream-established", xmpp__to="capulet.example", xmpp__role="s2s-outbound")[-1]
        alarms = mitm.records("starttls-stripped") + mitm.records("starttls-required-stripped")
        assert [(r["event"]["action"], r["event"]["severity"]) for r in alarms] == ([alarm] if alarm else [])
        for record in [established] + alarms:
            assert tuple(audit.get(record, "xmpp.starttls." + name) for name in ("advertised", "required", "result")) == seen
        assert audit.get(established, "xmpp.verification.result") == "verified" and audit.get(established, "tls.version") == "1.3"
    assert mitm.edited and mitm.clear and set(mitm.clear) == {OPENING}
    assert all(after.startswith(b"\x16\x03") for after in mitm.after)


@pytest.mark.parametrize("answer, code, alarm, end", [
    ("garbage", "remote-injection", True, b""), ("inject", "remote-injection", True, b""), ("failure", "no-tls", False, wire.CLOSE)],
    ids=["garbage", "inject", "failure"])
def test_a_tampering_man_in_the_middle(world, gateways, answer, code, alarm, end):
    """Bytes behind <proceed/>, or a refusal in the server's name: the words come back to who wrote them, and he hears none."""
    proxy, client = gateways.a, world.client("montague.example")
    text = f"word {next(NUMBERS)}"
    with somebody_between(world, proxy, answer=answer) as mitm:
        client.say("nurse@capulet.example", text)
        condition, why = client.bounced(text)
        assert condition == "remote-server-timeout" and s2s.TOLD[code][1] in why, (condition, why)
        assert {r["event"]["code"] for r in mitm.records("stream-refused")} == {code} and not mitm.records("stream-established")
        assert {r["event"]["severity"] for r in mitm.records("starttls-injection")} == ({3} if alarm else set())
    assert mitm.clear and set(mitm.clear) == {OPENING + end} and set(mitm.after) == {b""}
    deliver(world, "montague.example", "capulet.example")
    assert text not in [event["body"] for event in world.client("capulet.example").events("message")]


def test_streams_come_back_after_a_restart(world, gateways):
    """The proxy goes and comes; the servers open new streams when they have something to say."""
    gateways.a.stop()
    gateways.a.start()
    until(lambda: gateways.a.status(), "the control socket", 10 * SLOW)
    deliver(world, "capulet.example", "montague.example")
    deliver(world, "montague.example", "capulet.example")
