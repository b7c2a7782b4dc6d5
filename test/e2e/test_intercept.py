# SPDX-License-Identifier: MIT
"""The packet filter leads the legacy server's connections to portcullis (REDIRECT), which asks the kernel where they were going:
IPv4 and IPv6, and never in a circle."""
import contextlib

import pytest

from harness import audit, s2s, wire
from harness.client import Client
from harness.gateway import REDIRECT, Gateway, HostGateway, peer
from harness.legacy import Legacy
from harness.netns import V4, V6, Network, why_not
from harness.remote import Remote
from harness.wait import account


PATTERNS = {"4": V4, "6": V6}


class OnHost(Legacy):
    """A legacy server on a host of the laboratory."""

    def __init__(self, host, address, port=5269):
        with host.inside():
            super().__init__(port, address)


@pytest.fixture(scope="module")
def hosts():
    reason = why_not()
    if reason:
        pytest.skip(reason)
    network = Network()
    yield network.host("remote", 10), network.host("box", 1)
    network.close()


@pytest.fixture
def far(hosts, pki, remote_certificate):
    """The remote server's port 5269, on its host, in either family."""
    host, _ = hosts
    made = {family: Remote(pki, remote_certificate, pattern.format(10), 5269, host) for family, pattern in PATTERNS.items()}
    yield made
    for server in made.values():
        server.close()


class Local(HostGateway):
    """portcullis on a host that no DNS knows."""

    def __init__(self, host, pki, **options):
        self.host, self.intercept = host, True
        Gateway.__init__(self, pki, {"im.test": "127.0.0.1:15269"}, prefix=host.prefix(), **options)


@pytest.fixture
def box(hosts, pki, manage):
    """box(...) -> portcullis on the legacy server's host, with the packet filter's rules in force."""
    _, host = hosts
    started = []

    def make(rules=None, kind=Local, **options):
        proxy = manage(kind(host, pki, **options))
        started.append(proxy.redirect(rules))
        return proxy
    yield make
    for proxy in started:
        with contextlib.suppress(AssertionError):
            proxy.undo_redirect()


@pytest.mark.parametrize("family", ["4", "6"])
def test_redirect_on_the_same_machine(hosts, box, far, family):
    """By rule the remote domain's address is that of `connect`; the kernel's tells that the connection was led here."""
    _, host = hosts
    server = far[family]
    proxy = box(peers=[peer("remote.test", server)])
    legacy = OnHost(host, PATTERNS[family].format(10)).open("remote.test")
    guest = server.ready()
    guest.saw_only_starttls()
    legacy.dialback(guest)
    legacy.close()
    record = proxy.wait_records("stream-established")[0]
    assert audit.get(record, "destination.port") == 5269 and audit.get(record, "destination.ip") == PATTERNS[family].format(10)


@pytest.mark.parametrize("family", ["4", "6"])
def test_the_original_destination_as_the_next_hop(hosts, box, far, family):
    """Only where it is asked for: no DNS, no `connect`; the certificate is still that of the domain."""
    _, host = hosts
    server = far[family]
    allowed = [f"{a}/32" for a in host.addresses] + [f"{a}/128" for a in host.addresses6]
    listeners = [{"role": "s2s-outbound", "address": address, "intercept": "redirect", "next-hop": "original-destination", "accept-from": allowed}
                 for address in ("127.0.0.1:15270", "[::1]:15270")]
    box(config={"listeners": listeners})
    legacy = OnHost(host, PATTERNS[family].format(10)).open("remote.test")
    legacy.dialback(server.ready())
    legacy.close()
    OnHost(host, PATTERNS[family].format(10)).begin("somebody.else.test").refused("remote-unverified")


def test_accept_from_counts_alone(hosts, box, far):
    """That a connection arrives at loopback is enough where it is not set; where it is, the machine's own address has to be in it."""
    _, host = hosts
    listener = {"role": "s2s-outbound", "address": "127.0.0.1:15270", "intercept": "redirect", "accept-from": ["127.0.0.0/8"]}
    proxy = box(config={"listeners": [listener]}, peers=[peer("remote.test", far["4"])])
    assert OnHost(host, V4.format(10)).begin("remote.test").to_end()[0] == b""
    assert proxy.wait_records("stream-refused")[0]["event"]["code"] == "source-not-allowed"
    far["4"].nobody()


FORWARDED = """
table inet portcullis {{
	chain prerouting {{
		type nat hook prerouting priority -100;
		ip saddr {source} ip daddr 10.90.9.0/24 tcp dport 5269 redirect to :15270
	}}
}}
"""


