"""What many workers cost and gain on one machine: ``python benchmarks/cluster_scaling.py [-o FILE.md]``.

sleep     files whose restoring is a sleep, over 1, 2 and 4 workers: what an item costs beside it (hashing, sending,
          recording, renaming)
fast      images of 320x240 through the fast chain, over 1, 2 and 4 workers of one thread each
listing   100,000 keys of an S3 server that makes them up, planned one by one: seconds and memory
"""

from __future__ import annotations

import argparse
import os
import resource
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Thread
from typing import Any, NamedTuple
from urllib.parse import parse_qs, urlparse

import pyvips
import torch
from chain_speed import FAST_CHAIN, machine, markdown_table
from skimage import data

from pipeline.batch.earlier import EarlierResults
from pipeline.batch.image_jobs import ImageJobs
from pipeline.batch.job import Job
from pipeline.batch.job_kind import Watch
from pipeline.batch.job_steps import JobSteps
from pipeline.batch.object_plan import plan_objects
from pipeline.batch.output import reserved
from pipeline.batch.plan import plan
from pipeline.batch.record import Record
from pipeline.batch.run_log import RunLog
from pipeline.batch.settings import RestoreSettings
from pipeline.chain.config import ChainConfig, load_chain_config
from pipeline.cluster.batch import cluster_batch
from pipeline.hashing import sha256_of
from pipeline.video.options import VideoOptions
from stages.atomic import writing_path
from stages.unsharp_mask import UnsharpMaskConfig

_WORKERS = (1, 2, 4)
_SLEEP = 0.02
_COLUMNS = ("workers", "items", "items/s", "to one worker", "ms each beside the work", "ms each of the command's CPU")
_READING = (
    "Workers of one thread each. Beside the work: seconds of all workers divided by the items, less the time that an "
    "item sleeps or computes. The command's CPU: what it takes to hand out, record and rename an item. "
    "Starting Ray and the workers is not counted: the clocks run from the first record to the last."
)


class SleepingJobs(ImageJobs):
    """Files whose restoring is a sleep and whose result is a copy."""

    def open(self, job: Job, record: Record, earlier: EarlierResults) -> tuple[Record, Any]:
        """Take the bytes."""
        return record, job.source.read_bytes()

    def restore(self, job: Job, content: Any, engine: Any, record: Record, watch: Watch) -> tuple[Record, Any]:
        """Sleep."""
        time.sleep(_SLEEP)
        return record, content

    def write(self, job: Job, content: Any, result: Any, record: Record) -> Record:
        """Write the bytes to the hidden path."""
        hidden = writing_path(job.target)
        job.target.parent.mkdir(parents=True, exist_ok=True)
        hidden.write_bytes(result)
        return Record(**vars(record) | {"output_sha256": sha256_of(hidden)})


@dataclass(frozen=True)
class SleepingSettings(RestoreSettings):
    """As ``RestoreSettings``, for ``SleepingJobs``."""

    def make_steps(self, keep_stages: Callable[[], bool] = bool) -> JobSteps:
        """Return the steps of every job."""
        return JobSteps(self.config, Path(self.output), object, {"image": SleepingJobs()})  # type: ignore[arg-type]


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sleeping", type=int, default=300, metavar="N", help="files whose restoring is a sleep")
    parser.add_argument("--images", type=int, default=24, metavar="N", help="images through the fast chain")
    parser.add_argument("--keys", type=int, default=100_000, metavar="N", help="keys that are listed")
    parser.add_argument("-o", "--output", type=Path, metavar="FILE.md", help="write the tables there")
    options = parser.parse_args()
    torch.set_num_threads(1)  # which each worker gets, then
    tables = {f"{options.keys} keys": list(listing_rows(options.keys))}
    with TemporaryDirectory() as folder:
        title = f"{options.sleeping} items that sleep {_SLEEP * 1000:.0f} ms"
        tables[title] = [_COLUMNS, *sleeping_rows(Path(folder, "sleep"), options.sleeping)]
        title = f"{options.images} images of 320x240, {FAST_CHAIN.stem}"
        tables[title] = [_COLUMNS, *fast_rows(Path(folder, "fast"), options.images)]
    parts = [f"## {title}\n\n{markdown_table(rows)}" for title, rows in tables.items()]
    print("\n\n".join([machine(), *parts, _READING]))
    if options.output:
        head = f"# Many workers\n\nWritten by `python benchmarks/cluster_scaling.py`. {machine()}"
        options.output.write_text("\n\n".join([head, *parts, _READING]) + "\n", encoding="utf-8")


def sleeping_rows(folder: Path, count: int) -> Iterator[tuple[str, ...]]:
    """Yield a row for each number of workers."""
    _write_images(folder / "in", count, 16, 16)
    config = ChainConfig(stages=(UnsharpMaskConfig(),))
    yield from _rows(folder, lambda output: SleepingSettings(config, output), lambda record: _SLEEP)


