# SPDX-License-Identifier: MIT
"""Somebody on the path between two servers, who can change what is said before TLS and nothing after."""
import contextlib
import re
import socket
import threading

from . import s2s, wire

OFFER = re.compile(rb"<starttls\b[^>]*/>|<starttls\b[^>]*>.*?</starttls>", re.S)
REQUIRED = re.compile(rb"(<starttls\b[^>]*)>\s*<required\s*/>\s*</starttls>")
VERSION = re.compile(rb"(<(?:stream:)?stream\s[^>]*?)\bversion=(['\"]).*?\2")
PROCEED = re.compile(rb"<proceed\b[^>]*?(/>|></proceed>)")
# What a server says before TLS, piece by piece.
PIECE = re.compile(rb"\s*(<\?xml[^>]*\?>\s*)?<(stream:)?stream\s[^>]*>|\s*<stream:features\s*/>|\s*<stream:features\b.*?</stream:features>|"
                   rb"\s*<(proceed|failure)\b[^>]*?(/>|></\3>)|\s*<stream:error>.*?</stream:error>|\s*</stream:stream>", re.S)


class Mitm:
    """Listens, and passes every connection on to `target` (address, port), edited:

    strip    any of "feature", "required", "version": taken out of what the server says
    answer   to <starttls/>: None: the server's own; "garbage": bytes that are no TLS behind its <proceed/>; "inject": XML
             there, in one segment with it; "failure": of the attacker's own, the server hears nothing of it

    `clear` holds what the initiating side said before TLS, `after` what it said once it had seen <proceed/>; a value for each
    connection."""

    def __init__(self, target, strip=(), answer=None, namespace=None, address="127.0.0.1", port=0):
        self.target, self.strip, self.answer, self.namespace = target, set(strip), answer, namespace
        self.clear, self.after, self.edited, self.sockets = [], [], 0, []
        with self.inside():
            self.listener = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET)
        self.listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.listener.bind((address, port))
        self.listener.listen(64)
        self.port = self.listener.getsockname()[1]
        self.address = f"{address}:{self.port}"
        threading.Thread(target=self.serve, daemon=True).start()

    def inside(self):
        return self.namespace.inside() if self.namespace else contextlib.nullcontext()

    def serve(self):
        with self.inside():  # the connections onward are made by this thread
            while True:
                try:
                    near, _ = self.listener.accept()
                except OSError:
                    return
                try:
                    far = socket.create_connection(self.target, 5)
                except OSError:
                    near.close()
                    continue
                far.settimeout(None)
                self.sockets += [near, far]
                self.clear.append(b"")
                self.after.append(b"")
                state = {"number": len(self.clear) - 1, "raw": False}
                threading.Thread(target=self.pass_on, args=(near, far, self.from_client, near, state), daemon=True).start()
                threading.Thread(target=self.pass_on, args=(far, near, self.from_server, near, state), daemon=True).start()

    def pass_on(self, source, sink, edit, near, state):
        buffer = b""
        try:
            while data := source.recv(65536):
                out, buffer = edit(buffer + data, near, state)
                if out:
                    sink.sendall(out)
            sink.sendall(buffer)
            sink.shutdown(socket.SHUT_WR)
        except OSError:
            for end in (source, sink):
                with contextlib.suppress(OSError):
                    end.shutdown(socket.SHUT_RDWR)

    def from_client(self, data, near, state):
        if state["raw"]:
            self.after[state["number"]] += data
        elif not data.startswith(b"\x16"):
            self.clear[state["number"]] += data
        if self.answer == "failure" and wire.STARTTLS in data:
            near.sendall(wire.TLS_FAILURE + wire.CLOSE)
            near.shutdown(socket.SHUT_WR)
            data = data.replace(wire.STARTTLS, b"")
        return data, b""

    def from_server(self, data, _, state):
        """Whole pieces, edited; what is not whole yet waits."""
        out = b""
        while not state["raw"] and (found := PIECE.match(data)):
            piece, data = found.group(), data[found.end():]
            edited = self.edit(piece)
            self.edited += edited != piece
            state["raw"] = bool(PROCEED.search(piece))
            out += edited
        return (out + data, b"") if state["raw"] else (out, data)

    def edit(self, piece):
        if "feature" in self.strip:
            piece = OFFER.sub(b"", piece) if b"features" in piece else piece
        elif "required" in self.strip:
            piece = REQUIRED.sub(rb"\1/>", piece)
        if "version" in self.strip:
            piece = VERSION.sub(rb"\1", piece)
        if PROCEED.search(piece) and self.answer == "garbage":
            piece += s2s.NOT_XML
        if PROCEED.search(piece) and self.answer == "inject":
            piece += s2s.FEATURES_DIALBACK
        return piece

    def prefixes(self):
        """`clear`, each up to <starttls/>."""
        return [clear[:clear.index(wire.STARTTLS) + len(wire.STARTTLS)] for clear in self.clear]

    def close(self):
        for end in [self.listener] + self.sockets:
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
            end.close()
