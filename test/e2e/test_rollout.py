# SPDX-License-Identifier: MIT
"""The way from a network without TLS to one with it: mode monitor, level may, then enforce."""
import re
import subprocess

import pytest
from harness import audit, wire
from harness.client import Client
from harness.wait import SLOW

OFFER = b"<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>"
MONITOR = {"mode": "monitor"}
MAY = {"policy": {"c2s-inbound": "may"}}


def plaintext_login(client, user="juliet", password="r0m30myr0m30"):
    """SASL PLAIN in the clear with the real server; returns what it was offered before."""
    client.send(wire.header())
    offered = client.until(b"</stream:features>")
    client.send(wire.auth(wire.plain(user, password)))
    client.until(wire.SUCCESS)
    client.send(wire.header())
    client.until(b"</stream:features>")
    client.send(b"<iq type='set' id='b1'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'/></iq>")
    client.until(re.compile(rb"<jid>[^<]*</jid>.*</iq>"))
    return offered


@pytest.mark.parametrize("config", [MONITOR, MAY], ids=["monitor", "may"])
def test_an_old_client_goes_on_and_is_seen(start, prosody, config):
    proxy = start(prosody.address, config=config)
    with Client(proxy.port) as client:
        offered = plaintext_login(client)
        assert offered.count(OFFER) == 1 and b"<mechanism>PLAIN</mechanism>" in offered
        client.send(b"</stream:stream>")
        client.to_end()
    records = proxy.stop()
    exposed, = audit.of(records, "credentials-exposed")
    established, = audit.of(records, "stream-established")
    closed, = audit.of(records, "stream-closed")
    assert audit.get(established, "tls.established") is False
    assert audit.get(established, "xmpp.starttls.result") == "not-attempted"
    assert audit.get(established, "xmpp.starttls.advertised") is True
    assert audit.get(established, "xmpp.starttls.required") is False
    assert audit.get(closed, "xmpp.auth.identity") == "juliet@im.test"
    assert audit.get(exposed, "event.severity") == 3
    refused = audit.of(records, "stream-refused")
    if config is MAY:
        assert refused == [] and audit.get(closed, "xmpp.policy.level") == "may"
        return
    assert [audit.get(r, "event.code") for r in refused] == ["tls-required"]
    assert audit.get(refused[0], "event.outcome") == "unknown"
    assert audit.get(refused[0], "xmpp.policy.mode") == "monitor"


def test_a_new_client_takes_tls(start, prosody, context):
    proxy = start(prosody.address, config=MONITOR)
    with Client(proxy.port) as client:
        client.send(wire.header())
        assert OFFER in client.until(b"</stream:features>")
        client.send(wire.STARTTLS)
        assert client.until(wire.PROCEED) == wire.PROCEED
        client.handshake(context, "im.test")
        client.send(wire.header())
        assert b"starttls" not in client.until(b"</stream:features>")
    records = proxy.stop()
    assert audit.of(records, "stream-refused") == []
    established, = audit.of(records, "stream-established")
    assert audit.get(established, "tls.version") == "1.3"


def s_client(port, *arguments, name="im.test"):
    command = ["openssl", "s_client", "-connect", f"127.0.0.1:{port}", "-servername", name, *arguments]
    done = subprocess.run(command, input=wire.header(), capture_output=True, timeout=20 * SLOW)
    return (done.stdout + done.stderr).decode("utf-8", "replace")


@pytest.mark.parametrize("arguments,name,code", [
    (("-tls1_1", "-cipher", "ALL:@SECLEVEL=0"), "im.test", "tls-failed"),
    ((), "nobody.test", "sni-unknown"),
    (("-alpn", "h2"), "im.test", "alpn"),
], ids=["TLS 1.1", "SNI", "ALPN"])
def test_weak_handshakes_are_let_through_and_named(start, prosody, arguments, name, code):
    proxy = start(prosody.address, config=MONITOR)
    out = s_client(proxy.port, *arguments, name=name)
    assert "Cipher is (NONE)" not in out, out
    refused, = proxy.wait_records("stream-refused")
    assert refused["event"]["code"] == code
    assert proxy.counter("would_refuse") == 1
    proxy.stop()
    strict = start(prosody.address)
    assert "Cipher is (NONE)" in s_client(strict.port, *arguments, name=name)


def test_monitor_is_said_at_every_start_and_by_check(start, prosody):
    proxy = start(prosody.address, config=MONITOR)
    assert [line for line in proxy.log if "lets plaintext through" in line]
    done = proxy.cli("check")
    assert done.returncode == 0 and "lets plaintext through" in done.stderr and "mode monitor" in done.stdout


def test_injection_is_never_let_through(start, backend):
    proxy = start(backend.address, config=MONITOR)
    with Client(proxy.port) as client:
        client.send(wire.header())
        server = backend.accept()
        server.greet()
        client.until(b"</stream:features>")
        server.take()
        client.send(wire.STARTTLS + wire.auth())
        data, _ = client.to_end()
        assert data == b""
        server.wait_end()
        assert server.take() == b""
    assert audit.of(proxy.stop(), "starttls-injection")


@pytest.mark.parametrize("server_version", [None, "1.0"], ids=["old-server", "new-server"])
def test_a_client_older_than_1_0(start, backend, server_version):
    """No version, no features, no STARTTLS: jabber:iq:auth in the clear, let through and named."""
    proxy = start(backend.address, config=MONITOR)
    query = (b"<iq type='set' id='a1'><query xmlns='jabber:iq:auth'><username>bill</username><password>Calli0pe</password>"
             b"<resource>globe</resource></query></iq>")
    with Client(proxy.port) as client:
        client.send(wire.header(version=None))
        server = backend.accept()
        assert server.wait_for(b"streams'>") == wire.header(version=None)
        server.take()
        server.send(wire.backend_header("3EE948B0", version=server_version) + (wire.FEATURES_AUTH if server_version else b""))
        assert client.until(b"streams'>") == wire.backend_header("3EE948B0", version=None)
        client.send(query)
        assert server.wait_for(b"</iq>") == query
        server.send(b"<iq type='result' id='a1'/>")
        assert client.until(b"/>") == b"<iq type='result' id='a1'/>"
        client.send(wire.CLOSE)
        server.send(wire.CLOSE)
        client.to_end()
    records = proxy.stop()
    refused, = audit.of(records, "stream-refused")
    assert refused["event"]["code"] == "pre10-initiator" and refused["event"]["outcome"] == "unknown"
    assert audit.of(records, "credentials-exposed")
    closed, = audit.of(records, "stream-closed")
    assert audit.get(closed, "xmpp.auth.method") == "jabber:iq:auth"
