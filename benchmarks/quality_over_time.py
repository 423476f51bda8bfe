"""What each way of upscaling gives for its time: ``python benchmarks/quality_over_time.py --data DIR [-o FILE.md]``.

quality    the mean PSNR over RGB on the chain's protocols (train/evaluation/samples.py): photos made half as large
           and noisy, and shaken before that; DIR holds CBSD68 and Set14
time       the median of one frame, as benchmarks/chain_speed.py takes it, whose ways these are
"""

from __future__ import annotations

import argparse
import statistics
from collections.abc import Sequence
from concurrent.futures import Executor
from contextlib import ExitStack
from pathlib import Path
from typing import NamedTuple

import matplotlib.pyplot as plt
import numpy as np
from chain_speed import (
    as_frame,
    build_parser,
    command,
    machine,
    markdown_table,
    peers,
    process,
    show,
    time_in_turn,
    timed,
)
from matplotlib.axes import Axes
from skimage import data

from pipeline.evaluation.metrics import psnr_rgb
from train.data.images import to_tensor
from train.degradation.sequence import Degradation
from train.evaluation.samples import SHAKEN_SMALL_NOISY, SMALL_NOISY, Sample, degraded_images

# The protocols' sets and degradations, by the column's name.
_PROTOCOLS: dict[str, tuple[tuple[str, ...], Degradation]] = {
    "noise": (("Set14",), SMALL_NOISY),
    "shake and noise": (("CBSD68", "Set14"), SHAKEN_SMALL_NOISY),
}
_READING = (
    "PSNR over RGB, the mean of the photos. Noise: Set14, reduced by 2, with noise of sigma 10. Shake and noise: "
    "CBSD68 and Set14, shaken before that. Time: the median of one frame, all ways in turn."
)


class Point(NamedTuple):
    """One way: seconds for a frame, and PSNR in dB by protocol."""

    seconds: float
    quality: dict[str, float]


def main() -> None:
    """Run the command line."""
    parser = build_parser()
    parser.description = __doc__
    parser.add_argument("--data", type=Path, required=True, metavar="DIR", help="folder of test sets")
    options = parser.parse_args()
    points = measure(options)
    title = f"One frame of {options.size}, and photos of half size"
    rows = [("way", "ms", *(f"{name}, dB" for name in _PROTOCOLS)), *map(cells, points, points.values())]
    show(rows, title)
    if options.output:
        options.output.write_text(as_markdown(rows, title, options.output.with_suffix(".png").name), encoding="utf-8")
        draw(options.output.with_suffix(".png"), points, options.size)


def measure(options: argparse.Namespace) -> dict[str, Point]:
    """Time all ways in turn, then have each restore all photos; return them from the fastest to the slowest."""
    width, height = map(int, options.size.split("x"))
    samples = {
        name: list(degraded_images([options.data / folder for folder in folders], steps))
        for name, (folders, steps) in _PROTOCOLS.items()
    }
    with ExitStack() as stack:
        ways = {
            name: stack.enter_context(process(make, *arguments)) for name, (make, *arguments) in peers(options).items()
        }
        *_, (seconds, _) = time_in_turn(ways, as_frame(data.coffee(), height, width), options.runs)
        points = {
            name: Point(statistics.median(seconds[name]), {key: psnr(way, found) for key, found in samples.items()})
            for name, way in ways.items()
        }
    return dict(sorted(points.items(), key=lambda item: item[1].seconds))


def psnr(way: Executor, samples: Sequence[Sample]) -> float:
    """Return the mean PSNR of what a way makes of degraded photos."""
    frames = [degraded[0].permute(1, 2, 0).mul(255).round().byte().numpy() for degraded, _ in samples]
    restored = (way.submit(timed, frame).result()[1] for frame in frames)
    scores = [psnr_rgb(to_tensor(result), clean) for result, (_, clean) in zip(restored, samples, strict=True)]
    return float(np.mean(scores))


def cells(name: str, point: Point) -> tuple[str, ...]:
    """Return a way's row of the table."""
    return name, f"{point.seconds * 1000:.1f}", *(f"{value:.2f}" for value in point.quality.values())


def draw(path: Path, points: dict[str, Point], size: str) -> None:
    """Draw a PNG, one panel for each protocol."""
    figure, panels = plt.subplots(1, len(_PROTOCOLS), figsize=(12, 4.5), layout="constrained", sharex=True)
    for panel, protocol in zip(panels, _PROTOCOLS, strict=True):
        draw_panel(panel, points, protocol)
        panel.set(title=protocol, xscale="log", xlabel=f"ms for a frame of {size}", ylabel="PSNR, dB")
    figure.legend(*panels[0].get_legend_handles_labels(), loc="outside right center", frameon=False)
    figure.savefig(path, dpi=100)


def draw_panel(panel: Axes, points: dict[str, Point], protocol: str) -> None:
    """Draw every way's point, with a mark of its own, as some lie on each other."""
    for index, (name, point) in enumerate(points.items()):
        place = [point.seconds * 1000], [point.quality[protocol]]
        panel.plot(*place, "os^vDP*Xph<>"[index % 12], label=name, markersize=8, fillstyle="none", markeredgewidth=2)
    panel.grid(color="0.88")


def as_markdown(rows: list[tuple[str, ...]], title: str, plot: str) -> str:
    """Format the page docs/quality_over_time.md."""
    image = f"![PSNR over the time of a frame]({plot})"
    written = f"Written by `{command()}`: {title}. {machine()}"
    return "\n\n".join(("# Quality over time", written, image, markdown_table(rows), _READING)) + "\n"


if __name__ == "__main__":
    main()