def fast_rows(folder: Path, count: int) -> Iterator[tuple[str, ...]]:
    """Yield a row for each number of workers."""
    _write_images(folder / "in", count, 320, 240)
    config = load_chain_config(FAST_CHAIN)
    engine = {"device": "cpu", "backend": "torch"}
    yield from _rows(
        folder,
        lambda output: RestoreSettings(config, output, engine),
        lambda record: sum(record.stage_seconds.values()),
    )


def _rows(
    folder: Path, settings: Callable[[Path], RestoreSettings], work_of: Callable[[Record], float]
) -> Iterator[tuple[str, ...]]:
    first = 0.0
    for workers in _WORKERS:
        run = _restored(folder / "in", settings(folder / str(workers)), workers)
        count = len(run.records)
        rate = count / run.seconds
        first = first or rate
        beside = (workers * run.seconds - sum(map(work_of, run.records))) / count * 1000
        own = run.own_seconds / count * 1000
        yield str(workers), str(count), f"{rate:.2f}", f"{rate / first:.2f}", f"{beside:.1f}", f"{own:.1f}"


class _Run(NamedTuple):
    """Seconds from the first record to the last, those of this process's CPU, and the records after the first."""

    seconds: float
    own_seconds: float
    records: list[Record]


def _restored(source: Path, settings: RestoreSettings, workers: int) -> _Run:
    """Restore a folder."""
    output = Path(settings.output)
    records, moments, own = list[Record](), list[float](), list[float]()

    def report(record: Record) -> None:
        records.append(record)
        moments.append(time.perf_counter())
        own.append(time.process_time())

    with reserved(output):
        log = RunLog(output / "restoration.jsonl")
        with cluster_batch(settings, log, workers, None) as batch:
            batch.run(plan([str(source)], output), report)
        log.close()
    if failed := [record.error for record in records if record.status != "done"]:
        raise SystemExit(f"not restored: {failed[0]}")
    return _Run(moments[-1] - moments[0], own[-1] - own[0], records[1:])


def _write_images(folder: Path, count: int, width: int, height: int) -> None:
    folder.mkdir(parents=True)
    photo = pyvips.Image.new_from_array(data.astronaut())
    for number in range(count):
        left, top = number % (512 - width), number % (512 - height)
        photo.crop(left, top, width, height).write_to_file(str(folder / f"{number:05}.png"))


def listing_rows(count: int) -> Iterator[tuple[str, ...]]:
    """Plan made-up keys one by one; yield the memory after each tenth of them."""
    yield ("keys", "us each", "peak memory, MiB")
    with _listing_server(count) as address:
        os.environ |= {"AWS_ENDPOINT_URL": address, "AWS_ACCESS_KEY_ID": "k", "AWS_SECRET_ACCESS_KEY": "s"}
        jobs = plan_objects(["s3://photos/in"], "s3://photos/out", ext=None, suffix="", video=VideoOptions())
        began = time.perf_counter()
        for number, _ in enumerate(jobs, start=1):
            if number % (count // 10) == 0:
                each = (time.perf_counter() - began) / number * 1e6
                yield str(number), f"{each:.0f}", f"{resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:.1f}"


@contextmanager
def _listing_server(count: int) -> Iterator[str]:
    """Answer the requests of a listing, a thousand keys a page."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            """Send a page."""
            query = parse_qs(urlparse(self.path).query)
            first = int(query.get("continuation-token", ["0"])[0])
            self._send(_page(first, count))

        def do_HEAD(self) -> None:
            """Say that the prefix is no object."""
            self.send_response(404)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def _send(self, body: bytes) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "application/xml")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *arguments: Any) -> None:
            """Keep quiet."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()


def _page(first: int, count: int) -> bytes:
    last = min(count, first + 1000)
    entry = (
        "<Contents><Key>in/{0:03}/{1:08}.jpg</Key><Size>1</Size><ETag>&quot;e&quot;</ETag>"
        "<LastModified>2026-01-01T00:00:00.000Z</LastModified><StorageClass>STANDARD</StorageClass></Contents>"
    )
    entries = "".join(entry.format(number // 1000, number) for number in range(first, last))
    more = f"<NextContinuationToken>{last}</NextContinuationToken>" if last < count else ""
    return (
        '<?xml version="1.0"?><ListBucketResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><Name>photos</Name>'
        f"<Prefix>in/</Prefix><KeyCount>{last - first}</KeyCount><MaxKeys>1000</MaxKeys>"
        f"<IsTruncated>{str(last < count).lower()}</IsTruncated>{more}{entries}</ListBucketResult>"
    ).encode()


if __name__ == "__main__":
    main()
