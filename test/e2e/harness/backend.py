# SPDX-License-Identifier: MIT
"""A legacy server that says only what the test tells it to, and remembers every byte it was sent."""
import os
import queue
import re
import socket
import struct
import threading

from .wait import PATIENCE, until
from .wire import FEATURES_AUTH, FEATURES_BIND, SUCCESS, backend_header


class Connection:
    def __init__(self, sock):
        self.sock, self.received, self.ended = sock, b"", None
        self.changed = threading.Condition()
        self.paused = threading.Event()
        self.paused.set()
        threading.Thread(target=self.read, daemon=True).start()

    def read(self):
        how = "fin"
        while True:
            self.paused.wait()
            try:
                data = self.sock.recv(65536)
            except ConnectionResetError:
                how, data = "rst", b""
            except OSError:
                how, data = "closed", b""
            with self.changed:
                self.received += data
                if not data:
                    self.ended = how
                self.changed.notify_all()
            if not data:
                return

    def wait_for(self, what, timeout=PATIENCE):
        """Everything received once it holds `what` (bytes, or a compiled pattern)."""
        test = what.search if hasattr(what, "search") else (lambda data: what in data)
        with self.changed:
            if not self.changed.wait_for(lambda: test(self.received) or self.ended, timeout) or not test(self.received):
                raise AssertionError(f"backend waited for {what!r}; has {self.received[-2000:]!r}, ended: {self.ended}")
            return self.received

    def wait_length(self, length, timeout=PATIENCE):
        with self.changed:
            if not self.changed.wait_for(lambda: len(self.received) >= length or self.ended, timeout):
                raise AssertionError(f"backend has {len(self.received)} of {length} bytes")
            return self.received

    def wait_end(self, timeout=PATIENCE):
        with self.changed:
            assert self.changed.wait_for(lambda: self.ended, timeout), f"backend's connection stays; has {self.received[-500:]!r}"
            return self.ended

    def take(self):
        """What came since the last take."""
        with self.changed:
            data, self.received = self.received, b""
            return data

    def send(self, data):
        self.sock.sendall(data.encode() if isinstance(data, str) else data)

    def greet(self, features=FEATURES_AUTH, identity="b1-id", **header):
        """The first stream: header and features. Returns the header that came."""
        data = self.wait_for(re.compile(rb"<(stream:)?stream\s[^>]*>"))
        self.take()
        self.send(backend_header(identity=identity, **header) + features)
        return data

    def login(self):
        """Takes any PLAIN login and answers the restarted stream."""
        self.greet()
        self.wait_for(b"</auth>")
        self.take()
        self.send(SUCCESS)
        self.greet(FEATURES_BIND, "b2-id")

    def half_close(self):
        self.sock.shutdown(socket.SHUT_WR)

    def close(self):
        try:
            self.sock.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        self.sock.close()

    def reset(self):
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        # The reader holds a reference to the file in its recv: without this the descriptor would live on there.
        self.sock.shutdown(socket.SHUT_RD)
        self.sock.close()


class Backend:
    """Listens on a free loopback port (or a Unix socket). `accept` gives the next connection; with a handler each
    connection is given to it in a thread of its own instead."""

    def __init__(self, handler=None, port=0, path=None):
        self.handler, self.path = handler, path
        self.queue, self.connections, self.accepted = queue.Queue(), [], 0
        if path:
            self.listener = socket.socket(socket.AF_UNIX)
            self.listener.bind(path)
            os.chmod(path, 0o777)
            self.address = "unix:" + path
        else:
            self.listener = socket.socket()
            self.listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            self.listener.bind(("127.0.0.1", port))
            self.port = self.listener.getsockname()[1]
            self.address = f"127.0.0.1:{self.port}"
        self.listener.listen(1024)
        threading.Thread(target=self.serve, daemon=True).start()

    def serve(self):
        while True:
            try:
                sock, _ = self.listener.accept()
            except OSError:
                return
            self.accepted += 1
            connection = Connection(sock)
            self.connections.append(connection)
            if self.handler:
                threading.Thread(target=self.run, args=(connection,), daemon=True).start()
            else:
                self.queue.put(connection)

    def run(self, connection):
        try:
            self.handler(connection)
        except (AssertionError, OSError):
            connection.close()

    def accept(self, timeout=PATIENCE):
        try:
            return self.queue.get(timeout=timeout)
        except queue.Empty:
            raise AssertionError(f"nobody connected to the backend in {timeout} s") from None

    def wait_accepted(self, count):
        until(lambda: self.accepted >= count, f"{count} connections at the backend")

    def close(self):
        # close() alone does not wake the accept() of the other thread.
        try:
            self.listener.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        self.listener.close()
        for connection in self.connections:
            connection.close()
        if self.path and os.path.exists(self.path):
            os.unlink(self.path)
