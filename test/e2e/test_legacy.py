# SPDX-License-Identifier: MIT
"""Backends that are older than XMPP 1.0, that would steer clients around the proxy, that say limits of their own; SASL
mechanisms that policy refuses; streams at rest."""
import hashlib
import time

import pytest
from harness import audit, wire
from harness.client import Client
from harness.load import Talker, in_batches
from harness.old import OldServer
from harness.wait import PATIENCE

# XEP-0078's own example: SHA-1 of the stream id and the password.
VECTOR_ID, VECTOR_PASSWORD, VECTOR = "3EE948B0", "Calli0pe", "48fc78be9ec8f86d8ce1c39c320c97c21d62334d"
IQ_FEATURES = b"<stream:features><auth xmlns='http://jabber.org/features/iq-auth'/></stream:features>"


def iq_set(user, secret, kind):
    return (f"<iq type='set' id='auth2'><query xmlns='jabber:iq:auth'><username>{user}</username><{kind}>{secret}</{kind}>"
            "<resource>globe</resource></query></iq>").encode()


@pytest.fixture
def old():
    server = OldServer({"bill": VECTOR_PASSWORD}, ids=[VECTOR_ID] + [f"{n:08X}" for n in range(50)])
    yield server
    server.close()


def upgraded(identity):
    """What the client sees of the old server's first words: version, language and features put in, the id as it is."""
    return (f"<?xml version='1.0'?><stream:stream from='im.test' id='{identity}' version='1.0' xml:lang='en' "
            f"xmlns='jabber:client' xmlns:stream='{wire.STREAMS}'>").encode() + IQ_FEATURES


def test_digest_vector_byte_for_byte(start, old, context):
    """Section 3.7b, NEG-3, NEG-40, SASL-2."""
    assert hashlib.sha1((VECTOR_ID + VECTOR_PASSWORD).encode()).hexdigest() == VECTOR
    proxy = start(old.address)
    client = Client(proxy.port).starttls(context)
    client.send(wire.header())
    assert client.until(b"</stream:features>") == upgraded(VECTOR_ID)
    assert old.headers == [wire.header()]
    client.send(b"<iq type='get' id='auth1'><query xmlns='jabber:iq:auth'><username>bill</username></query></iq>")
    assert b"<digest/>" in client.until(b"</iq>")
    client.send(iq_set("bill", VECTOR, "digest"))
    assert client.until(b"/>") == b"<iq type='result' id='auth2'/>"
    client.send(b"<message to='bill@im.test'><body>hi</body></message>")
    assert client.until(b"</message>") == b"<message from='bill@im.test' to='bill@im.test'><body>hi</body></message>"
    client.send(wire.CLOSE)
    assert client.to_end() == (wire.CLOSE, "fin")
    closed, = audit.of(proxy.stop(), "stream-closed")
    assert closed["xmpp"]["auth"] == {"method": "jabber:iq:auth", "identity": "bill@im.test"}
    assert closed["event"]["outcome"] == "success"


@pytest.mark.parametrize("kind,secret,works", [("password", VECTOR_PASSWORD, True), ("password", "wrong", False),
                                               ("digest", "0" * 40, False)])
def test_old_server(start, old, context, kind, secret, works):
    proxy = start(old.address)
    client = Client(proxy.port).starttls(context)
    client.send(wire.header())
    client.until(b"</stream:features>")
    client.send(iq_set("bill", secret, kind))
    answer = client.until(b"/>" if works else b"</iq>")
    assert (b"type='result'" in answer) == works, answer
    client.close()
    closed = proxy.wait_records("stream-closed")[0]
    assert (audit.get(closed, "xmpp.auth.identity") == "bill@im.test") == works


def test_old_server_and_sasl(start, old, context):
    """What it does not know it says in its own way, and the client hears it."""
    proxy = start(old.address)
    client = Client(proxy.direct_port).handshake(context)
    client.send(wire.header())
    assert client.until(b"</stream:features>") == upgraded(VECTOR_ID)
    client.send(wire.auth())
    assert client.until(wire.CLOSE) == b"<stream:error>Invalid XML</stream:error></stream:stream>"
    client.close()
    assert not audit.of(proxy.stop(), "stream-closed", xmpp__auth__identity="juliet@im.test")


def test_initiator_older_than_one_is_still_refused(start, old, context):
    """Row 9 holds whatever the backend is: no version, no STARTTLS, and in direct TLS no exception."""
    proxy = start(old.address)
    client = Client(proxy.direct_port).handshake(context)
    client.send(wire.header(version=None))
    data, _ = client.to_end()
    assert b"policy-violation" in data and b"version=" not in data.split(b"?>")[1]
    assert old.accepted == 0


