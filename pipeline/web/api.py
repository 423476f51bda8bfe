"""The API: the same jobs by ``gradio_client``, one function behind Gradio's queue protocol.

Files go through the page's own sessions, never through Gradio's folders: its addresses for uploads and downloads are
answered here.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import asdict
from typing import Any, cast

import gradio
from gradio.data_classes import FileData
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, Response
from starlette.routing import Mount, Route
from starlette.types import ASGIApp, Receive, Scope, Send

from pipeline.web.app import WebPage, session_of
from pipeline.web.gate import API
from pipeline.web.jobs import Job
from pipeline.web.results import job_state, without_paths
from pipeline.web.sessions import Session

_TICK = 0.2  # seconds between looks at a job
_SHOWN = (
    "condition",
    "strengths",
    "input_size",
    "output_size",
    "seconds",
    "stage_seconds",
    "noise_levels",
    "device",
    "notes",
    "losses",
    "differs",
    "frames",
)


def mount_api(page: WebPage) -> None:
    """Add the API below ``API``."""
    api = _Api(page)
    page.app.router.routes += [
        Route(f"{API}/gradio_api/upload", api.upload, methods=["POST"]),
        Route(f"{API}/gradio_api/file={{path:path}}", _download),
    ]
    with gradio.Blocks(analytics_enabled=False) as blocks:
        gradio.api(api.restore, api_name="restore", concurrency_limit=None)
    gradio.mount_gradio_app(page.app, blocks, API, run_history=False, allowed_paths=[], ssr_mode=False)
    mounted = page.app.router.routes[-1]
    assert isinstance(mounted, Mount)
    mounted.app = WithoutFileData(mounted.app)


class _Api:
    """What the API does with a page's sessions and jobs."""

    def __init__(self, page: WebPage) -> None:
        self._page = page

    async def upload(self, request: Request) -> Response:
        """Take files; answers by what to call them."""
        uploads = await self._page.take_form(request)
        return JSONResponse([f"{one.key}/{one.name}" for one in uploads])

    async def restore(
        self,
        file: FileData,
        chain: str = "",
        strengths: dict = {},  # noqa: B006  (Gradio shows it as the default)
        noise_levels: dict = {},  # noqa: B006
        upscale: bool = True,
        format: str = "",
        request: gradio.Request | None = None,
    ) -> AsyncIterator[tuple[Any, dict]]:
        """Restore a photo or a clip; yields the progress, then the restored file and what was measured."""
        assert request is not None  # given by Gradio
        assert request.request is not None
        settings = {"strengths": strengths, "noise_levels": noise_levels, "upscale": upscale, "format": format or None}
        job = self._start(session_of(request.request), file, settings | ({"chain": chain} if chain else {}))
        try:
            while job.active and not job.cancelled:
                yield None, job_state(job, self._page.queue)
                await asyncio.sleep(_TICK)
        finally:
            if job.active:
                job.discard()  # nobody waits for it any more
        yield _answer(job)

    def _start(self, session: Session, file: FileData, settings: dict[str, Any]) -> Job:
        sent = session.uploads.get(str(cast(Any, file)["path"]).partition("/")[0])
        if sent is None:
            raise _refusal("file: is not among your uploads; send it by handle_file()")
        try:
            return self._page.start(session, sent, "restore", settings)
        except HTTPException as error:
            raise _refusal(error.detail) from error


async def _download(request: Request) -> Response:
    job = session_of(request).find_job(request.path_params["path"].partition("/")[0])
    if job is None or job.state != "done" or job.output is None:
        raise HTTPException(404)
    return FileResponse(job.output, filename=job.output.name)


class WithoutFileData:
    """Keeps Gradio from opening what a call names as a file: it would fetch addresses and look for paths."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on; from the arguments of a call, take what makes Gradio take an object for a file."""
        if scope["type"] == "http" and scope["path"].endswith("/queue/join"):
            try:
                body = json.dumps(_plain(await Request(scope, receive).json())).encode()
            except ValueError:
                body = b""
            receive = _once(body, receive)
        await self.app(scope, receive, send)


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items() if key not in ("meta", "url")}
    return [_plain(item) for item in value] if isinstance(value, list) else value


def _once(body: bytes, receive: Receive) -> Receive:
    messages = [{"type": "http.request", "body": body, "more_body": False}]

    async def next_message() -> Any:
        return messages.pop() if messages else await receive()

    return next_message


def _refusal(text: str) -> gradio.Error:
    return gradio.Error(text, print_exception=False)


def _answer(job: Job) -> tuple[Any, dict]:
    """Return the address of a result, from which the client downloads it, and what was measured."""
    if job.state != "done" or job.output is None or job.record is None:
        raise _refusal(without_paths(job.error or "cancelled"))
    record = asdict(job.record)
    return {"path": f"{job.key}/{job.output.name}"}, {name: record[name] for name in _SHOWN}
