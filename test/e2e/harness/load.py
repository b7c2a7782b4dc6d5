# SPDX-License-Identifier: MIT
"""Many streams at once: clients and an echoing backend on one asyncio loop in a thread of its own."""
import asyncio
import re
import threading

from . import wire
from .wait import PATIENCE

OPEN = re.compile(rb"<stream:stream [^>]*>")


class Loop:
    def __init__(self):
        self.loop = asyncio.new_event_loop()
        self.thread = threading.Thread(target=self.loop.run_forever, daemon=True)
        self.thread.start()

    def run(self, coroutine, timeout=PATIENCE * 12):
        return asyncio.run_coroutine_threadsafe(coroutine, self.loop).result(timeout)

    def begin(self, coroutine):
        return asyncio.run_coroutine_threadsafe(coroutine, self.loop)

    def close(self):
        async def cancel_all():
            tasks = [t for t in asyncio.all_tasks() if t is not asyncio.current_task()]
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
        self.run(cancel_all())
        self.loop.call_soon_threadsafe(self.loop.stop)
        self.thread.join(5)
        self.loop.close()


class EchoBackend:
    """Speaks enough to let a client in, then sends back every byte it gets. Closes in order when asked to."""

    def __init__(self, loop, port=0):
        self.loop, self.accepted, self.open, self.port, self.writers = loop, 0, 0, port, set()
        self.server = loop.run(self.listen())

    async def listen(self):
        server = await asyncio.start_server(self.serve, "127.0.0.1", self.port, backlog=1024, limit=2 ** 22)
        self.port = server.sockets[0].getsockname()[1]
        self.address = f"127.0.0.1:{self.port}"
        return server

    async def serve(self, reader, writer):
        self.accepted += 1
        self.open += 1
        self.writers.add(writer)
        try:
            await reader.readuntil(b"to='im.test' version='1.0' xml:lang='en' xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams'>")
            writer.write(wire.backend_header() + wire.FEATURES_AUTH)
            await reader.readuntil(b"</auth>")
            writer.write(wire.SUCCESS)
            await reader.readuntil(b"xmlns:stream='http://etherx.jabber.org/streams'>")
            writer.write(wire.backend_header("b2-id") + wire.FEATURES_BIND)
            tail = b""
            while data := await reader.read(65536):
                writer.write(data)  # a close tag is answered by itself
                await writer.drain()
                tail = (tail + data)[-len(wire.CLOSE):]
                if tail == wire.CLOSE:
                    break
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            self.open -= 1
            self.writers.discard(writer)
            writer.close()

    def close(self):
        self.loop.loop.call_soon_threadsafe(self.server.close)

    def restart_abruptly(self):
        """The listener and every connection go at once, as when the process is killed."""
        async def cut():
            self.server.close()
            for writer in list(self.writers):
                writer.transport.abort()
        self.loop.run(cut())


class Talker:
    """A logged-in client on the loop."""

    def __init__(self, port, context):
        self.port, self.context, self.reader, self.writer = port, context, None, None

    async def start(self):
        self.reader, self.writer = await asyncio.open_connection("127.0.0.1", self.port, limit=2 ** 22)
        self.writer.write(wire.header())
        await self.reader.readuntil(b"</stream:features>")
        self.writer.write(wire.STARTTLS)
        await self.reader.readuntil(wire.PROCEED)
        await self.writer.start_tls(self.context, server_hostname="im.test", ssl_handshake_timeout=60)
        self.writer.write(wire.header())
        await self.reader.readuntil(b"</stream:features>")
        self.writer.write(wire.auth())
        await self.reader.readuntil(wire.SUCCESS)
        self.writer.write(wire.header())
        await self.reader.readuntil(b"</stream:features>")
        return self

    async def echo(self, number, size=40):
        stanza = f"<message to='echo@im.test' id='m{number}'><body>{'x' * size}</body></message>".encode()
        self.writer.write(stanza)
        answer = await self.reader.readexactly(len(stanza))
        assert answer == stanza, answer
        return True

    async def ended(self):
        """The proxy ends the connection; nothing is said."""
        try:
            return await self.reader.read(65536) == b""
        except (ConnectionError, OSError):
            return True

    async def refused(self):
        """Up to the header inside TLS; what is said then, to the end."""
        self.reader, self.writer = await asyncio.open_connection("127.0.0.1", self.port, limit=2 ** 22)
        self.writer.write(wire.header())
        await self.reader.readuntil(b"</stream:features>")
        self.writer.write(wire.STARTTLS)
        await self.reader.readuntil(wire.PROCEED)
        await self.writer.start_tls(self.context, server_hostname="im.test", ssl_handshake_timeout=60)
        self.writer.write(wire.header())
        text = await self.reader.read(-1)
        self.drop()
        return text

    async def finish(self):
        self.writer.write(wire.CLOSE)
        await self.reader.readuntil(wire.CLOSE)
        self.drop()

    def drop(self):
        self.writer.transport.abort()


async def in_batches(coroutines, width=40):
    """All of them, at most `width` at a time; results in order, exceptions as results."""
    gate = asyncio.Semaphore(width)

    async def one(coroutine):
        async with gate:
            return await coroutine
    return await asyncio.gather(*(one(c) for c in coroutines), return_exceptions=True)
