# SPDX-License-Identifier: MIT
"""The laboratory of federation by itself, without portcullis: what it shows with the program in the middle is worth something
only if these servers behave as they are said to."""
import itertools
import socket
import subprocess

import dns.flags
import dns.rcode
import pytest

from harness import netns, s2s, wire
from harness.client import Client
from harness.gateway import REDIRECT
from harness.legacy import FEATURES_END
from harness.mitm import Mitm
from harness.wait import PATIENCE, account, until

NUMBERS = itertools.count(1)


def test_dns_answers_are_secure_insecure_or_bogus(dns_lab):
    dns_lab.service("one.example", "127.0.0.1", 5269)
    dns_lab.service("one.plain.example", "127.0.0.1", 5269)
    dns_lab.service("one.bogus.example", "127.0.0.1", 5269)
    expected = {"one.example": ("NOERROR", True), "one.plain.example": ("NOERROR", False), "one.bogus.example": ("SERVFAIL", False),
                "one.dead.example": ("SERVFAIL", False), "nobody.example": ("NXDOMAIN", True)}
    for name, wanted in expected.items():
        said = dns_lab.ask(f"_xmpp-server._tcp.{name}", "SRV")
        assert (dns.rcode.to_text(said.rcode()), bool(said.flags & dns.flags.AD)) == wanted, name


@pytest.fixture
def dns_lab(request):
    return request.getfixturevalue("dns")


def test_the_scripted_server_with_openssl(remote, pki):
    server = remote()
    done = subprocess.run(("openssl", "s_client", "-connect", server.address, "-starttls", "xmpp-server", "-xmpphost", "remote.test",
                           "-servername", "remote.test", "-verify_return_error", "-verify_hostname", "remote.test", "-CAfile", pki.ca),
                          input="", capture_output=True, text=True, timeout=20)
    assert "Verification: OK" in done.stdout, done.stdout + done.stderr
    assert server.guests[0].first_byte == b"\x16"
    assert server.failed().server_name == "remote.test"


@pytest.mark.parametrize("offer, answer, rest", [
    ("required", "failure", wire.TLS_FAILURE + wire.CLOSE), ("absent", "error", s2s.UNSUPPORTED), ("empty", "eof", b""),
    ("offered", "inject", wire.PROCEED + s2s.FEATURES_DIALBACK), ("absent", "garbage", s2s.NOT_XML)])
def test_how_the_scripted_server_answers(remote, offer, answer, rest):
    server = remote(offer=offer, answer=answer)
    with Client(server.port) as client:
        client.send(s2s.header("remote.test"))
        features = client.until(FEATURES_END)
        assert (b"<starttls" in features) == (offer in ("required", "offered"))
        assert (b"<required/>" in features) == (offer == "required")
        client.send(wire.STARTTLS)
        said = client.exactly(len(rest)) if rest else client.to_end()[0]
        assert said == rest
    guest = server.failed()
    assert guest.prefix == s2s.header("remote.test") + wire.STARTTLS


def test_the_man_in_the_middle_edits_what_is_not_encrypted(remote, mitm, pki):
    server = remote()
    relay = mitm(("127.0.0.1", server.port), strip=("feature", "version"))
    client = Client(relay.port)
    client.send(s2s.header("remote.test"))
    header = client.until(wire.HEADER_PATTERN)
    assert s2s.value(header, "version") is None
    assert client.until(FEATURES_END) == b"<stream:features></stream:features>"
    client.send(wire.STARTTLS)
    assert client.until(wire.PROCEED) == wire.PROCEED
    client.handshake(pki.context(), "remote.test")
    client.send(s2s.header("remote.test"))
    assert s2s.value(client.until(wire.HEADER_PATTERN), "version") == "1.0"
    assert server.ready().server_name == "remote.test"
    assert relay.clear == [s2s.header("remote.test") + wire.STARTTLS] and relay.edited == 2
    client.close()


@pytest.mark.parametrize("strip, answer, expected", [
    (("required",), None, s2s.FEATURES_STARTTLS), ((), "garbage", wire.PROCEED + s2s.NOT_XML),
    ((), "inject", wire.PROCEED + s2s.FEATURES_DIALBACK), ((), "failure", wire.TLS_FAILURE + wire.CLOSE)])
def test_other_edits(remote, mitm, strip, answer, expected):
    relay = mitm(("127.0.0.1", remote().port), strip=strip, answer=answer)
    with Client(relay.port) as client:
        client.send(s2s.header("remote.test"))
        client.until(wire.HEADER_PATTERN)
        features = client.until(FEATURES_END)
        if strip:
            assert features == expected
            return
        client.send(wire.STARTTLS)
        assert client.exactly(len(expected)) == expected


