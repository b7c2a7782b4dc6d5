# SPDX-License-Identifier: MIT
"""The packet filter leads the legacy server's connections to portcullis (REDIRECT), which asks the kernel where they were going:
IPv4 and IPv6, and never in a circle."""
import contextlib

import pytest

from harness import audit, s2s
from harness.gateway import REDIRECT, Gateway, HostGateway, peer
from harness.legacy import Legacy
from harness.netns import V4, V6, Network, why_not
from harness.remote import Remote
from harness.wait import account


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
    made = {family: Remote(pki, remote_certificate, pattern.format(10), 5269, host) for family, pattern in (("4", V4), ("6", V6))}
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

    def make(rules=None, **options):
        proxy = manage(Local(host, pki, **options))
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
    legacy = OnHost(host, {"4": V4, "6": V6}[family].format(10)).open("remote.test")
    guest = server.ready()
    guest.saw_only_starttls()
    legacy.dialback(guest)
    legacy.close()
    record = proxy.wait_records("stream-established")[0]
    assert audit.get(record, "destination.port") == 5269 and audit.get(record, "destination.ip") == {"4": V4, "6": V6}[family].format(10)


@pytest.mark.parametrize("family", ["4", "6"])
def test_the_original_destination_as_the_next_hop(hosts, box, far, family):
    """Only where it is asked for: no DNS, no `connect`; the certificate is still that of the domain."""
    _, host = hosts
    server = far[family]
    allowed = [f"{a}/32" for a in host.addresses] + [f"{a}/128" for a in host.addresses6]
    listeners = [{"role": "s2s-outbound", "address": address, "intercept": "redirect", "next-hop": "original-destination", "accept-from": allowed}
                 for address in ("127.0.0.1:15270", "[::1]:15270")]
    box(config={"listeners": listeners})
    legacy = OnHost(host, {"4": V4, "6": V6}[family].format(10)).open("remote.test")
    legacy.dialback(server.ready())
    legacy.close()
    OnHost(host, {"4": V4, "6": V6}[family].format(10)).begin("somebody.else.test").refused("remote-unverified")


def test_a_connection_that_was_not_redirected(hosts, box, far):
    """Somebody connects to the listener itself: there is no destination to be had."""
    _, host = hosts
    proxy = box(peers=[peer("remote.test", far["4"])])
    data, _ = OnHost(host, "127.0.0.1", 15270).begin("remote.test").to_end()
    assert data == b"" or data.endswith(s2s.told("not-intercepted")), data
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


def test_iptables_does_the_same(hosts, manage, far, pki):
    """For who still has it: -m owner instead of skuid."""
    _, host = hosts
    rules = ("-t", "nat", "{}", "OUTPUT", "-p", "tcp", "--dport", "5269", "-m", "owner", "!", "--uid-owner", account(), "-j", "REDIRECT",
             "--to-ports", "15270")

    manage(Local(host, pki, peers=[peer("remote.test", far["4"])]))
    for program in ("iptables", "ip6tables"):
        host.check(program, *(word.format("-A") for word in rules))
    try:
        legacy = OnHost(host, V4.format(10)).open("remote.test")
        legacy.dialback(far["4"].ready())
        legacy.close()
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
