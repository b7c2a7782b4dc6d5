# SPDX-License-Identifier: MIT
"""Fixtures. Everything a test starts is stopped at its end; a proxy that a test did not stop itself is drained and
checked here."""
import gc
import os
import sys
import tempfile
import threading

import pytest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

from harness import netns, peer, s2s, wait  # noqa: E402
from harness.backend import Backend  # noqa: E402
from harness.client import Client  # noqa: E402
from harness.dnslab import DnsLab  # noqa: E402
from harness.gateway import Gateway  # noqa: E402
from harness.legacy import LegacyBackend, Outward  # noqa: E402
from harness.load import EchoBackend, Loop  # noqa: E402
from harness.mitm import Mitm  # noqa: E402
from harness.pki import Pki  # noqa: E402
from harness.prosody import Prosody  # noqa: E402
from harness.proxy import BINARY, Portcullis  # noqa: E402
from harness.remote import Remote  # noqa: E402
from harness.world import World  # noqa: E402
from harness.zoo import Zoo  # noqa: E402

USERS = {"juliet": "r0m30myr0m30", "romeo": "c4pul3t", "nurse": "S3cr3t&<p\u00e4ss>w0rd"}
DESCRIPTORS = 100  # of the whole run, at its end


def pytest_configure(config):
    if not os.access(BINARY, os.X_OK):
        raise pytest.UsageError(f"there is no program {BINARY}: build it, or say which with PORTCULLIS=")


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    outcome = yield
    report = outcome.get_result()
    item.failed = getattr(item, "failed", False) or report.failed
    if report.failed:  # what the proxy said is the first thing one wants to know
        for proxy in getattr(item, "proxies", []):
            report.sections.append(("operator's log", "\n".join(proxy.log[-80:])))


@pytest.hookimpl(tryfirst=True)
def pytest_sessionfinish(session):
    """What tests leave open adds up over hundreds of them, until one that needs a low descriptor fails for all the others."""
    gc.collect()  # asyncio's transports of a stopped loop are cycles
    left = len(os.listdir("/proc/self/fd"))
    if left > DESCRIPTORS:
        print(f"\n{left} descriptors are still open after the last test, more than {DESCRIPTORS}: who does not close what it started?")
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


@pytest.fixture(scope="session")
def pki():
    with tempfile.TemporaryDirectory(prefix="portcullis-pki-") as directory:
        os.chmod(directory, 0o755)
        yield Pki(directory)


@pytest.fixture
def context(pki):
    return pki.context()


@pytest.fixture
def backend():
    b = Backend()
    yield b
    b.close()


@pytest.fixture(scope="session")
def prosody():
    p = Prosody(USERS)
    yield p
    p.stop()


@pytest.fixture
def loop():
    asyncio_loop = Loop()
    yield asyncio_loop
    asyncio_loop.close()


@pytest.fixture
def echo(loop):
    b = EchoBackend(loop)
    yield b
    b.close()


@pytest.fixture
def manage(request):
    """manage(proxy) -> the proxy, running; stopped and checked at the end of the test."""
    request.node.proxies = started = []

    def adopt(proxy, run=True):
        started.append(proxy)
        return proxy.start() if run else proxy
    yield adopt
    try:
        for proxy in started:
            if not getattr(request.node, "failed", False) and proxy.process and proxy.process.poll() is None:
                proxy.stop()
    finally:
        for proxy in started:
            proxy.kill()


@pytest.fixture
def start(pki, manage):
    """start(backend_address, config={}, ...) -> a running Portcullis."""
    def make(backend_address, run=True, **options):
        return manage(Portcullis(pki, backend_address, **options), run)
    return make


@pytest.fixture
def proxy(start, backend):
    return start(backend.address)


@pytest.fixture
def establish(backend, context):
    """establish(proxy) -> a client and the backend's end of its authenticated stream, nothing pending on either."""
    def make(proxy, connect=None):
        client = connect() if connect else Client(proxy.port).starttls(context)
        taken = []

        def serve():
            taken.append(backend.accept())
            taken[0].login()
        helper = threading.Thread(target=serve, daemon=True)
        helper.start()
        client.login()
        helper.join(wait.PATIENCE)
        taken[0].take()
        return client, taken[0]
    return make


# --- federation
@pytest.fixture(scope="session")
def zoo(pki):
    return Zoo(pki)


@pytest.fixture(scope="session")
def remote_certificate(pki):
    return pki.issue("remote.test", usage="serverAuth,clientAuth")


@pytest.fixture
def remote(pki, remote_certificate):
    """remote(**script) -> a remote server that proves to be remote.test, unless its script says otherwise."""
    started = []

    def make(certificate=None, **script):
        started.append(Remote(pki, certificate or remote_certificate, **script))
        return started[-1]
    yield make
    for server in started:
        server.close()


@pytest.fixture
def mitm():
    """mitm(where, ...) -> a man in the middle, gone at the end of the test."""
    made = []

    def make(*arguments, **options):
        made.append(Mitm(*arguments, **options))
        return made[-1]
    yield make
    for relay in made:
        relay.close()


@pytest.fixture(params=["s2s-outbound", "c2s-outbound"])
def outward(request):
    return Outward(request.param)


@pytest.fixture
def legacy_backend():
    b = LegacyBackend()
    yield b
    b.close()


@pytest.fixture
def gateway(pki, manage, legacy_backend):
    """gateway(peers=[...], config={}, ...) -> portcullis between servers, for im.test."""
    def make(peers=(), run=True, backend=None, **options):
        return manage(Gateway(pki, backend or legacy_backend.address, peers, **options), run)
    return make


@pytest.fixture
def inbound(gateway, legacy_backend, pki, remote_certificate):
    """inbound(...) -> proxy, a verified peer's stream that is up, and the legacy server's end of it."""
    def make(features=s2s.FEATURES_DIALBACK, **options):
        proxy = gateway(**options)
        visitor = peer.Peer(proxy.inbound).secure(peer.context(pki, remote_certificate)).begin()
        server = legacy_backend.greet_server(features)
        assert visitor.opened().endswith(s2s.limited(features))
        return proxy, visitor, server
    return make


@pytest.fixture(scope="session")
def dns():
    lab = DnsLab()
    yield lab
    lab.close()


@pytest.fixture(scope="session")
def world(pki):
    reason = netns.why_not()
    if reason:
        pytest.skip(reason)
    made = World(pki)
    yield made
    made.close()
