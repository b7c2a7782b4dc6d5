# SPDX-License-Identifier: MIT
"""A raw client: exact bytes out, exact bytes in, and how the connection ended."""
import re
import select
import socket
import ssl
import struct
import time

from . import wire
from .wait import PATIENCE


class Client:
    def __init__(self, port, host="127.0.0.1", source=None):
        self.sock = socket.create_connection((host, port), timeout=PATIENCE, source_address=(source, 0) if source else None)
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.pending = b""

    # --- bytes
    def send(self, data):
        self.sock.sendall(data.encode() if isinstance(data, str) else data)
        return self

    def receive(self, timeout=PATIENCE):
        """One piece, or b"" at a clean end."""
        self.sock.settimeout(timeout)
        return self.sock.recv(65536)

    def until(self, what, timeout=PATIENCE):
        """Takes everything up to and with the first match of `what` (bytes or pattern)."""
        pattern = re.compile(re.escape(what)) if isinstance(what, bytes) else what
        end = time.monotonic() + timeout
        while True:
            found = pattern.search(self.pending)
            if found:
                taken, self.pending = self.pending[:found.end()], self.pending[found.end():]
                return taken
            left = end - time.monotonic()
            try:
                data = self.receive(max(left, 0.01))
            except TimeoutError:
                data = None
            assert data, f"waited for {what!r}; have {self.pending[-2000:]!r}, {'end' if data == b'' else 'time is up'}"
            self.pending += data

    def exactly(self, count, timeout=PATIENCE):
        end = time.monotonic() + timeout
        while len(self.pending) < count:
            data = self.receive(max(end - time.monotonic(), 0.01))
            assert data, f"end after {len(self.pending)} of {count} bytes"
            self.pending += data
        taken, self.pending = self.pending[:count], self.pending[count:]
        return taken

    def exchange(self, pieces, count, timeout=PATIENCE):
        """Sends the pieces and takes `count` bytes meanwhile, all in one thread: a TLS object is not made for two, one of
        them is told now and then of an end that is none."""
        end, pieces, piece, taken = time.monotonic() + timeout, iter(pieces), b"", [self.pending]
        length, self.pending, more = len(self.pending), b"", True
        self.sock.settimeout(0)
        ready = select.poll()  # not select(): a process that has run tests of many connections has high descriptors
        while more or piece or length < count:
            assert time.monotonic() < end, f"{length} of {count} bytes came in time"
            moved = False
            try:
                piece = piece or next(pieces, b"")
                more = bool(piece)
                sent = self.sock.send(piece) if piece else 0
                piece, moved = piece[sent:], sent > 0
            except (BlockingIOError, ssl.SSLWantWriteError, ssl.SSLWantReadError):
                pass
            try:
                data = self.sock.recv(65536) if length < count else None
                assert data != b"", f"end after {length} of {count} bytes"
                if data:
                    taken.append(data)
                    length, moved = length + len(data), True
            except (BlockingIOError, ssl.SSLWantWriteError, ssl.SSLWantReadError):
                pass
            if not moved:
                ready.register(self.sock, select.POLLIN | (select.POLLOUT if piece else 0))
                ready.poll(50)
        self.sock.settimeout(PATIENCE)
        answer = b"".join(taken)
        self.pending = answer[count:]
        return answer[:count]

    def to_end(self, timeout=PATIENCE):
        """Everything until the other side ends, and how: fin (a clean end: in TLS, close_notify), cut (TCP ended
        without close_notify), rst, alert:NAME. Then this side is closed too, for which the proxy waits a while."""
        data, self.pending = self.pending, b""
        end = time.monotonic() + timeout
        try:
            while True:
                piece = self.receive(max(end - time.monotonic(), 0.01))
                if not piece:
                    return data, "fin"
                data += piece
        except (ConnectionResetError, BrokenPipeError):
            return data, "rst"
        except ssl.SSLZeroReturnError:
            return data, "fin"
        except ssl.SSLError as error:
            return data, "cut" if isinstance(error, ssl.SSLEOFError) or "EOF" in str(error).upper() else f"alert:{error.reason}"
        except TimeoutError:
            raise AssertionError(f"the connection stays open; received {data[-2000:]!r}") from None
        finally:
            self.close()

    def quiet(self, seconds=0.3):
        """Nothing comes within that time."""
        try:
            data = self.pending or self.receive(seconds)
        except TimeoutError:
            return True
        raise AssertionError(f"unexpected {data!r}")

    # --- steps
    def open(self, to="im.test", **attributes):
        """Header, and the answer up to the features. Returns the pre-TLS stream id."""
        self.send(wire.header(to, **attributes))
        answer = self.until(wire.FEATURES_STARTTLS)
        found = re.fullmatch(wire.reply_header(to) + re.escape(wire.FEATURES_STARTTLS), answer)
        assert found, answer
        return found.group(1)

    def handshake(self, context, server_name="im.test", session=None):
        assert self.pending == b"", f"plaintext before TLS: {self.pending!r}"
        self.sock.settimeout(PATIENCE)
        self.sock = context.wrap_socket(self.sock, server_hostname=server_name, session=session, suppress_ragged_eofs=False)
        return self

    def starttls(self, context, to="im.test", server_name=None):
        self.open(to)
        self.send(wire.STARTTLS)
        answer = self.until(wire.PROCEED)
        assert answer == wire.PROCEED, answer
        return self.handshake(context, server_name or to)

    def login(self, to="im.test", payload=None):
        """SASL PLAIN against a backend that takes it; up to the second features."""
        self.send(wire.header(to))
        self.until(b"</stream:features>")
        self.send(wire.auth(payload))
        self.until(wire.SUCCESS)
        self.send(wire.header(to))
        self.until(b"</stream:features>")
        return self

    # --- ends
    def close(self):
        """As a peer does that ends in order: close_notify if TLS is up, then FIN."""
        try:
            if isinstance(self.sock, ssl.SSLSocket):
                self.sock.settimeout(0)
                self.sock.unwrap()
        except (OSError, ValueError):
            pass
        self.drop()

    def drop(self):
        self.sock.close()

    def reset(self):
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.sock.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.drop()
