"""A local HTTP server that answers with faults."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

Answer = Callable[["Handler", bytes], None]
"""How a server answers one request for a file with this content."""


class Handler(BaseHTTPRequestHandler):
    """Serves the files of its server, ranges included; as many first requests as there are faults get those."""

    server: FaultyServer

    def do_GET(self) -> None:
        with self.server.lock:
            self.server.requests.append((self.path, self.headers.get("Range")))
            answer = self.server.faults.pop(0) if self.server.faults else serve
        content = self.server.files.get(self.path.rpartition("/")[2])
        if content is None:
            self.send_error(404)
        else:
            answer(self, content)

    def head(self, status: int = 200, **headers: object) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), str(value))
        self.end_headers()

    def log_message(self, *arguments: object) -> None:
        pass


class FaultyServer(ThreadingHTTPServer):
    """A server of files by name.

    Attributes:
        files: Content by name.
        faults: How the next requests are answered, instead of rightly.
        requests: Path and range of every request that came.
    """

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.files: dict[str, bytes] = {}
        self.faults: list[Answer] = []
        self.requests: list[tuple[str, str | None]] = []
        self.lock = threading.Lock()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"

    def handle_error(self, *arguments: object) -> None:
        """Say nothing of clients that went away."""


def serve(handler: Handler, content: bytes, *, most: int | None = None, pause: float = 0.0) -> None:
    """Answer rightly, but for a body that ends after ``most`` bytes, or comes in eight parts with pauses."""
    wanted = handler.headers.get("Range")
    start = int(wanted.removeprefix("bytes=").rstrip("-")) if wanted else 0
    if start >= len(content) > 0:
        handler.head(416)
        return
    length = len(content) - start
    ranged = {"Content_Range": f"bytes {start}-{len(content) - 1}/{len(content)}"} if wanted else {}
    handler.head(206 if wanted else 200, Content_Length=length, **ranged)
    body = content[start:] if most is None else content[start : start + most]
    step = -(-len(body) // 8) or 1
    for place in range(0, len(body), step):
        handler.wfile.write(body[place : place + step])
        time.sleep(pause)


def cut(at: int) -> Answer:
    """Close the connection after so many bytes of the answer."""
    return lambda handler, content: serve(handler, content, most=at)


def slow(pause: float) -> Answer:
    """Send eight parts with a pause in seconds after each."""
    return lambda handler, content: serve(handler, content, pause=pause)


def silent(pause: float) -> Answer:
    """Send nothing for so many seconds, then close the connection."""
    return lambda handler, _: time.sleep(pause)


def status(code: int) -> Answer:
    """Answer with an error."""
    return lambda handler, content: handler.send_error(code)


def redirect(place: str) -> Answer:
    """Send the client elsewhere."""
    return lambda handler, content: handler.head(302, Location=place)


def instead(content: bytes) -> Answer:
    """Send other content."""
    return lambda handler, _: serve(handler, content)


def without_ranges(handler: Handler, content: bytes, most: int | None = None) -> None:
    """Send the whole file, whatever was asked for."""
    handler.head(Content_Length=len(content))
    handler.wfile.write(content[:most])


def without_length(content: bytes) -> Answer:
    """Send content without saying how long it is."""

    def answer(handler: Handler, _: bytes) -> None:
        handler.head()
        handler.wfile.write(content)

    return answer


@contextmanager
def running_server() -> Iterator[FaultyServer]:
    """Run a server in a thread, on a free port."""
    with FaultyServer() as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
        thread.start()
        yield server
        server.shutdown()
        thread.join()
