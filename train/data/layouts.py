"""Where the images lie: single files, folders of clean images, folders of pairs, and the layouts of the usual sets.

A pair is a degraded and a clean image of the same name, but for an affix and the format, in two folders or trees side
by side whose names hold the field's words (``blur`` and ``sharp``, ``LQ`` and ``GT``, ``train_blur`` and
``train_sharp``: `train.data.sides`; GoPro, REDS, LOL, Rain100), in ``NAME_HR`` and ``NAME_LR_bicubic/X2`` (DIV2K,
Flickr2K), in one folder (``1_NOISY.png`` and ``1_GT.png``: SIDD) or on a line of a list file (RealBlur). What lies in a
folder of degraded images without being half of a pair is never taken for a clean image.
"""

from __future__ import annotations

import codecs
import hashlib
import os
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from pipeline.errors import ConfigError
from pipeline.images import READABLE
from pipeline.system_files import holds_results, is_system_name
from train.data.folder_sides import Couple, FolderSides
from train.data.sides import pair_by_affix, pair_names, side_of

BlurFolder = Literal["blur", "blur_gamma"]
PathPair = tuple[Path, Path]

_MARKS = ((codecs.BOM_UTF16_LE, "utf-16"), (codecs.BOM_UTF16_BE, "utf-16"))
_LARGE = ("hr", "highres", "highresolution")


@dataclass(frozen=True)
class Files:
    """What lies below the folders given: clean images, and pairs of (degraded, clean).

    Attributes:
        origins: What was taken for what, and what was left out, a line each.
    """

    clean: tuple[Path, ...]
    pairs: tuple[PathPair, ...]
    origins: tuple[str, ...] = field(default=(), compare=False)

    def counted(self) -> str:
        """Return how many there are: ``12 images, 3 pairs``."""
        return f"{len(self.clean)} images, {len(self.pairs)} pairs"

    def described(self) -> dict[str, int | str]:
        """Return how many there are and a digest of names and sizes, which stays the same if the folders move."""
        found = sorted(f"{path.name} {size}" for path, size in self.sizes().items())
        digest = hashlib.sha256("\n".join(found).encode("utf-8", "surrogateescape")).hexdigest()
        return {"images": len(self.clean), "pairs": len(self.pairs), "names and sizes": digest[:16]}

    def sizes(self) -> dict[Path, int]:
        """Return the bytes of every file that is there, both sides of the pairs."""
        paths = (*self.clean, *(path for pair in self.pairs for path in pair))
        return {path: path.stat().st_size for path in paths if path.is_file()}


def find_files(sources: Iterable[Path], blur: BlurFolder = "blur", scale: int = 1) -> Files:
    """List what lies in ``sources``: folders with all below them, image files, and list files of pairs.

    Args:
        sources: A list file (``.txt``) holds one ``clean degraded`` a line, relative to itself; a folder with
            RealBlur's ``*_train_list.txt`` inside holds the pairs of these lists.
        blur: Which of GoPro's two versions is the degraded side.
        scale: Of the stage; from 2 on, ``NAME_LR_bicubic/X{scale}`` is the degraded side of ``NAME_HR``.

    Raises:
        ConfigError: if a source does not exist, there is no image in any or a line of a list is not two paths.
    """
    sources = list(sources)
    found = [_files_in(source, blur, scale) for source in sources]
    clean = dict.fromkeys(path for files in found for path in files.clean)
    pairs = dict.fromkeys(pair for files in found for pair in files.pairs)
    origins = tuple(line for files in found for line in files.origins)
    if not clean and not pairs:
        places = ", ".join(map(str, sources))
        reasons = "".join(f"\n  {line}" for line in origins)
        raise ConfigError(f"no images below {places} (degraded ones count only beside their clean side){reasons}")
    _refuse_both_sides(clean, pairs)
    return Files(tuple(clean), tuple(pairs), origins)


def _refuse_both_sides(clean: Iterable[Path], pairs: Iterable[PathPair]) -> None:
    """Refuse a degraded image that another source gives as a clean one."""
    both = {path.resolve() for path in clean} & {degraded.resolve() for degraded, _ in pairs}
    if both:
        raise ConfigError(f"{min(both)} is both a clean image and the degraded side of a pair; give it once")


def images_below(folder: Path) -> list[Path]:
    """Return all images in a folder and the folders below it, sorted; no system files and no results of ours."""
    found: list[Path] = []
    for parent, folders, names in os.walk(folder):
        folders[:] = [name for name in folders if not _is_passed_over(Path(parent, name))]
        paths = (Path(parent, name) for name in names if not is_system_name(name))
        found += (path for path in paths if path.suffix.lower() in READABLE)
    return sorted(found)


def scene_of(clean: Path) -> Path:
    """Return what must stay on one side of a split: the folder of a video's frames, or an image that stands alone."""
    side = side_of(clean.parent.name)
    if side.kind != "clean":
        return clean.parent
    return clean if side.word in _LARGE else clean.parent.parent


def _files_in(source: Path, blur: BlurFolder, scale: int) -> Files:
    if source.is_dir() and (lists := sorted(source.glob("*_train_list.txt"))):
        return _of_lists(lists)
    if source.is_dir():
        return _files_below(source, blur, scale)
    if source.is_file() and source.suffix.lower() == ".txt":
        return _of_lists([source])
    if source.is_file() and source.suffix.lower() in READABLE:
        return Files((source,), (), (f"{source}: 1 clean",))
    raise ConfigError(f"got {source}, expected a folder of images, an image or a list of pairs (.txt)")


