# SPDX-License-Identifier: MIT
"""jabberd2's header names nobody: what becomes of its messages when a remote server refuses, goes away and comes back."""
import itertools
import time

import pytest

from harness import audit
from harness.gateway import HostGateway
from harness.wait import SLOW

NUMBERS = itertools.count(1)
LEGACY, MODERN, REFUSED = "gregory.example", "capulet.example", "sampson.example"


@pytest.fixture(scope="module")
def gateway(world):
    # At the address of a server that does not know it.
    world.dns.service(REFUSED, "10.90.1.10")
    proxy = HostGateway(world, world.a, {LEGACY: "127.0.0.1:35269"})
    try:
        yield proxy.start().redirect()
        world.forget(LEGACY)
        proxy.stop()
    finally:
        proxy.kill()
        proxy.undo_redirect()


@pytest.fixture(autouse=True)
def show_logs(request, gateway):
    request.node.proxies = [gateway]


def deliver(world, sender, to):
    text = f"nameless word {next(NUMBERS)}"
    heard = world.client(to)
    world.client(sender).say(f"nurse@{to}", text)
    heard.heard(text)


def sessions(proxy, action, to):
    return [r for r in proxy.records(action) if audit.get(r, "xmpp.to") == to and audit.get(r, "xmpp.role") == "s2s-outbound"]


def test_a_proven_stream_that_the_remote_server_ended_is_renewed(world, gateway):
    """jabberd2 still holds its connection for proven: nobody could tell it otherwise, and its next message must not be lost."""
    deliver(world, LEGACY, MODERN)
    before = len(sessions(gateway, "stream-established", MODERN))
    world.forget(MODERN)
    gateway.wait_records("stream-closed", xmpp__role="s2s-outbound", xmpp__to=MODERN)
    deliver(world, LEGACY, MODERN)
    deliver(world, MODERN, LEGACY)
    assert len(sessions(gateway, "stream-established", MODERN)) > before


def test_a_refusal_bounces_at_once(world, gateway):
    client = world.client(LEGACY)
    text = f"nameless word {next(NUMBERS)}"
    began = time.monotonic()
    client.say(f"nurse@{REFUSED}", text)
    assert client.bounced(text)[0] in ("service-unavailable", "remote-server-not-found", "remote-server-timeout")
    assert time.monotonic() - began < 15 * SLOW
    refused = gateway.wait_records("stream-refused", xmpp__role="s2s-outbound", xmpp__to=REFUSED)[0]
    assert refused["event"]["code"] == "remote-error"
    assert audit.get(refused, "xmpp.from") == LEGACY
    # jabberd2 ends the whole connection for it; it makes another one when there is something to say.
    deliver(world, LEGACY, MODERN)


def test_the_connection_itself_has_a_record_without_domains(world, gateway):
    world.forget(LEGACY)
    records = gateway.wait_records("stream-closed", xmpp__role="s2s-outbound")
    assert [r for r in records if audit.get(r, "xmpp.to") is None and audit.get(r, "source.ip")], records
