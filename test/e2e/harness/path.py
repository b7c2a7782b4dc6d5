# SPDX-License-Identifier: MIT
"""The network between a client and the proxy, which can be cut."""
import socket
import struct
import threading


class Path:
    """Passes connections to `port` on through a port of its own. `cut` breaks all of them: either end sees a reset, no
    close_notify and no </stream:stream>."""

    def __init__(self, port):
        self.target = port
        self.listener = socket.socket()
        self.listener.bind(("127.0.0.1", 0))
        self.listener.listen(64)
        self.port = self.listener.getsockname()[1]
        self.lock, self.open, self.dead, self.accepted = threading.Lock(), [], set(), 0
        threading.Thread(target=self.serve, daemon=True).start()

    def serve(self):
        while True:
            try:
                near, _ = self.listener.accept()
            except OSError:
                return
            try:
                far = socket.create_connection(("127.0.0.1", self.target), 5)
            except OSError:
                near.close()
                continue
            far.settimeout(None)
            with self.lock:
                self.accepted += 1
                self.open.append((near, far))
            for source, sink in ((near, far), (far, near)):
                threading.Thread(target=self.pass_on, args=(source, sink), daemon=True).start()

    def pass_on(self, source, sink):
        try:
            while data := source.recv(65536):
                if source not in self.dead:
                    sink.sendall(data)
            if source not in self.dead:
                sink.shutdown(socket.SHUT_WR)
        except OSError:
            # A client that is killed with something unread resets: the other end must hear of it as well.
            if source not in self.dead:
                self.reset(sink)

    @staticmethod
    def reset(end):
        try:
            end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            end.shutdown(socket.SHUT_RD)  # the reader in the other thread would keep the descriptor alive
            end.close()
        except OSError:
            pass

    def swallow(self):
        """From now on nothing passes over the connections that are open, not even their end; new ones work."""
        with self.lock:
            self.dead.update(end for pair in self.open for end in pair)

    def cut(self):
        with self.lock:
            victims, self.open = self.open, []
        for pair in victims:
            for end in pair:
                try:
                    end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                    # Wakes the reader, whose hold on the file would otherwise delay the reset.
                    end.shutdown(socket.SHUT_RD)
                    end.close()
                except OSError:
                    pass

    def close(self):
        try:
            self.listener.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        self.listener.close()
        self.cut()