@pytest.mark.parametrize("settled", [False, True], ids=["first", "late"])
def test_location_never_reaches_the_client(start, backend, establish, settled):
    """NEG-25."""
    proxy = start(backend.address)
    client, server = establish(proxy)
    if settled:  # from here on only names and attributes of first-level elements are looked at
        server.send(b"<presence/>" * 40)
        assert client.exactly(len(b"<presence/>") * 40)
    server.send(b"<enabled xmlns='urn:xmpp:sm:3' id='some-id' location='10.0.0.5:5222' resume='true'/><presence/>")
    assert client.until(b"<presence/>") == b"<enabled xmlns='urn:xmpp:sm:3' id='some-id' resume='true'/><presence/>"
    server.send(b"<enabled xmlns='urn:xmpp:sm:3' location=\"10.0.0.6\"/>")
    assert client.until(b"/>") == b"<enabled xmlns='urn:xmpp:sm:3'/>"
    client.close()
    proxy.wait_records("stream-closed")
    assert len(proxy.wait_log("names another place to connect to")) == 1


@pytest.mark.parametrize("settled", [False, True], ids=["first", "late"])
def test_see_other_host_never_reaches_the_client(start, backend, establish, settled):
    proxy = start(backend.address)
    client, server = establish(proxy)
    if settled:
        server.send(b"<presence/>" * 40)
        assert client.exactly(len(b"<presence/>") * 40)
    server.send(wire.stream_error("see-other-host").replace(b"/>", b">10.0.0.5:9222</see-other-host>", 1))
    data, how = client.to_end()
    assert (data, how) == (wire.stream_error("internal-server-error"), "fin")
    closed = proxy.wait_records("stream-closed", event__code="backend-refused")[0]
    assert closed["xmpp"]["error"] == "internal-server-error"
    assert proxy.wait_log("names another place to connect to")


def test_limits(start, backend, context):
    """NEG-31: the lower of both, before and after authentication; the idle time only where one is configured."""
    proxy = start(backend.address, config={"limits": {"unauthenticated-stanza": 10000, "stanza": "256k"},
                                           "timeouts": {"idle": "10m"}})
    client = Client(proxy.port).starttls(context)
    client.send(wire.header())
    server = backend.accept()
    server.greet(wire.limited(wire.FEATURES_AUTH, 1048576))
    assert client.until(b"</stream:features>") == wire.backend_header() + wire.limited(wire.FEATURES_AUTH, 10000)
    client.send(wire.auth())
    server.wait_for(b"</auth>")
    server.take()
    server.send(wire.SUCCESS)
    client.send(wire.header())
    server.greet(wire.FEATURES_BIND, "b2-id")
    expected = wire.SUCCESS + wire.backend_header("b2-id") + wire.limited(wire.FEATURES_BIND, 262144, idle=600)
    assert client.until(b"</stream:features>") == expected
    client.close()


def test_mechanisms_refused(start, backend, context):
    """SASL-5: the list stays, the attempt is refused, another one may follow; counted and logged, no secret with it."""
    proxy = start(backend.address, config={"policy": {"mechanisms-refused": ["plain"]}})
    client = Client(proxy.port).starttls(context)
    client.send(wire.header())
    server = backend.accept()
    server.greet()
    assert client.until(b"</stream:features>") == wire.backend_header() + wire.limited(wire.FEATURES_AUTH)
    failure = f"<failure xmlns='{wire.SASL}'><mechanism-too-weak/></failure>".encode()
    for _ in range(2):
        client.send(wire.auth())
        assert client.until(b"</failure>") == failure
    client.send(wire.auth("biwsbj1qdWxpZXQscj1hYmM=", "SCRAM-SHA-1"))
    assert server.wait_for(b"</auth>") == wire.auth("biwsbj1qdWxpZXQscj1hYmM=", "SCRAM-SHA-1")
    server.send(wire.SUCCESS)
    client.until(wire.SUCCESS)
    client.close()
    proxy.wait_records("stream-closed", xmpp__auth__method="SCRAM-SHA-1")
    assert proxy.counter("mechanisms_refused") == 2
    assert len(proxy.wait_log("mechanisms-refused")) == 1


def test_streams_at_rest_go_on(start, loop, echo, context):
    """After ten to twenty silent seconds the parsers are given back; whoever wakes finds everything as it was."""
    proxy = start(echo.address)
    talkers = [Talker(proxy.port, context) for _ in range(20)]
    loop.run(in_batches([t.start() for t in talkers]))
    time.sleep(22)
    for number in range(2):
        assert loop.run(in_batches([t.echo(number) for t in talkers])) == [True] * 20
    loop.run(in_batches([t.finish() for t in talkers]))
    proxy.wait_records("stream-closed", 20, timeout=PATIENCE)
    records = audit.of(proxy.stop(), "stream-closed")
    assert {r["event"]["code"] for r in records} <= {"closed", "peer-gone"}
