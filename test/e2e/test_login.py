# SPDX-License-Identifier: MIT
"""Real clients, a real legacy server, and what the audit log says of them."""
import hashlib
import re

import pytest
from harness import audit, slix, wire
from harness.client import Client
from harness.wait import SLOW

PAIR = [{"user": "juliet", "password": "r0m30myr0m30", "body": "Wherefore art thou? \u2764 <&'\"> \U0001f339"},
        {"user": "romeo", "password": "c4pul3t", "body": "I take thee at thy word"}]


@pytest.mark.parametrize("direct", [False, True], ids=["starttls", "direct"])
def test_two_slixmpp_clients_talk(start, prosody, pki, direct):
    proxy = start(prosody.address)
    result = slix.pair(domain="im.test", port=proxy.direct_port if direct else proxy.port, ca=pki.ca, direct=direct,
                       users=PAIR, timeout=30 * SLOW)
    assert result["heard"] == {"juliet": PAIR[1]["body"], "romeo": PAIR[0]["body"]}
    assert result["juliet"]["tls"] == result["romeo"]["tls"] == "TLSv1.3"
    records = proxy.stop()
    for user in ("juliet", "romeo"):
        closed, = audit.of(records, "stream-closed", xmpp__auth__identity=f"{user}@im.test")
        established, = audit.of(records, "stream-established", xmpp__stream=closed["xmpp"]["stream"])
        assert records.index(established) < records.index(closed)
        for record in (closed, established):
            assert audit.get(record, "xmpp.role") == "c2s-inbound"
            assert audit.get(record, "xmpp.policy.level") == "encrypt"
            assert audit.get(record, "xmpp.policy.mode") == "enforce"
            assert audit.get(record, "network.direction") == "inbound"
            assert audit.get(record, "network.protocol") == "xmpp"
            assert audit.get(record, "source.ip") == "127.0.0.1"
            assert audit.get(record, "xmpp.to") == "im.test"
            assert audit.get(record, "tls.established") is True
            assert audit.get(record, "tls.version") == "1.3"
            assert audit.get(record, "tls.cipher") == result[user]["cipher"]
            assert audit.get(record, "xmpp.starttls.result") == ("direct" if direct else "negotiated")
        assert re.fullmatch(r"SCRAM-SHA-(1|256)|PLAIN", closed["xmpp"]["auth"]["method"])
        assert closed["event"]["duration"] > 0
        assert closed["source"]["bytes"] > 0 and closed["destination"]["bytes"] > 0
        # each sent at least presence and one message, and heard at least one message
        assert closed["xmpp"]["stanzas"]["in"] >= 2 and closed["xmpp"]["stanzas"]["out"] >= 1


def test_unix_socket_backend(start, backend, context, tmp_path_factory, establish):
    import os
    import tempfile
    from harness.backend import Backend
    directory = tempfile.mkdtemp(prefix="portcullis-sock-")
    os.chmod(directory, 0o755)
    unix = Backend(lambda c: c.login(), path=os.path.join(directory, "c2s"))
    try:
        proxy = start(unix.address)
        with Client(proxy.port).starttls(context) as client:
            client.login()
    finally:
        unix.close()
        os.rmdir(directory)


def test_digest_of_iq_auth_proves_that_the_stream_id_is_the_backends(start, backend, context):
    """NEG-3, XEP-0078: the digest hashes the stream id; the example of the XEP comes out."""
    proxy = start(backend.address)
    client = Client(proxy.port).starttls(context)
    client.send(wire.header())
    server = backend.accept()
    feature = b"<stream:features><auth xmlns='http://jabber.org/features/iq-auth'/></stream:features>"
    server.greet(feature, identity="3EE948B0")
    answer = client.until(b"</stream:features>")
    assert answer == wire.backend_header("3EE948B0") + wire.limited(feature)
    identity = re.search(rb" id='([^']+)'", answer).group(1).decode()
    digest = hashlib.sha1((identity + "Calli0pe").encode()).hexdigest()
    assert digest == "48fc78be9ec8f86d8ce1c39c320c97c21d62334d"
    query = (f"<iq type='set' id='auth2'><query xmlns='jabber:iq:auth'><username>bill</username><digest>{digest}</digest>"
             "<resource>globe</resource></query></iq>").encode()
    client.send(query)
    assert server.wait_for(b"</iq>") == query
    server.send(b"<iq type='result' id='auth2'/>")
    assert client.until(b"/>") == b"<iq type='result' id='auth2'/>"
    client.send(wire.CLOSE)
    server.wait_for(wire.CLOSE)
    server.send(wire.CLOSE)
    assert client.to_end() == (wire.CLOSE, "fin")
    server.close()
    closed, = audit.of(proxy.stop(), "stream-closed")
    assert closed["xmpp"]["auth"] == {"method": "jabber:iq:auth", "identity": "bill@im.test"}


