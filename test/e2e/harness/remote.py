# SPDX-License-Identifier: MIT
"""A remote server by script: what it offers before TLS, how it answers STARTTLS, which certificate it shows. It remembers what
was said to it in plaintext, and what the TLS handshake told it."""
import contextlib
import itertools
import queue
import re
import socket
import ssl
import threading

from . import s2s, wire
from .client import Client
from .wait import PATIENCE, until

NUMBERS = itertools.count(1)
OFFERS = {"required": wire.FEATURES_STARTTLS, "offered": s2s.FEATURES_STARTTLS, "absent": s2s.FEATURES_DIALBACK,
          "empty": s2s.FEATURES_NONE, "silent": b""}
ANSWERS = {"failure": wire.TLS_FAILURE + wire.CLOSE, "error": s2s.UNSUPPORTED, "garbage": s2s.NOT_XML,
           "inject": wire.PROCEED + s2s.FEATURES_DIALBACK, "not-tls": wire.PROCEED, "silence": b"",
           "eof": b""}
ELEMENT = re.compile(rb"\s*<db:\w+[^>]*/>|\s*<(db:\w+|message)[^>]*>.*?</\1>|</stream:stream>", re.S)


class Guest(Client):
    """The remote's end of one connection."""

    def __init__(self, sock, remote):  # pylint: disable=super-init-not-called
        self.sock, self.remote, self.pending = sock, remote, b""
        self.prefix = b""       # its plaintext up to <starttls/>, as it came
        self.asked = False      # for TLS
        self.first_byte = None  # of what came behind <proceed/>
        self.header = self.server_name = self.protocol = self.certificate = self.failure = self.identity = None
        self.over = threading.Event()

    def receive(self, timeout=PATIENCE):
        data = super().receive(timeout)
        if not self.asked:
            self.prefix += data
        return data

    def greet(self, features, version=None, identity=None, **options):
        """Takes a header and answers it."""
        self.header = self.until(wire.HEADER_PATTERN)
        self.identity = identity or f"r{next(NUMBERS)}-7d0c51e9b44f"
        domain = options.pop("domain", None) or s2s.value(self.header, "to")
        reply = s2s.header(s2s.value(self.header, "from"), domain, version, self.identity, self.remote.namespace, **options)
        self.send(reply + features)
        return reply + features

    def handshake_as_server(self):
        self.asked = True
        context = self.remote.context(s2s.value(self.header, "to") if self.header else None)
        self.sock.settimeout(PATIENCE)
        self.sock = context.wrap_socket(self.sock, server_side=True, suppress_ragged_eofs=False)
        self.server_name = getattr(self.sock, "asked_for", None)
        self.protocol, self.certificate = self.sock.selected_alpn_protocol(), self.sock.getpeercert()

    def saw_only_starttls(self):
        """Vector 7: nothing was said to us in plaintext but a header and <starttls/>, and TLS came next."""
        assert s2s.PREFIX.fullmatch(self.prefix), self.prefix
        assert self.first_byte == b"\x16", self.first_byte
        assert self.prefix == s2s.prefix(s2s.value(self.prefix, "to"), s2s.value(self.prefix, "from"), self.remote.namespace), self.prefix


