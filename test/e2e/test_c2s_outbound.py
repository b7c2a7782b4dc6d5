# SPDX-License-Identifier: MIT
"""Clients that cannot do TLS, behind portcullis, at services that demand it."""
import re

import pytest

from harness import audit, s2s, wire
from harness.client import Client
from harness.gateway import Gateway, peer
from harness.legacy import Legacy
from harness.slix import pair
from harness.tls_backend import tls_prosody

USERS = {"juliet": "r0m30myr0m30", "romeo": "c4pul3t"}


@pytest.fixture
def service(remote):
    def make(**script):
        server = remote(**dict({"features": wire.FEATURES_AUTH}, **script))
        server.namespace = s2s.CLIENT
        return server
    return make


def header(to, sender=None, version="1.0"):
    return s2s.header(to, sender, version, namespace=s2s.CLIENT)


def test_a_stream_from_header_to_login(gateway, service):
    """NEG-29: who the client is goes out inside TLS only; mechanisms pass unedited (SASL-3)."""
    server = service()
    proxy = gateway([peer("remote.test", server)])
    client = Client(proxy.clients)
    sent = header("remote.test", "juliet@remote.test")
    client.send(sent)
    opened = client.until(b"</stream:features>")
    guest = server.ready()
    guest.saw_only_starttls()
    assert b"juliet" not in guest.prefix and guest.header == sent
    assert guest.server_name == "remote.test"
    assert opened.endswith(wire.limited(wire.FEATURES_AUTH)) and s2s.value(opened, "id") == guest.identity
    client.send(wire.auth())
    guest.until(wire.auth())
    guest.send(wire.SUCCESS)
    client.until(wire.SUCCESS)
    client.send(sent)
    assert guest.until(wire.HEADER_PATTERN) == sent
    guest.send(header(None, "remote.test") + wire.FEATURES_BIND)
    client.until(b"</stream:features>")
    stanza = b"<message to='romeo@somewhere.test'><body>hi</body></message>"
    client.send(stanza)
    assert guest.exactly(len(stanza)) == stanza
    client.close()
    record = proxy.wait_records("stream-established")[0]
    expected = {"network.direction": "outbound", "xmpp.role": "c2s-outbound", "xmpp.to": "remote.test",
                "xmpp.verification.matched": "DNS-ID remote.test", "xmpp.policy.level": "verify"}
    assert {name: audit.get(record, name) for name in expected} == expected
    assert audit.get(proxy.wait_records("stream-closed")[0], "xmpp.auth.identity") == "juliet@remote.test"
    assert not [r for r in proxy.records() if wire.plain() in str(r)]


def test_who_cannot_prove_gets_no_password(gateway, service, zoo):
    server = service(certificate=zoo.get("self-signed"))
    proxy = gateway([peer("self-signed.zoo.test", server)])
    client = Client(proxy.clients)
    client.send(header("self-signed.zoo.test", "juliet@self-signed.zoo.test") + wire.auth())
    data, _ = client.to_end()
    assert data.endswith(s2s.told("remote-unverified")), data
    assert b"mechanisms" not in data
    assert b"<auth" not in server.guests[0].prefix


def test_a_server_identity_is_not_a_clients_service(gateway, service, zoo):
    """CERT-2: SRV-ID _xmpp-client counts here, _xmpp-server does not."""
    server = service(certificate=lambda domain: zoo.get(domain.removesuffix(".zoo.test")))
    proxy = gateway([peer("*.zoo.test", server)])
    client = Client(proxy.clients)
    client.send(header("srv-client.zoo.test"))
    client.until(b"</stream:features>")
    client.close()
    matched = audit.get(proxy.wait_records("stream-established")[0], "xmpp.verification.matched")
    assert matched == "SRV-ID _xmpp-client.srv-client.zoo.test"
    client = Client(proxy.clients)
    client.send(header("srv-server.zoo.test"))
    assert client.to_end()[0].endswith(s2s.told("remote-unverified"))


def test_a_client_older_than_1_0(gateway, service):
    """Transcript 3.7: the digest needs the service's own stream id."""
    server = service(features=b"<stream:features><auth xmlns='http://jabber.org/features/iq-auth'/></stream:features>")
    proxy = gateway([peer("remote.test", server)])
    client = Client(proxy.clients)
    client.send(header("remote.test", version=None))
    opened = client.until(wire.HEADER_PATTERN)
    guest = server.ready()
    assert s2s.value(opened, "version") is None and s2s.value(opened, "id") == guest.identity
    question = b"<iq type='get' id='a1'><query xmlns='jabber:iq:auth'><username>juliet</username></query></iq>"
    client.send(question)
    assert guest.exactly(len(question)) == question
    client.close()


def test_a_stream_of_servers_is_not_for_this_port(gateway, service):
    server = service()
    proxy = gateway([peer("remote.test", server)])
    data, _ = Legacy(proxy.clients).begin("remote.test").to_end()
    assert re.search(wire.error_pattern("invalid-namespace"), data), data
    server.nobody()


def test_real_clients_of_a_real_service(manage, pki):
    """slixmpp without TLS, through portcullis, at a Prosody that lets nobody log in without."""
    service = tls_prosody(USERS, (pki.path("im.test.pem"), pki.path("im.test.key")))
    try:
        proxy = manage(Gateway(pki, "127.0.0.1:9", [peer("im.test", service)], domains=("other.test",)))
        result = pair(domain="im.test", port=proxy.clients, ca=pki.ca, direct=False, plain=True, users=[
            {"user": user, "password": USERS[user], "body": f"{user} says hello"} for user in USERS])
        assert result["heard"] == {"juliet": "romeo says hello", "romeo": "juliet says hello"}
        assert result["juliet"]["tls"] is None
        assert {audit.get(r, "tls.version") for r in proxy.wait_records("stream-established", 2)} == {"1.3"}
    finally:
        service.stop()


def test_without_portcullis_they_get_nowhere(pki):
    service = tls_prosody(USERS, (pki.path("im.test.pem"), pki.path("im.test.key")))
    try:
        with Client(service.port) as client:
            client.send(header("im.test"))
            assert b"<mechanisms" not in client.until(b"</stream:features>")
    finally:
        service.stop()
