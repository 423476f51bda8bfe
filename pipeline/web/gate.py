"""What every request passes: who may ask, how much they may send, and what their browser is allowed to do."""

from __future__ import annotations

import base64
import hmac
import ipaddress
import re
import stat
from collections.abc import Mapping
from http.cookies import CookieError, SimpleCookie
from pathlib import Path
from typing import Any

from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from pipeline.errors import ConfigError
from pipeline.web.sessions import Sessions

LARGEST_UPLOAD = 1 << 30  # bytes
COOKIE = "restorechain"
API = "/api"
# All that gradio_client needs. Gradio serves much more: files by path, a proxy, component servers, a log of runs.
_API_PATHS = {
    "GET": re.compile(r"/config|/gradio_api/(info|queue/data|heartbeat/[\w-]+|file=.+)"),
    "POST": re.compile(r"/gradio_api/(upload|queue/join|cancel|reset)"),
}
_HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; style-src-attr 'unsafe-inline'; "
        "img-src 'self' data:; media-src 'self'; connect-src 'self'; base-uri 'none'; form-action 'none'; "
        "frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-store",
}


class Gate:
    """Checks requests, finds their session, and adds headers to answers.

    Args:
        app: What is behind it.
        sessions: Of all visitors; that of a request is found in ``scope["state"]["session"]``.
        accounts: Passwords by name; everyone may come in if there are none.
        hosts: Names by which the server may be asked; any if empty. Other names are those of foreign pages that
            resolve to this machine (DNS rebinding).
    """

    def __init__(
        self,
        app: ASGIApp,
        sessions: Sessions,
        accounts: Mapping[str, str] | None = None,
        hosts: frozenset[str] = frozenset(),
    ) -> None:
        self.app = app
        self.sessions = sessions
        self.accounts = accounts or {}
        self.hosts = hosts

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        if scope["type"] == "lifespan":
            await self.app(scope, receive, send)
        elif scope["type"] == "http":
            await self._answer(scope, receive, send)

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers = Headers(scope=scope)
        answer = with_headers(send, _HEADERS)
        refusal = self._refusal(scope, headers)
        if refusal is not None:
            await refusal(scope, receive, answer)
            return
        session = self.sessions.find_or_start(_cookie(headers))
        scope.setdefault("state", {})["session"] = session
        if _cookie(headers) != session.token:
            answer = with_headers(
                answer, {"Set-Cookie": f"{COOKIE}={session.token}; Path=/; HttpOnly; SameSite=Strict"}
            )
        await self.app(scope, limited(receive, LARGEST_UPLOAD), answer)

    def _refusal(self, scope: Scope, headers: Headers) -> PlainTextResponse | None:
        """Return the answer to a request that is not let through."""
        method, path, host = scope["method"], scope["path"], headers.get("host", "")
        if self.hosts and host.rsplit(":", 1)[0].strip("[]").lower() not in self.hosts:
            return PlainTextResponse("This server is not asked by this name.", 421)
        if headers.get("origin", f"http://{host}").split("://")[-1] != host and method not in ("GET", "HEAD"):
            return PlainTextResponse("Requests of other pages are refused.", 403)
        if self.accounts and not self._knows(headers.get("authorization", "")):
            return PlainTextResponse(
                "Name and password, please.", 401, {"WWW-Authenticate": 'Basic realm="restorechain"'}
            )
        if path.startswith(f"{API}/") and not _is_allowed(method, path.removeprefix(API)):
            return PlainTextResponse("Not found.", 404)
        if int(headers.get("content-length") or 0) > LARGEST_UPLOAD:
            return PlainTextResponse(f"At most {LARGEST_UPLOAD >> 20} MiB can be sent at once.", 413)
        return None

    def _knows(self, authorization: str) -> bool:
        try:
            given = base64.b64decode(authorization.removeprefix("Basic ")).decode()
        except ValueError:
            return False
        name, _, password = given.partition(":")
        expected = self.accounts.get(name, "")
        return hmac.compare_digest(password.encode(), expected.encode()) and bool(expected)


def read_accounts(path: Path) -> dict[str, str]:
    """Read ``NAME:PASSWORD`` lines.

    Raises:
        ConfigError: for other lines, or if others than the owner may read the file.
    """
    try:
        if path.stat().st_mode & (stat.S_IRGRP | stat.S_IROTH):
            raise ConfigError(f"auth: {path} can be read by others, expected by its owner only; chmod 600 it")
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"auth: {path} cannot be read ({error}), expected NAME:PASSWORD, a line each") from error
    accounts = dict(line.split(":", 1) for line in lines if ":" in line)
    if not accounts or len(accounts) != len([line for line in lines if line.strip()]) or not all(accounts.values()):
        raise ConfigError(f"auth: {path} has lines of another form, expected NAME:PASSWORD, a line for each name")
    return accounts


def allowed_hosts(host: str) -> frozenset[str]:
    """Return the names that a server bound to the loopback may be asked by; none to check for other addresses."""
    try:
        loopback = host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        loopback = False
    return frozenset({host, "localhost", "127.0.0.1", "::1"}) if loopback else frozenset()


def with_headers(send: Send, headers: Mapping[str, str]) -> Send:
    """Add headers to an answer."""

    async def add(message: Message) -> None:
        if message["type"] == "http.response.start":
            own = MutableHeaders(scope=message)
            for name, value in headers.items():
                own.append(name, value) if name == "Set-Cookie" else own.setdefault(name, value)
        await send(message)

    return add


def limited(receive: Receive, most: int) -> Receive:
    """End a request that sends more bytes than it may, whatever its header says."""
    came = 0

    async def count() -> Any:
        nonlocal came
        message = await receive()
        came += len(message.get("body", b""))
        if came > most:
            raise HTTPException(413, f"At most {most >> 20} MiB can be sent at once.")
        return message

    return count


def _is_allowed(method: str, path: str) -> bool:
    allowed = _API_PATHS.get(method)
    return allowed is not None and allowed.fullmatch(path) is not None


def _cookie(headers: Headers) -> str | None:
    try:
        found = SimpleCookie(headers.get("cookie", "")).get(COOKIE)
    except CookieError:
        return None
    return None if found is None else found.value