def _of_lists(lists: list[Path]) -> Files:
    found = {file: _read_list(file) for file in lists}
    lines = tuple(f"{file}: {len(pairs)} pairs" for file, pairs in found.items())
    return Files((), tuple(pair for pairs in found.values() for pair in pairs), lines)


def _files_below(folder: Path, blur: BlurFolder, scale: int) -> Files:
    sides = FolderSides(folder, blur, scale)
    couples: dict[Couple, list[Path]] = defaultdict(list)
    single: dict[Path, list[Path]] = defaultdict(list)
    sorted_out = Sorted(left_out=Counter(_results_below(folder)))
    for path in images_below(folder):
        place = sides.of(path)
        if place is None:
            single[path.parent].append(path)
        elif isinstance(place, str):
            sorted_out.left_out[place] += 1
        elif path.is_relative_to(place[1]):
            couples[place].append(path)
    sides.refuse_unclear()
    for couple, paths in couples.items():
        sorted_out.take_couple(*couple, paths)
    for paths in single.values():
        sorted_out.take_folder(paths)
    return sorted_out.files(folder)


@dataclass
class Sorted:
    """Clean images and pairs while they are found.

    Attributes:
        origins: How many were taken, by what for.
        left_out: How many were not, by reason.
    """

    clean: list[Path] = field(default_factory=list)
    pairs: list[PathPair] = field(default_factory=list)
    origins: Counter[str] = field(default_factory=Counter)
    left_out: Counter[str] = field(default_factory=Counter)

    def take_couple(self, low: Path, high: Path, clean: list[Path]) -> None:
        """Pair the images of two folders; what is left of the clean side stays clean.

        Raises:
            ConfigError: if no names fit each other, or some fit several.
        """
        degraded = [path.relative_to(low) for path in images_below(low)]
        names = [path.relative_to(high) for path in clean]
        try:
            found = pair_names(degraded, names) or pair_by_affix(degraded, names)
        except ConfigError as error:
            raise ConfigError(f"{low} and {high}: {error}") from error
        if degraded and not found:
            raise ConfigError(
                f"{low} and {high} look like the two sides of pairs, but no names fit: {degraded[0]} and {names[0]}; "
                "rename the files or a folder, or give a list file of pairs"
            )
        self.pairs += ((low / found[name], high / name) for name in names if name in found)
        self.clean += (high / name for name in names if name not in found)
        self.origins[f"pairs from {low.name} + {high.name}"] += len(found)
        self.left_out[f"in {low.name} without a clean side in {high.name}"] += len(degraded) - len(found)

    def take_folder(self, paths: list[Path]) -> None:
        """Take the images of one folder as clean, or as pairs where the names of the files hold words of both sides."""
        by_kind: dict[str | None, list[Path]] = defaultdict(list)
        for path in paths:
            by_kind[side_of(path.stem).kind].append(path)
        found = pair_names(by_kind["degraded"], by_kind["clean"])
        taken = set(found.values())
        found |= pair_names([path for path in by_kind["degraded"] if path not in taken], by_kind[None])
        everyday = pair_names(by_kind["everyday"], by_kind["clean"])
        if 2 * len(everyday) == len(paths):  # low_tide and high_tide among other photos are no pair
            found |= everyday
        sides = {*found, *found.values()}
        degraded = [path for path in by_kind["degraded"] if path not in sides]
        self.pairs += ((low, high) for high, low in found.items())
        self.clean += (path for path in paths if path not in sides and path not in degraded)
        self.origins["pairs by the names of the files"] += len(found)
        self.left_out["degraded by the names of the files, without a clean side"] += len(degraded)

    def files(self, folder: Path) -> Files:
        """Return what was found below a folder."""
        taken = [f"{count} {what}" for what, count in Counter(clean=len(self.clean), **self.origins).items() if count]
        lines = [f"{folder}: {', '.join(taken)}"] if taken else []
        lines += [f"{folder}: {count} left out: {why}" for why, count in self.left_out.items() if count]
        pairs = sorted(self.pairs, key=lambda pair: pair[1])
        return Files(tuple(sorted(self.clean)), tuple(pairs), tuple(lines))


def _results_below(folder: Path) -> Iterator[str]:
    """Yield a line for each folder of our own results, which `images_below` passes over."""
    for parent, folders, _ in os.walk(folder):
        for path in [Path(parent, name) for name in folders if holds_results(Path(parent, name))]:
            yield f"folder {path.name}, which holds results of restorechain"
        folders[:] = [name for name in folders if not _is_passed_over(Path(parent, name))]


def _is_passed_over(folder: Path) -> bool:
    return is_system_name(folder.name) or holds_results(folder)


def _read_list(file: Path) -> list[PathPair]:
    """Read RealBlur's format: ``clean degraded`` a line, relative to the list, with a space or a tab between."""
    pairs = []
    for number, line in enumerate(_text_of(file).splitlines(), start=1):
        match line.split("\t") if "\t" in line else line.split():
            case []:
                pass
            case [clean, degraded]:
                pairs.append((file.parent / degraded, file.parent / clean))
            case words:
                raise ConfigError(
                    f"{file}:{number}: got {len(words)} words, expected `clean degraded`, with a tab between "
                    "where names have spaces"
                )
    return pairs


def _text_of(file: Path) -> str:
    """Read a text as UTF-8, or as the UTF-16 that its byte-order mark says."""
    content = file.read_bytes()
    encoding = next((name for mark, name in _MARKS if content.startswith(mark)), "utf-8-sig")
    try:
        text = content.decode(encoding)
    except UnicodeDecodeError:
        text = "\0"
    if "\0" in text:
        raise ConfigError(f"{file} is no text in UTF-8, or UTF-16 with a byte-order mark; save it as UTF-8")
    return text