@pytest.mark.parametrize("allowed", [True, False])
def test_what_the_machine_redirects_for_another(hosts, box, far, allowed):
    """A legacy server behind this machine: it comes in by the interface's address and not by loopback, so accept-from names it."""
    other, host = hosts
    listener = {"role": "s2s-outbound", "address": f"{host.addresses[0]}:15270", "intercept": "redirect"}
    listener.update({"accept-from": [other.addresses[0] + "/32"]} if allowed else {})
    proxy = box(rules=FORWARDED.format(source=other.addresses[0]), config={"listeners": [listener]}, peers=[peer("remote.test", far["4"])])
    other.ip("route", "add", "10.90.9.0/24", "via", host.addresses[0])
    try:
        legacy = OnHost(other, "10.90.9.9")
        if allowed:
            legacy.open("remote.test").dialback(far["4"].ready())
            legacy.close()
            assert audit.get(proxy.wait_records("stream-established")[0], "source.ip") == other.addresses[0]
        else:
            assert legacy.begin("remote.test").to_end()[0] == b""
            assert proxy.wait_records("stream-refused")[0]["event"]["code"] == "source-not-allowed"
    finally:
        other.ip("route", "del", "10.90.9.0/24")


def test_a_connection_that_was_not_redirected(hosts, box, far):
    """Somebody connects to the listener itself: there is no destination to be had."""
    _, host = hosts
    proxy = box(peers=[peer("remote.test", far["4"])])
    data, _ = OnHost(host, "127.0.0.1", 15270).begin("remote.test").to_end()
    assert data == b"", data
    assert proxy.wait_records("stream-refused")[0]["event"]["code"] == "not-intercepted"
    far["4"].nobody()


def test_a_loop_is_refused(hosts, box, far):
    """The rules forget to exempt portcullis' own account: its connection comes back to itself, once."""
    _, host = hosts
    proxy = box(rules=REDIRECT.format(account="root").replace('meta skuid != "root" ', ""), peers=[peer("remote.test", far["4"])])
    legacy = OnHost(host, V4.format(10)).begin("remote.test")
    data, _ = legacy.to_end(30)
    assert b"<stream:error>" in data, data
    assert [r for r in proxy.wait_records("stream-refused") if r["event"]["code"] == "loop"]
    assert len(proxy.wait_records("stream-closed")) <= 4, "it went round and round"
    far["4"].nobody()


def test_the_same_port_towards_somebody_else_is_no_loop(hosts, box, far):
    """The kernel gives one local port to connections with different destinations; here it has few to choose from."""
    _, host = hosts
    before = host.check("sysctl", "-n", "net.ipv4.ip_local_port_range").replace("\t", " ").strip()
    proxy = box(config={"workers": 1}, peers=[peer("remote.test", far["4"])])
    host.check("sysctl", "-qw", "net.ipv4.ip_local_port_range=40000 40009")
    try:
        streams = [OnHost(host, V4.format(target)).open("remote.test") for target in (11, 12) for _ in range(4)]
        for legacy in streams:
            legacy.close()
    finally:
        host.check("sysctl", "-qw", f"net.ipv4.ip_local_port_range={before}")
    assert not [r for r in proxy.records("stream-refused") if r["event"]["code"] == "loop"]


@pytest.mark.parametrize("family", ["4", "6"])
def test_iptables_does_the_same(hosts, manage, far, pki, family):
    """For who still has it: -m owner instead of skuid."""
    _, host = hosts
    rules = ("-t", "nat", "{}", "OUTPUT", "-p", "tcp", "--dport", "5269", "-m", "owner", "!", "--uid-owner", account(), "-j", "REDIRECT",
             "--to-ports", "15270")

    server = far[family]
    proxy = manage(Local(host, pki, peers=[peer("remote.test", server)]))
    for program in ("iptables", "ip6tables"):
        host.check(program, *(word.format("-A") for word in rules))
    try:
        legacy = OnHost(host, PATTERNS[family].format(10)).open("remote.test")
        guest = server.ready()
        guest.saw_only_starttls()
        legacy.dialback(guest)
        legacy.close()
        record = proxy.wait_records("stream-established")[0]
        assert audit.get(record, "source.ip") == {"4": host.addresses, "6": host.addresses6}[family][0]
    finally:
        for program in ("iptables", "ip6tables"):
            host.check(program, *(word.format("-D") for word in rules))


