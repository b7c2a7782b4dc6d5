# SPDX-License-Identifier: MIT
"""What the tests of reload share: certificates that may be replaced, and a stream that is asked whether it still talks."""
import os
import shutil
import time

from .client import Client


def serial(port, context, name="im.test"):
    """Of the certificate a new direct-TLS connection is shown."""
    client = Client(port).handshake(context, name)
    number = client.sock.getpeercert()["serialNumber"]
    client.close()
    return number


def own_files(proxy, pki, name="im.test"):
    """The first domain's certificate and key as files of this test's own, which it may replace."""
    chain, key = (os.path.join(proxy.directory, end) for end in ("own.pem", "own.key"))
    renew(pki, name, chain, key)
    proxy.config["domains"][0].update({"certificate": chain, "private-key": key})
    proxy.write_config()
    return chain, key


def renew(pki, name, chain, key, **options):
    made_chain, made_key = pki.issue(name, name=f"renewed-{time.monotonic_ns()}", **options)
    shutil.copy(made_chain, chain)
    shutil.copy(made_key, key)
    os.chmod(key, 0o600)


def echo_once(client, server, number=0):
    stanza = f"<message id='r{number}'><body>x</body></message>".encode()
    client.send(stanza)
    server.wait_for(stanza)
    server.take()
    server.send(stanza)
    assert client.exactly(len(stanza)) == stanza