def test_hosts_see_each_other_and_nothing_else():
    reason = netns.why_not()
    if reason:
        pytest.skip(reason)
    network = netns.Network("10.90.1.53")
    try:
        one, two = network.host("one", 1, 11), network.host("two", 2)
        assert one.check("cat", "/etc/resolv.conf") == "nameserver 10.90.1.53\n"
        for address in ("10.90.1.1", "10.90.1.11", "fd90:1::1"):
            assert "dev eth0" in two.check("ip", "route", "get", address)
        with one.inside():
            listener = socket.create_server(("10.90.1.11", 5269))
        with two.inside():
            socket.create_connection(("10.90.1.11", 5269), 5).close()
        assert listener.accept()[1][0] == "10.90.1.2"
        listener.close()
        assert "default" not in one.check("ip", "route")
    finally:
        network.close()
    assert not [name for name in netns.processes(one.name)]


def delivered(world, sender, to):
    """A message between the nurses of two domains; True once it is there."""
    text = f"word {next(NUMBERS)}"
    heard = world.client(to)
    world.client(sender).say(f"nurse@{to}", text)
    heard.heard(text)
    return True


def test_modern_servers_federate(world):
    assert delivered(world, "capulet.example", "escalus.example")
    assert delivered(world, "escalus.example", "capulet.example")


@pytest.fixture
def exposed(world):
    """The legacy server where DNS says that it is, without anybody in between."""
    relay = Mitm(("127.0.0.1", world.server("montague.example").s2s_port), namespace=world.a, address="10.90.1.1", port=5269)
    yield relay
    relay.close()
    world.forget("montague.example", "capulet.example")


def test_a_legacy_server_cannot_federate_by_itself(world, exposed):
    """Towards it: <starttls/> is not understood, the message bounces. From it: its key goes out in
    plaintext, and he who has it cannot find out whose it is, for he asks inside TLS. Nobody is told of that."""
    capulet, montague = world.client("capulet.example"), world.client("montague.example")
    text = f"word {next(NUMBERS)}"
    capulet.say("nurse@montague.example", text)
    condition, why = capulet.bounced(text)
    assert (condition, "unsupported-stanza-type" in why) == ("remote-server-timeout", True)
    assert wire.STARTTLS in exposed.clear[0]
    said = {"montague.example": "sent dialback key on outgoing s2s stream",
            "capulet.example": "Sending error replies for 1 queued stanzas because of failed outgoing connection to montague.example"}
    before = {domain: world.server(domain).log().count(line) for domain, line in said.items()}
    text = f"word {next(NUMBERS)}"
    montague.say("nurse@capulet.example", text)
    for domain, line in said.items():  # the key goes out in plaintext; the question about it comes back
        until(lambda: world.server(domain).log().count(line) > before[domain], f"{domain} to say: {line}", 3 * PATIENCE)
    assert len(exposed.clear) == 2 and wire.STARTTLS in exposed.clear[1] and b"db:verify" not in exposed.clear[1]
    fence = f"word {next(NUMBERS)}"
    capulet.say("nurse@capulet.example", fence)
    capulet.heard(fence)
    assert text not in [e["body"] for e in capulet.events("message")]


def test_the_next_hop_of_a_legacy_prosody(world):
    """With the plugin, its connections to whomever come to one address."""
    client = world.client("tybalt.example")
    with world.b.inside():
        listener = socket.create_server(("127.0.0.1", 15270))
    listener.settimeout(10)
    try:
        client.say("nurse@capulet.example", f"word {next(NUMBERS)}")
        connection, _ = listener.accept()
        connection.settimeout(10)
        header = b""
        while not wire.HEADER_PATTERN.search(header):
            header += connection.recv(4096)
        assert s2s.value(header, "to") == "capulet.example"
        connection.close()
    finally:
        listener.close()
        world.forget("tybalt.example")


def original_destination(connection):
    """IPv4: where the connection was going before the packet filter took it."""
    raw = connection.getsockopt(socket.SOL_IP, 80, 16)
    return socket.inet_ntoa(raw[4:8]), int.from_bytes(raw[2:4], "big")


@pytest.mark.parametrize("domain, named", [("montague.example", True), ("abram.example", True), ("gregory.example", False)])
def test_the_packet_filter_takes_every_connection_of_a_legacy_server(world, domain, named):
    """And what its stream header says: jabberd2's names nobody."""
    client = world.client(domain)
    world.a.nft(REDIRECT.format(account=account()))
    with world.a.inside():
        listener = socket.create_server(("127.0.0.1", 15270))
    listener.settimeout(10)
    try:
        client.say("nurse@capulet.example", f"word {next(NUMBERS)}")
        connection, source = listener.accept()
        connection.settimeout(10)
        assert original_destination(connection) == ("10.90.1.10", 5269) and source[0] == "10.90.1.1"
        header = b""
        while not wire.HEADER_PATTERN.search(header):
            header += connection.recv(4096)
        expected = ("capulet.example", domain, "1.0") if named else (None, None, None)
        assert tuple(s2s.value(header, name) for name in ("to", "from", "version")) == expected, header
        connection.close()
    finally:
        listener.close()
        world.a.check("nft", "delete", "table", "inet", "portcullis")
        world.forget(domain)