def test_who_may_use_an_outbound_listener(hosts, pki, manage):
    """Whoever gets in there speaks as our domains: by default loopback and the backends alone."""
    other, host = hosts

    class Open(Gateway):
        def listeners(self, address):
            return [{"role": "s2s-outbound", "address": f"{host.addresses[0]}:15271"}]

    proxy = manage(Open(pki, "127.0.0.1:15269", prefix=host.prefix()))
    data, _ = OnHost(other, host.addresses[0], 15271).begin("remote.test").to_end()
    assert data == b""
    assert proxy.wait_records("stream-refused")[0]["event"]["code"] == "source-not-allowed"


def test_a_certificate_is_asked_of_the_domain_not_of_the_address(hosts, box, far, zoo):
    """CERT-1 holds for intercepted connections as well."""
    _, host = hosts
    far["4"].certificate = zoo.get("address")
    box(peers=[peer("remote.test", far["4"])])
    OnHost(host, V4.format(10)).begin("remote.test").refused("remote-unverified")


# --- clients
class ForClients(Local):
    """Connections of the host's clients to port 5222 of anybody are led to it."""

    def listeners(self, address):
        return [{"role": "c2s-outbound", "address": address, "intercept": "redirect"} for address in ("127.0.0.1:15222", "[::1]:15222")]

    def redirect(self, rules=None):
        return super().redirect(rules or REDIRECT.format(account=account()).replace("5269", "5222").replace("15270", "15222"))


@pytest.fixture
def service(hosts, pki, remote_certificate):
    """service(family, ...) -> a service on port 5222 of the remote host, by script."""
    made = []

    def make(family, **script):
        script.setdefault("features", wire.FEATURES_AUTH)
        made.append(Remote(pki, script.pop("certificate", remote_certificate), PATTERNS[family].format(10), 5222, hosts[0], **script))
        made[-1].namespace = s2s.CLIENT
        return made[-1]
    yield make
    for server in made:
        server.close()


class ClientOnHost(Client):
    def __init__(self, host, address, port=5222):
        with host.inside():
            super().__init__(port, address)


@pytest.mark.parametrize("family", ["4", "6"])
def test_a_client_that_is_redirected(hosts, box, service, family):
    """It believes that it talks to its service; that one sees <starttls/> and TLS, and the password inside only."""
    _, host = hosts
    server = service(family)
    proxy = box(kind=ForClients, peers=[peer("remote.test", server)])
    client = ClientOnHost(host, PATTERNS[family].format(10))
    client.send(s2s.header("remote.test", "juliet@remote.test", namespace=s2s.CLIENT))
    opened = client.until(b"</stream:features>")
    guest = server.ready()
    guest.saw_only_starttls()
    assert guest.server_name == "remote.test" and s2s.value(opened, "id") == guest.identity
    client.send(wire.auth())
    assert guest.until(wire.auth()) == wire.auth()
    client.close()
    record = proxy.wait_records("stream-established")[0]
    expected = {"xmpp.role": "c2s-outbound", "xmpp.to": "remote.test", "source.ip": {"4": host.addresses, "6": host.addresses6}[family][0],
                "destination.ip": PATTERNS[family].format(10), "destination.port": 5222, "xmpp.verification.matched": "DNS-ID remote.test"}
    assert {name: audit.get(record, name) for name in expected} == expected
    assert not [r for r in proxy.records() if wire.plain() in str(r)]


def test_a_redirected_client_tells_no_impostor(hosts, box, service, zoo):
    """What the client pipelines behind its header goes nowhere before the service is proven."""
    _, host = hosts
    server = service("4", certificate=zoo.get("self-signed"))
    proxy = box(kind=ForClients, peers=[peer("self-signed.zoo.test", server)])
    client = ClientOnHost(host, V4.format(10))
    client.send(s2s.header("self-signed.zoo.test", "juliet@self-signed.zoo.test", namespace=s2s.CLIENT) + wire.auth())
    data, _ = client.to_end()
    assert data.endswith(s2s.told("remote-unverified")) and b"mechanisms" not in data, data
    server.failed()
    assert [guest for guest in server.guests if s2s.PREFIX.fullmatch(guest.prefix)] == server.guests
    assert proxy.wait_records("stream-refused")[0]["event"]["code"] == "remote-unverified"


def test_a_client_that_was_not_redirected(hosts, box, service):
    _, host = hosts
    server = service("4")
    proxy = box(kind=ForClients, peers=[peer("remote.test", server)])
    client = ClientOnHost(host, "127.0.0.1", 15222)
    client.send(s2s.header("remote.test", "juliet@remote.test", namespace=s2s.CLIENT))
    data, _ = client.to_end()
    assert data == b"", data
    assert proxy.wait_records("stream-refused")[0]["event"]["code"] == "not-intercepted"
    server.nobody()