def test_real_prosody_iq_auth(start, prosody, context):
    proxy = start(prosody.address)
    client = Client(proxy.port).starttls(context)
    client.send(wire.header())
    identity = re.search(rb" id=['\"]([^'\"]+)['\"]", client.until(b"</stream:features>")).group(1)
    client.send(b"<iq type='set' id='a'><query xmlns='jabber:iq:auth'><username>romeo</username><password>c4pul3t</password>"
                b"<resource>old</resource></query></iq>")
    assert b"result" in client.until(b"/>") and identity
    client.close()


def test_sasl2_has_no_restart(start, backend, context):
    """NEG-22: after SASL2 success the features follow at once, on the same stream."""
    proxy = start(backend.address)
    client = Client(proxy.port).starttls(context)
    client.send(wire.header())
    server = backend.accept()
    offer = (b"<stream:features><authentication xmlns='urn:xmpp:sasl:2'><mechanism>PLAIN</mechanism></authentication>"
             b"</stream:features>")
    server.greet(offer)
    assert client.until(b"</stream:features>") == wire.backend_header() + wire.limited(offer)
    request = (f"<authenticate xmlns='urn:xmpp:sasl:2' mechanism='PLAIN'><initial-response>{wire.plain()}</initial-response>"
               "</authenticate>").encode()
    client.send(request)
    assert server.wait_for(b"</authenticate>") == request
    done = (b"<success xmlns='urn:xmpp:sasl:2'><authorization-identifier>juliet@im.test/x</authorization-identifier></success>"
            b"<stream:features><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'/></stream:features>")
    server.send(done)
    assert client.until(b"</stream:features>") == wire.limited(done, 524288)
    server.take()
    client.send(b"<presence/>")
    assert server.wait_for(b"<presence/>") == b"<presence/>"
    server.send(b"<message><body>hello</body></message>")
    assert client.until(b"</message>") == b"<message><body>hello</body></message>"
    client.send(wire.CLOSE)
    server.wait_for(wire.CLOSE)
    server.send(wire.CLOSE)
    client.to_end()
    server.close()
    closed, = audit.of(proxy.stop(), "stream-closed")
    assert closed["xmpp"]["auth"] == {"method": "PLAIN", "identity": "juliet@im.test"}


def test_header_pipelined_behind_auth(start, backend, context):
    """NEG-23: held back until the legacy server has answered; then it is the restarted stream's."""
    proxy = start(backend.address)
    client = Client(proxy.port).starttls(context)
    client.send(wire.header())
    server = backend.accept()
    server.greet()
    client.until(b"</stream:features>")
    client.send(wire.auth() + wire.header())
    assert server.wait_for(b"</auth>") == wire.auth()
    server.take()
    server.send(wire.SUCCESS)
    assert server.wait_for(b"xmlns:stream='http://etherx.jabber.org/streams'>") == wire.header()
    server.send(wire.backend_header("b2-id") + wire.FEATURES_BIND)
    assert client.until(b"</stream:features>") == (
        wire.SUCCESS + wire.backend_header("b2-id") + wire.limited(wire.FEATURES_BIND, 524288))
    client.close()


def test_failed_logins_are_counted(start, prosody, context):
    """SASL-10: the server's answers pass; after a few of them the stream ends."""
    proxy = start(prosody.address)
    client = Client(proxy.port).starttls(context)
    client.send(wire.header())
    client.until(b"</stream:features>")
    answers = b""
    for _ in range(8):
        try:
            client.send(wire.auth(wire.plain("juliet", "wrong")))
            answers += client.until(re.compile(rb"</failure>|</stream:stream>"))
        except (OSError, AssertionError):
            break
        if b"</stream:stream>" in answers:
            break
    rest, _ = client.to_end()
    assert 2 <= (answers + rest).count(b"<not-authorized") <= 6
    assert re.search(wire.error_pattern("policy-violation"), answers + rest)
    closed, = audit.of(proxy.stop(), "stream-closed")
    assert closed["event"]["code"] == "auth-attempts"
    assert "identity" not in closed["xmpp"].get("auth", {})