class Remote:
    """Listens on a free loopback port. Its attributes are the script and may be changed between connections:

    offer     a key of OFFERS, or bytes; version: of its header before TLS, None: from before 1.0
    answer    to <starttls/>: "proceed" or a key of ANSWERS; tls_version: the newest that it can
    certificate  (chain, key), or a function of the domain in the header; direct: TLS comes first
    plain_from  from that connection on (0 is the first) its streams are good in plaintext; None: never
    features, domain, identity: of the stream inside TLS; serve: takes every key for valid by itself

    `ready` gives the next connection whose stream is up, `failed` the next that ended before."""

    namespace = s2s.SERVER

    def __init__(self, pki, certificate, address="127.0.0.1", port=0, namespace=None, **script):
        self.ca, self.certificate = pki.ca, certificate
        self.offer, self.version, self.answer, self.direct, self.serve = "required", "1.0", "proceed", False, False
        self.features, self.domain, self.identity, self.tls_version = s2s.FEATURES_DIALBACK, None, None, None
        self.plain_from = None
        self.version_inside, self.protocols, self.header_options = "1.0", ["xmpp-server", "xmpp-client"], {}
        for name, value in script.items():
            assert hasattr(self, name), name
            setattr(self, name, value)
        self.queues = {"ready": queue.Queue(), "failed": queue.Queue()}
        self.guests, self.contexts = [], {}
        with namespace.inside() if namespace else contextlib.nullcontext():
            self.listener = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET)
        self.listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.listener.bind((address, port))
        self.listener.listen(1024)
        self.port = self.listener.getsockname()[1]
        self.address = f"[{address}]:{self.port}" if ":" in address else f"{address}:{self.port}"
        threading.Thread(target=self.take, daemon=True).start()

    def context(self, domain):
        """One for each certificate: sessions can only be resumed within it."""
        chain = self.certificate(domain) if callable(self.certificate) else self.certificate
        if (chain, self.tls_version) not in self.contexts:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.minimum_version = ssl.TLSVersion.MINIMUM_SUPPORTED
            context.set_ciphers("ALL:@SECLEVEL=0")
            if self.tls_version:
                context.maximum_version = self.tls_version
            context.load_cert_chain(*chain)
            context.verify_mode = ssl.CERT_OPTIONAL
            context.load_verify_locations(self.ca)
            context.set_alpn_protocols(self.protocols)
            context.sni_callback = lambda sock, name, _: setattr(sock, "asked_for", name)
            self.contexts[chain, self.tls_version] = context
        return self.contexts[chain, self.tls_version]

    def take(self):
        while True:
            try:
                sock, _ = self.listener.accept()
            except OSError:
                return
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            guest = Guest(sock, self)
            self.guests.append(guest)
            threading.Thread(target=self.receive_guest, args=(guest,), daemon=True).start()

    def receive_guest(self, guest):
        try:
            if self.plain_from is None or self.guests.index(guest) < self.plain_from:
                if not self.direct and not self.before_tls(guest):
                    raise AssertionError(f"no TLS by script: {self.answer}")
                guest.handshake_as_server()
            guest.opened = guest.greet(self.features, self.version_inside, self.identity, domain=self.domain, **self.header_options)
            self.queues["ready"].put(guest)
            if self.serve:
                self.converse(guest)
        except (AssertionError, OSError) as error:
            guest.failure = f"{type(error).__name__}: {getattr(error, 'reason', None) or error}"
            guest.drop()
            self.queues["failed"].put(guest)
        finally:
            guest.over.set()

    def before_tls(self, guest):
        """False: by its script it does without TLS, and the connection is over."""
        offer = self.offer if isinstance(self.offer, bytes) else OFFERS[self.offer]
        guest.greet(offer, self.version)
        guest.until(wire.STARTTLS)
        guest.asked = True
        assert guest.pending == b"", f"more than <starttls/> was sent: {guest.pending!r}"
        if self.answer == "proceed":
            guest.send(wire.PROCEED)
            guest.sock.settimeout(PATIENCE)
            guest.first_byte = guest.sock.recv(1, socket.MSG_PEEK)
            return True
        guest.send(ANSWERS[self.answer])
        if self.answer == "not-tls":
            guest.sock.settimeout(PATIENCE)
            guest.first_byte = guest.sock.recv(1, socket.MSG_PEEK)
            guest.send(s2s.header(None, s2s.value(guest.header, "to"), identity="clear") + s2s.FEATURES_DIALBACK)
        if self.answer == "eof":
            guest.sock.shutdown(socket.SHUT_WR)
        guest.rest, guest.end = guest.to_end(3 * PATIENCE)
        return False

    def converse(self, guest):
        """Takes every key for valid, and messages without a word."""
        while True:
            element = guest.until(ELEMENT)
            if element == wire.CLOSE:
                guest.send(wire.CLOSE)
                guest.close()
                return
            sender, to = s2s.value(element, "from"), s2s.value(element, "to")
            if element.lstrip().startswith(b"<db:result"):
                guest.send(s2s.answer(to, sender))
            elif element.lstrip().startswith(b"<db:verify"):
                guest.send(s2s.verified(to, sender, s2s.value(element, "id")))

    def next(self, kind, timeout):
        try:
            return self.queues[kind].get(timeout=timeout)
        except queue.Empty:
            raise AssertionError(f"no connection came to be {kind} in {timeout:g} s; there were "
                                 f"{[(g.prefix, g.failure) for g in self.guests]}") from None

    def ready(self, timeout=PATIENCE):
        return self.next("ready", timeout)

    def failed(self, timeout=3 * PATIENCE):
        return self.next("failed", timeout)

    def nobody(self):
        assert not self.guests, [(g.prefix, g.failure) for g in self.guests]

    def wait_guests(self, count):
        until(lambda: len(self.guests) >= count, f"{count} connections at the remote server")

    def close(self):
        with contextlib.suppress(OSError):
            self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
        for guest in self.guests:
            with contextlib.suppress(OSError):
                guest.sock.shutdown(socket.SHUT_RDWR)
            guest.drop()
