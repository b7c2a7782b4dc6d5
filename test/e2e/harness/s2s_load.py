# SPDX-License-Identifier: MIT
"""Many streams between servers at once, on one asyncio loop: a remote server for any number of domains, and legacy streams."""
import asyncio
import itertools
import ssl

from . import s2s, wire

NUMBERS = itertools.count(1)
LIMIT = 2 ** 20


class ManyRemotes:
    """STARTTLS, one certificate for all of its domains, every key valid. `open`: streams that are up; `heard`: messages."""

    def __init__(self, loop, chain):
        self.loop, self.open, self.heard, self.most, self.errors = loop, 0, [], 0, []
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.load_cert_chain(*chain)
        self.server = loop.run(self.listen())

    async def listen(self):
        server = await asyncio.start_server(self.serve, "127.0.0.1", 0, backlog=1024, limit=LIMIT)
        self.address = "127.0.0.1:%d" % server.sockets[0].getsockname()[1]
        return server

    @staticmethod
    async def header(reader):
        await reader.readuntil(b"<stream:stream")
        return b"<stream:stream" + await reader.readuntil(b">")

    def answer(self, header, features):
        to, sender = s2s.value(header, "to"), s2s.value(header, "from")
        return s2s.header(sender, to, identity=f"{to}-{sender}-{next(NUMBERS)}") + features

    async def serve(self, reader, writer):
        try:
            writer.write(self.answer(await self.header(reader), wire.FEATURES_STARTTLS))
            assert await reader.readuntil(wire.STARTTLS) == wire.STARTTLS
            writer.write(wire.PROCEED)
            await writer.drain()
            await writer.start_tls(self.context, ssl_handshake_timeout=120)
            writer.write(self.answer(await self.header(reader), s2s.FEATURES_DIALBACK))
            self.open += 1
            self.most = max(self.most, self.open)
            try:
                await self.converse(reader, writer)
            finally:
                self.open -= 1
        except (ConnectionError, asyncio.IncompleteReadError, ssl.SSLError) as error:
            self.errors.append(repr(error))
        finally:
            writer.close()

    async def converse(self, reader, writer):
        while element := await reader.readuntil(b">"):
            if element == wire.CLOSE:
                writer.write(wire.CLOSE)
                await writer.drain()
                return
            element += await reader.readuntil(b"</message>" if element.startswith(b"<message") else b"</db:result>")
            if element.startswith(b"<message"):
                self.heard.append(s2s.value(element, "to"))
            else:
                writer.write(s2s.answer(s2s.value(element, "to"), s2s.value(element, "from")))

    def close(self):
        self.loop.loop.call_soon_threadsafe(self.server.close)


class Stream:
    """One stream of a legacy server."""

    def __init__(self, port, sender, to):
        self.port, self.sender, self.to = port, sender, to

    async def start(self):
        self.reader, self.writer = await asyncio.open_connection("127.0.0.1", self.port, limit=LIMIT)
        self.writer.write(s2s.header(self.to, self.sender))
        opened = await self.reader.readuntil(b"</stream:features>")
        assert s2s.value(opened, "id").startswith(f"{self.to}-{self.sender}-"), opened
        self.writer.write(s2s.result(self.sender, self.to))
        expected = s2s.answer(self.to, self.sender)
        said = await self.reader.readexactly(len(expected))
        assert said == expected, said
        return self

    async def say(self):
        self.writer.write(s2s.message(f"a@{self.sender}", f"b@{self.to}"))
        await self.writer.drain()

    async def finish(self):
        self.writer.write(wire.CLOSE)
        assert await self.reader.readuntil(wire.CLOSE) == wire.CLOSE
        self.writer.close()
