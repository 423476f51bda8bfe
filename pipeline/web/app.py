"""The web application: uploads, jobs, results, and a stream of what changes."""

from __future__ import annotations

import asyncio
import contextlib
import json
import mimetypes
from collections.abc import AsyncIterator
from functools import partial
from pathlib import Path
from typing import IO, Any, Literal

import anyio
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import UploadFile
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import FileResponse, HTMLResponse, JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from pipeline.errors import ConfigError, ImageError
from pipeline.html_report import report
from pipeline.web.chains import FORMATS, Chains
from pipeline.web.jobs import Job, JobQueue, QueueFull
from pipeline.web.results import environment, job_state, result_html, session_state, without_paths, zipped
from pipeline.web.sessions import Session, Sessions, Upload
from pipeline.web.uploads import take_in
from pipeline.web.work import Worker

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
_TICK = 0.25  # seconds between looks at what changed
_FILES = {
    "page.css": Path(__file__).with_name("page.css"),
    "page.js": Path(__file__).with_name("page.js"),
    "report.css": Path(report.__file__).with_name("report.css"),
    "report.js": Path(report.__file__).with_name("report.js"),
}


class WebPage:
    """The server's state and its routes.

    Args:
        chains: What is offered.
        root: Folder for the files of all visitors; deleted with the sessions.
        max_pixels: Larger images are refused.
        device: As of ``Engine``.
    """

    def __init__(self, chains: Chains, root: Path, max_pixels: int, device: str = "auto") -> None:
        self.chains = chains
        self.max_pixels = max_pixels
        self.sessions = Sessions(root)
        worker = Worker(chains, max_pixels, device)
        defaults = dict.fromkeys(chains.defaults.values())
        engines = [partial(worker.engine, chains.by_name[name].config) for name in defaults]
        self.queue = JobQueue(worker.do, engines, worker.rest)
        self._templates = environment()
        self._examples = {path.name: path for path in sorted(EXAMPLES.glob("*.[pj][np]g"))}
        self._looking = anyio.CapacityLimiter(1)  # decoding one upload at a time bounds memory
        self.app = Starlette(routes=self._routes(), lifespan=self._lifespan)

    def _routes(self) -> list[Route]:
        return [
            Route("/", self._page),
            Route("/{file}", self._file),
            Route("/examples/{name}", self._example),
            Route("/examples/{name}", self._take_example, methods=["POST"]),
            Route("/session/events", self._events),
            Route("/uploads", self._take_uploads, methods=["POST"]),
            Route("/uploads/{key}", self._remove_upload, methods=["DELETE"]),
            Route("/uploads/{key}/thumbnail", self._thumbnail),
            Route("/uploads/{key}/jobs", self._start_job, methods=["POST"]),
            Route("/jobs/{key}", self._cancel_job, methods=["DELETE"]),
            Route("/jobs/{key}/result", self._result),
            Route("/jobs/{key}/views/{name}", self._view),
            Route("/jobs/{key}/file", self._download),
            Route("/jobs/{key}/play", self._play),
            Route("/session/results.zip", self._zip),
        ]

    @contextlib.asynccontextmanager
    async def _lifespan(self, app: Starlette) -> AsyncIterator[None]:
        sweeper = asyncio.create_task(self._sweep())
        try:
            yield
        finally:
            sweeper.cancel()
            await run_in_threadpool(self.queue.close)
            self.sessions.delete_all()

    async def _sweep(self) -> None:
        while True:
            await asyncio.sleep(1)
            if await run_in_threadpool(self.sessions.sweep):
                self.queue.rest()

    async def _page(self, request: Request) -> Response:
        template = self._templates.get_template("web/page.html.jinja")
        megapixels = self.max_pixels / 1e6
        return HTMLResponse(
            template.render(chains=self.chains, formats=FORMATS, examples=self._examples, megapixels=megapixels)
        )

    async def _file(self, request: Request) -> Response:
        return FileResponse(_found(_FILES.get(request.path_params["file"])))

    async def _example(self, request: Request) -> Response:
        return FileResponse(_found(self._examples.get(request.path_params["name"])))

    async def _take_example(self, request: Request) -> Response:
        path = _found(self._examples.get(request.path_params["name"]))
        with path.open("rb") as content:
            upload = await self._take_in(session_of(request), path.name, content)
        return JSONResponse({"key": upload.key}, 201)

    async def _take_uploads(self, request: Request) -> Response:
        uploads = await self.take_form(request)
        return JSONResponse([{"key": upload.key, "error": upload.error} for upload in uploads], 201)

    async def take_form(self, request: Request) -> list[Upload]:
        """Take in the files of a multipart form."""
        async with request.form(max_files=100) as form:
            files = [file for file in form.getlist("files") if isinstance(file, UploadFile)]
            return [await self._take_in(session_of(request), file.filename or "", file.file) for file in files]

    async def _take_in(self, session: Session, name: str, content: IO[bytes]) -> Upload:
        try:
            return await anyio.to_thread.run_sync(
                take_in, session, name, content, self.max_pixels, limiter=self._looking
            )
        except ImageError as error:
            raise HTTPException(409, str(error)) from error

    async def _remove_upload(self, request: Request) -> Response:
        await run_in_threadpool(session_of(request).remove, request.path_params["key"])
        return Response(status_code=204)

    async def _thumbnail(self, request: Request) -> Response:
        return FileResponse(_found(_upload_of(request).thumbnail), media_type="image/webp")

    async def _start_job(self, request: Request) -> Response:
        try:
            asked = await request.json()
            x, y = (float(share) for share in asked.get("centre", (0.5, 0.5)))
            job = self.start(session_of(request), _upload_of(request), asked["kind"], asked["settings"], (x, y))
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            raise HTTPException(422, "expected kind, settings and centre") from error
        return JSONResponse(job_state(job, self.queue), 201)

    def start(
        self,
        session: Session,
        upload: Upload,
        kind: Literal["restore", "preview"],
        settings: Any,
        centre: tuple[float, float] = (0.5, 0.5),
    ) -> Job:
        """Queue a job for an upload.

        Raises:
            HTTPException: if the settings are wrong, the upload cannot be restored, or the queue is full.
        """
        if upload.error is not None:
            raise HTTPException(422, f"{upload.name}: {without_paths(upload.error)}")
        if kind not in ("restore", "preview") or (kind == "preview" and upload.kind != "image"):
            raise HTTPException(422, f"kind: got {kind!r}, expected restore, or of a photo preview")
        try:
            chosen = self.chains.parse(settings, upload.kind)
            folder = upload.folder / f".{kind}"
            job = Job(kind, session.token, upload.path, folder, chosen, centre, pixels=_pixels(upload))
            job.folder = upload.folder / f".{job.key}"
            self.queue.add(job)
        except ConfigError as error:
            raise HTTPException(422, str(error)) from error
        except QueueFull as error:
            raise HTTPException(503, str(error)) from error
        upload.replace_job(job)
        return job

    async def _cancel_job(self, request: Request) -> Response:
        await run_in_threadpool(job_of(request).discard)
        return Response(status_code=204)

    async def _result(self, request: Request) -> Response:
        job = job_of(request, done=True)
        return HTMLResponse(result_html(self._templates, job, job.source.name, self.chains))

    async def _view(self, request: Request) -> Response:
        paths = [path for view in job_of(request).views for path in (view.whole, view.thumbnail, view.detail)]
        name = request.path_params["name"]
        return FileResponse(_found(next((path for path in paths if path.name == name), None)), media_type="image/webp")

    async def _download(self, request: Request) -> Response:
        path = _found(job_of(request, done=True).output)
        return FileResponse(path, filename=path.name)

    async def _play(self, request: Request) -> Response:
        path = _found(job_of(request, done=True).output)
        return FileResponse(path, media_type=mimetypes.guess_type(path.name)[0])

    async def _zip(self, request: Request) -> Response:
        jobs = session_of(request).all_jobs()
        paths = [job.output for job in jobs if job.state == "done" and job.output is not None]
        headers = {"Content-Disposition": 'attachment; filename="restored.zip"'}
        return StreamingResponse(zipped(paths), media_type="application/zip", headers=headers)

    async def _events(self, request: Request) -> Response:
        return StreamingResponse(self._states(session_of(request)), media_type="text/event-stream")

    async def _states(self, session: Session) -> AsyncIterator[str]:
        """Yield the session's state whenever it changed, as long as the page is open."""
        session.open_page()
        shown = None
        try:
            while self.sessions.is_alive(session):
                state = json.dumps(session_state(session, self.queue))
                if state != shown:
                    yield f"data: {state}\n\n"
                    shown = state
                await asyncio.sleep(_TICK)
        finally:
            session.close_page()


def session_of(request: Request) -> Session:
    """Return the session that the gate found."""
    session: Session = request.state.session
    return session


def job_of(request: Request, *, done: bool = False) -> Job:
    """Return a job of the request's own session.

    Raises:
        HTTPException: if there is none, or it is not done.
    """
    job: Job = _found(session_of(request).find_job(request.path_params["key"]))
    if done and job.state != "done":
        raise HTTPException(404)
    return job


def _upload_of(request: Request) -> Upload:
    return _found(session_of(request).uploads.get(request.path_params["key"]))


def _found(thing: Any) -> Any:
    if thing is None or (isinstance(thing, Path) and not thing.is_file()):
        raise HTTPException(404)
    return thing


def _pixels(upload: Upload) -> int:
    return 0 if upload.size is None else upload.size[0] * upload.size[1]
