# SPDX-License-Identifier: MIT
"""Reload of certificates and TLS settings: the renewed certificate, and what a ticket of before is worth (TLS-14)."""
import ssl

import pytest
from harness import wire
from harness.client import Client
from harness.reload import echo_once, own_files, renew, serial
from harness.wait import PATIENCE


def test_renewed_certificate(start, backend, establish, pki, context):
    """The files are replaced; the next handshake shows the new certificate, the open stream talks on."""
    proxy = start(backend.address, run=False)
    chain, key = own_files(proxy, pki)
    proxy.start()
    before = serial(proxy.direct_port, context)
    client, server = establish(proxy)
    renew(pki, "im.test", chain, key)
    assert serial(proxy.direct_port, context) == before, "nobody had asked for it"
    assert proxy.reload() == "reloaded: domains: im.test changed\n"
    shown = {serial(port, context) for port in (proxy.direct_port,) * 8}
    assert len(shown) == 1 and shown != {before}
    starttls = Client(proxy.port).starttls(context)
    assert starttls.sock.getpeercert()["serialNumber"] in shown
    echo_once(client, server)
    fresh, fresh_server = establish(proxy)
    echo_once(fresh, fresh_server)
    for c in (client, fresh, starttls):
        c.close()


def a_session(port, context, name="im.test"):
    client = Client(port).handshake(context, name)
    client.send(wire.header(name))
    client.sock.settimeout(PATIENCE)
    client.until(b"</stream:features>")
    session = client.sock.session
    client.close()
    return session


def resumed(port, context, session, count=6):
    number = 0
    for _ in range(count):
        client = Client(port).handshake(context, session=session)
        number += client.sock.session_reused
        client.close()
    return number


def stricter_version(proxy, *_):
    proxy.config["tls"] = {"min-version": "1.3"}


def other_groups(proxy, *_):
    proxy.config["tls"] = {"groups": "P-256"}


def new_certificate(proxy, pki, chain, key):
    renew(pki, "im.test", chain, key)


def no_resumption(proxy, *_):
    proxy.config["tls"] = {"session-resumption": False}


def unrelated(proxy, *_):
    proxy.config["timeouts"]["connect"] = "7s"


@pytest.mark.parametrize("change,still", [(stricter_version, False), (other_groups, False), (new_certificate, False),
                                          (no_resumption, False), (unrelated, True)], ids=lambda v: getattr(v, "__name__", None))
def test_tickets_of_before(start, loop, echo, pki, change, still):
    """A ticket made under other TLS settings or another certificate gives a full handshake; after any other reload it
    still resumes."""
    proxy = start(echo.address, run=False)
    chain, key = own_files(proxy, pki)
    proxy.start()
    context = pki.context(version=ssl.TLSVersion.TLSv1_3)
    session = a_session(proxy.direct_port, context)
    assert resumed(proxy.direct_port, context, session) == 6
    change(proxy, pki, chain, key)
    proxy.reload()
    assert resumed(proxy.direct_port, context, session) == (6 if still else 0)
    if change is not no_resumption:
        assert resumed(proxy.direct_port, context, a_session(proxy.direct_port, context)) == 6
