# SPDX-License-Identifier: MIT
"""The legacy server down, slow, refusing, dying: the client gets internal-server-error inside TLS, a record is written,
and the next stream tries again (row 22, NEG-38)."""
import re

import pytest
from harness import audit, wire
from harness.backend import Backend
from harness.client import Client
from harness.wait import PATIENCE, free_port

FAILED = wire.reply_header() + re.escape(wire.stream_error("internal-server-error"))


def ask(proxy, context):
    client = Client(proxy.port).starttls(context)
    client.send(wire.header())
    return client


def works(proxy, backend, context):
    """A stream whose backend is well again."""
    client = ask(proxy, context)
    server = backend.accept()
    server.greet()
    assert client.until(b"</stream:features>") == wire.backend_header() + wire.limited(wire.FEATURES_AUTH)
    client.close()


def test_down_then_up(start, context):
    port = free_port()
    proxy = start(f"127.0.0.1:{port}")
    for _ in range(2):
        data, how = ask(proxy, context).to_end()
        assert re.fullmatch(FAILED, data), data
        assert how == "fin"
    backend = Backend(port=port)
    works(proxy, backend, context)
    backend.close()
    records = proxy.stop()
    failed = audit.of(records, "stream-closed", event__code="backend-down")
    assert len(failed) == 2
    for record in failed:
        assert record["event"]["outcome"] == "failure" and record["xmpp"]["error"] == "internal-server-error"
        assert record["destination"]["port"] == port and audit.get(record, "tls.established") is True


def test_slow(start, backend, context):
    """Connected, but silent until timeouts.negotiation."""
    proxy = start(backend.address, config={"timeouts": {"negotiation": "2s"}})
    data, how = ask(proxy, context).to_end()
    assert re.fullmatch(FAILED, data), data
    assert how == "fin"
    backend.accept().wait_end()
    works(proxy, backend, context)
    assert proxy.wait_records("stream-closed", event__code="backend-timeout")


ENDINGS = {
    "closes at once": (b"", "backend-closed"),
    "closes in its header": (wire.backend_header()[:60], "backend-closed"),
    "closes after its header": (wire.backend_header(), "backend-closed"),
    "closes within its features": (wire.backend_header() + wire.FEATURES_AUTH[:50], "backend-closed"),
    "speaks another protocol": (b"220 mail.example ESMTP\r\n", "backend-invalid"),
    "answers in another namespace": (wire.backend_header().replace(b"jabber:client", b"jabber:server"), "backend-invalid"),
    "sends a stanza first": (wire.backend_header() + b"<message/>", "backend-invalid"),
    "refuses": (wire.backend_header() + wire.stream_error("undefined-condition"), "backend-refused"),
    "offers only starttls": (wire.backend_header() + b"<stream:features><starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'>"
                             b"<required/></starttls></stream:features>", "backend-misconfigured"),
    "offers only compression": (wire.backend_header() + b"<stream:features><compression xmlns='http://jabber.org/features/compress'>"
                                b"<method>zlib</method></compression></stream:features>", "backend-misconfigured"),
}


@pytest.mark.parametrize("name", ENDINGS)
def test_ends_during_negotiation(start, backend, context, name):
    said, code = ENDINGS[name]
    proxy = start(backend.address)
    client = ask(proxy, context)
    server = backend.accept()
    server.wait_for(b"streams'>")
    server.send(said)
    if name.startswith("closes"):
        server.close()
    data, how = client.to_end()
    assert re.fullmatch(FAILED, data), data
    assert how == "fin"
    works(proxy, backend, context)
    assert proxy.wait_records("stream-closed", event__code=code)
    if not name.startswith("closes"):
        server.wait_end()
        # Where no header was exchanged there is no stream to close, though ours was opened: both are right.
        assert server.received == wire.header() + wire.CLOSE or (
            name == "speaks another protocol" and server.received == wire.header())


def test_resets_during_negotiation(start, backend, context):
    proxy = start(backend.address)
    client = ask(proxy, context)
    server = backend.accept()
    server.wait_for(b"streams'>")
    server.reset()
    data, _ = client.to_end()
    assert re.fullmatch(FAILED, data), data


@pytest.mark.parametrize("how", ["close", "reset"])
def test_dies_in_the_middle_of_a_stanza(start, backend, establish, context, how):
    """The half is not passed on; an end that was none is not made a clean one (row 48), or said to be our fault (row 22)."""
    proxy = start(backend.address)
    client, server = establish(proxy)
    server.send(b"<message><body>whole</body></message><message><body>ha")
    assert client.until(b"</message>") == b"<message><body>whole</body></message>"
    getattr(server, how)()
    data, _ = client.to_end()
    assert b"ha" not in data and (data == b"" or re.fullmatch(wire.error_pattern("internal-server-error"), data)), data
    closed = proxy.wait_records("stream-closed", timeout=PATIENCE)[0]
    assert closed["event"]["code"] == "backend-closed" and closed["event"]["outcome"] == "failure"
    works(proxy, backend, context)


def test_host_unknown_of_the_backend_is_no_secret(start, backend, context):
    """A condition about the domain may be passed on; its text may not (rule 9)."""
    proxy = start(backend.address)
    client = ask(proxy, context)
    server = backend.accept()
    server.wait_for(b"streams'>")
    server.send(wire.backend_header() + wire.stream_error("host-unknown", "10.1.2.3 does not serve it"))
    data, _ = client.to_end()
    assert re.fullmatch(wire.reply_header() + b"(" + wire.error_pattern("host-unknown") + b"|" +
                        wire.error_pattern("internal-server-error") + b")", data), data
    assert b"10.1.2.3" not in data
