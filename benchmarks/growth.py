"""How time and memory grow with the size and the number of images: ``python benchmarks/growth.py [-o FILE.md]``.

    size      images of 1, 2, 4 ... 64 megapixels, all in tiles of the same size. The time of each is divided by
              that of images of 1 megapixel before and after it, so that the drift of the machine's speed cancels.
    number    a folder of 10,000 images of 32x32 pixels through a stage that costs next to nothing: what each of
              them takes, and the memory after every tenth of them.

Whole commands in processes of their own, on Linux, whose bookkeeping they are read from.
"""

from __future__ import annotations

import argparse
import json
import os
import shlex
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from math import sqrt
from pathlib import Path
from tempfile import TemporaryDirectory

import pyvips
from chain_speed import FAST_CHAIN, command, machine, markdown_table, paragraph, show
from skimage import data

from pipeline.backends.choice import BACKENDS
from pipeline.chain.chain import Chain

_PROGRAM = Path(__file__).parents[1] / "run_pipeline.py"
_SMALL = 8  # images of 1 megapixel in one command
_SIZES = (1, 2, 4, 8, 16, 32, 64)
_SIZE_COLUMNS = ("megapixels", "computing, s/MP", "to 1 MP", "all, s", "peak, MiB", "besides the images, MiB")
_NUMBER_COLUMNS = ("images", "ms each", "to the first", "memory, MiB")
_NEXT_TO_NOTHING = "stages:\n  - stage: bicubic\n    scale: 2\n"
_READING = (
    "Computing is what the stages take; all is the command from its start to its end. Besides the images: the peak "
    "without the 8-bit pixels of the image and of its result, which are held whole. Tiles at a border overlap less, "
    "and small images have more of them: by the tiles' sizes the fast chain's arithmetic per pixel is 6 % more at 64 "
    "megapixels than at 1. To 1 MP: to the median of the images of 1 megapixel that one command each restores before "
    "and after; the first image of a command is not counted, as its first tile waits for the system's memory."
)


@dataclass(frozen=True)
class Run:
    """One command: all of its seconds, those that each image's stages took, and the most bytes that it held."""

    seconds: float
    computing: list[float]
    peak: int


@dataclass(frozen=True)
class Moment:
    """How many images are finished in how many seconds, and the bytes held."""

    finished: int
    seconds: float
    held: int


def main() -> None:
    """Run the command line."""
    options = build_parser().parse_args()
    tables: dict[str, list[tuple[str, ...]]] = {}
    with TemporaryDirectory() as folder:
        if options.sizes:
            title = f"{options.chain.stem}, tiles of {options.tile}"
            tables[title] = [_SIZE_COLUMNS, *size_rows(Path(folder), options)]
            show(tables[title], title)
        if options.number:
            title = f"{options.number} images of 32x32, bicubic"
            tables[title] = [_NUMBER_COLUMNS, *number_rows(Path(folder), options.number)]
            show(tables[title], title)
    if options.output:
        options.output.write_text(as_markdown(tables), encoding="utf-8")


