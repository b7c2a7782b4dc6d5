# SPDX-License-Identifier: MIT
"""What docs/guide.md says of settings that break: how each looks to the client and in the records, with the real server."""
import re
import shutil

import pytest
from harness import audit, wire
from harness.client import Client
from harness.ejabberd import Ejabberd
from harness.jabberd2 import Jabberd2
from harness.prosody import Prosody
from harness.proxy import Portcullis, run_cli
from harness.wait import SLOW, until

pytestmark = pytest.mark.skipif(SLOW > 1, reason="about the servers, not about memory: once is enough")
USERS = {"juliet": "r0m30myr0m30"}
MISCONFIGURED = "The legacy server offers nothing but STARTTLS or compression"


@pytest.fixture
def behind(pki, start):
    """behind(Server, edit) -> the proxy before a server whose configuration was changed."""
    servers = []

    def make(server, edit, address="address", users=None, **config):
        servers.append(server({} if users is None else users, edit=edit))
        return start(getattr(servers[-1], address), config=config), servers[-1]
    yield make
    for server in servers:
        server.stop()


@pytest.fixture
def keyed(pki, tmp_path):
    """The pair that a server with TLS of its own wants, in one file."""
    bundle = tmp_path / "bundle.pem"
    for name in (pki.path("im.test.key"), pki.path("im.test.pem")):
        with open(name, "rb") as source, open(bundle, "ab") as out:
            shutil.copyfileobj(source, out)
    return bundle


def swap(old, new):
    def edit(text):
        assert old in text
        return text.replace(old, new)
    return edit


def before_host(lua):
    return lambda text: text.replace('VirtualHost "', lua + '\nVirtualHost "', 1)


def greet(proxy, context):
    """What a client is answered after TLS, up to the features or the end; and the record of it."""
    client = Client(proxy.port).starttls(context)
    client.send(wire.header())
    answer = client.until(re.compile(rb"</stream:features>|</stream:stream>"))
    client.close()
    closed, = proxy.wait_records("stream-closed")
    return answer, closed


def test_prosody_that_requires_encryption(behind, context):
    proxy, server = behind(Prosody, before_host("c2s_require_encryption = true"))
    answer, closed = greet(proxy, context)
    assert re.search(wire.error_pattern("internal-server-error"), answer)
    assert closed["event"]["code"] == "backend-refused"
    assert "No stream features to offer on insecure session" in server.log()


def test_prosody_with_tls_required(behind, context, keyed):
    lua = (f'modules_disabled = {{ "s2s" }}\nmodules_enabled = {{ "saslauth", "tls" }}\nc2s_require_encryption = true\n'
           f'ssl = {{ key = "{keyed}", certificate = "{keyed}" }}')
    proxy, _ = behind(Prosody, before_host(lua))
    answer, closed = greet(proxy, context)
    assert re.search(wire.error_pattern("internal-server-error"), answer)
    assert closed["event"]["code"] == "backend-misconfigured" and MISCONFIGURED in closed["event"]["reason"]


def test_prosody_with_tls_offered(behind, context, keyed):
    """Harmless: what it offers is not shown to the client, who has TLS with us."""
    lua = (f'modules_disabled = {{ "s2s" }}\nmodules_enabled = {{ "saslauth", "tls" }}\n'
           f'ssl = {{ key = "{keyed}", certificate = "{keyed}" }}')
    proxy, _ = behind(Prosody, before_host(lua))
    answer, _ = greet(proxy, context)
    assert b"<mechanism>PLAIN</mechanism>" in answer and b"starttls" not in answer


def test_prosody_without_plain(behind, context):
    """Who knows no SCRAM cannot log in then."""
    proxy, _ = behind(Prosody, before_host("allow_unencrypted_plain_auth = false"))
    answer, _ = greet(proxy, context)
    assert b"SCRAM-SHA-1" in answer and b"PLAIN" not in answer


def test_ejabberd_with_starttls_required(behind, context, keyed):
    edit = swap("starttls: false", "starttls_required: true")
    proxy, _ = behind(Ejabberd, lambda text: f'certfiles: [ "{keyed}" ]\n' + edit(text))
    answer, closed = greet(proxy, context)
    assert re.search(wire.error_pattern("internal-server-error"), answer)
    assert closed["event"]["code"] == "backend-misconfigured" and MISCONFIGURED in closed["event"]["reason"]


def test_ejabberd_that_wants_a_proxy_header(behind, context):
    proxy, server = behind(Ejabberd, lambda text: text, address="proxied_address")
    answer, closed = greet(proxy, context)
    assert re.search(wire.error_pattern("internal-server-error"), answer)
    assert closed["event"]["code"] == "backend-closed"
    until(lambda: "Proxy protocol parsing failed" in server.log(), "ejabberd to say why")


def test_ejabberd_is_told_who_the_client_is(pki, behind, context):
    proxied = {"domains": [{"name": "im.test", "certificate": pki.path("im.test.pem"), "private-key": pki.path("im.test.key"),
                            "backend": {"c2s": "127.0.0.1:1", "proxy-protocol": "v2"}}]}
    probe = Portcullis(pki, "127.0.0.1:1", config=proxied)
    told = run_cli("check", "-c", probe.config_file)
    probe.kill()
    if "not available in this version" in told.stdout + told.stderr:
        pytest.skip("this version has no PROXY protocol towards backends")
    server = Ejabberd(USERS)
    proxied["domains"][0]["backend"]["c2s"] = server.proxied_address
    proxy = Portcullis(pki, server.address, config=proxied).start()
    try:
        client = Client(proxy.port).starttls(context)
        port = client.sock.getsockname()[1]
        client.send(wire.header())
        client.until(b"</stream:features>")
        until(lambda: f"Accepted proxied connection 127.0.0.1:{port} ->" in server.log(), "the client's port in ejabberd's log")
        client.close()
        proxy.stop()
    finally:
        proxy.kill()
        server.stop()


def test_jabberd2_that_requires_starttls(behind, context, keyed):
    """It goes on without SASL; clients that know no jabber:iq:auth give up."""
    proxy, _ = behind(Jabberd2, lambda text: text.replace("<id>im.test</id>", f"<id pemfile='{keyed}' require-starttls='1'>im.test</id>"))
    answer, _ = greet(proxy, context)
    assert b"http://jabber.org/features/iq-auth" in answer and b"mechanism" not in answer


@pytest.mark.parametrize("server,edit", [
    (Prosody, lambda text: text.replace('VirtualHost "im.test"', 'VirtualHost "elsewhere.test"')),
    (Ejabberd, swap('hosts: [ "im.test" ]', 'hosts: [ "elsewhere.test" ]')),
    (Jabberd2, lambda text: text.replace("<id>im.test</id>", "<id>elsewhere.test</id>"))], ids=["prosody", "ejabberd", "jabberd2"])
def test_domain_the_server_does_not_know(behind, context, server, edit):
    proxy, _ = behind(server, edit)
    answer, closed = greet(proxy, context)
    assert re.search(wire.error_pattern("host-unknown"), answer)
    assert audit.get(closed, "event.code") == "backend-refused" and closed["xmpp"]["error"] == "host-unknown"