def build_parser() -> argparse.ArgumentParser:
    """Build the parser."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("-c", "--chain", type=Path, default=FAST_CHAIN)
    parser.add_argument("--backend", default="auto", choices=BACKENDS)
    parser.add_argument("--tile", default="512", help="of all sizes; auto works small images whole")
    parser.add_argument("--sizes", type=int, nargs="*", default=_SIZES, metavar="MEGAPIXELS")
    parser.add_argument("--number", type=int, default=10_000, help="of small images, 1000 or more; 0 for none")
    parser.add_argument("-o", "--output", type=Path, metavar="FILE.md", help="write the page there")
    return parser


def size_rows(folder: Path, options: argparse.Namespace) -> Iterator[tuple[str, ...]]:
    """Restore an image of every size; yield its cells."""
    pixel_bytes = 3 * (1 + Chain.load(options.chain).scale ** 2)
    small = folder / "small"
    for index in range(_SMALL):
        draw(small / f"{index}.jpg", 1)
    before = restore(small, options).computing[1:]
    for size in options.sizes:
        run = restore(draw(folder / f"{size}.jpg", size), options)
        after = restore(small, options).computing[1:]
        each = run.computing[0] / size
        yield (
            str(size),
            f"{each:.2f}",
            f"{each / statistics.median(before + after):.2f}",
            f"{run.seconds:.1f}",
            f"{run.peak / 2**20:.0f}",
            f"{(run.peak - pixel_bytes * size * 1e6) / 2**20:.0f}",
        )
        before = after


def draw(path: Path, megapixels: float) -> Path:
    """Write a JPEG file 3:2, covered by a photo; piece by piece, as a large parent makes its children look large."""
    path.parent.mkdir(exist_ok=True)
    width, height = round(sqrt(1.5e6 * megapixels)), round(sqrt(1e6 * megapixels / 1.5))
    photo = pyvips.Image.new_from_array(data.coffee())
    covered = photo.replicate(-(-width // photo.width), -(-height // photo.height)).crop(0, 0, width, height)
    covered.jpegsave(str(path), Q=95)
    return path


def restore(images: Path, options: argparse.Namespace) -> Run:
    """Run the command on one image, or on a folder of them."""
    output = images.with_name("restored")
    words = run_pipeline(images, output, options.chain, "--backend", options.backend, "--tile", options.tile)
    started = time.perf_counter()
    process = subprocess.Popen(words)
    _, status, usage = os.wait4(process.pid, 0)
    seconds = time.perf_counter() - started
    if status:
        sys.exit(f"failed: {shlex.join(words)}")
    lines = (output / "restoration.jsonl").read_bytes().splitlines()[-(_SMALL if images.is_dir() else 1) :]
    computing = [sum(json.loads(line)["stage_seconds"].values()) for line in lines]
    return Run(seconds, computing, usage.ru_maxrss * 1024)


def run_pipeline(source: Path, output: Path, chain: Path, *words: str) -> list[str]:
    """Return the words of a command that redoes everything."""
    return [sys.executable, *map(str, (_PROGRAM, source, "-o", output, "-c", chain)), "--overwrite", "--quiet", *words]


def number_rows(folder: Path, number: int) -> Iterator[tuple[str, ...]]:
    """Restore many small images; yield the cells of every tenth of them."""
    images, chain = folder / "images", folder / "bicubic.yaml"
    draw_many(images, number)
    chain.write_text(_NEXT_TO_NOTHING, encoding="utf-8")
    moments = list(watch(run_pipeline(images, folder / "many", chain), folder / "many" / "restoration.jsonl"))
    tenths = [next(moment for moment in moments if moment.finished >= number * tenth // 10) for tenth in range(11)]
    each = [(late.seconds - early.seconds) / (late.finished - early.finished) for early, late in pairwise(tenths)]
    for taken, late in zip(each, tenths[1:], strict=True):
        yield str(late.finished), f"{taken * 1000:.2f}", f"{taken / each[0]:.2f}", f"{late.held / 2**20:.1f}"


def draw_many(folder: Path, number: int) -> None:
    """Write crops of a photo as PNG files, no two alike."""
    folder.mkdir()
    photo = pyvips.Image.new_from_array(data.coffee())
    for index in range(number):
        top, left = divmod(index, photo.width - 32)
        photo.crop(left, top, 32, 32).pngsave(str(folder / f"{index:06}.png"))


def watch(words: list[str], run_log: Path) -> Iterator[Moment]:
    """Run a command and look at it ten times a second, from the first image in its run log on."""
    started = time.perf_counter()
    process = subprocess.Popen(words)
    while not run_log.exists():
        time.sleep(0.01)
        if process.poll():
            sys.exit(f"failed: {shlex.join(words)}")
    finished = held = 0
    with run_log.open("rb") as file:
        running = True
        while running:
            running = process.poll() is None
            finished += file.read().count(b"\n")
            held = resident(process.pid) or held
            yield Moment(finished, time.perf_counter() - started, held)
            time.sleep(0.1)


def resident(pid: int) -> int:
    """Return the bytes of memory that a process holds; 0 when it has ended."""
    try:
        pages = Path(f"/proc/{pid}/statm").read_text(encoding="ascii").split()[1]
    except (OSError, IndexError):
        return 0
    return int(pages) * os.sysconf("SC_PAGE_SIZE")


def as_markdown(tables: dict[str, list[tuple[str, ...]]]) -> str:
    """Format the page docs/growth.md."""
    sections = [f"## {title}\n\n{markdown_table(rows)}" for title, rows in tables.items()]
    written = paragraph(f"Written by `{command()}`. {machine()}")
    return "\n\n".join(("# Growth", written, *sections, paragraph(_READING))) + "\n"


if __name__ == "__main__":
    main()
