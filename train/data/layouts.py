"""Where the images lie: single files, folders of sharp images, folders of pairs, and the layouts of the usual sets.

A pair is a degraded and a clean image of the same name, in any two formats, in two folders side by side (``blur`` and
``sharp``, ``input`` and ``target``, ``noisy`` and ``clean``, ``lq`` and ``gt``; GoPro, any folder of pairs), in two
trees side by side (REDS), in ``NAME_HR`` and ``NAME_LR_bicubic/X2`` (DIV2K, Flickr2K) or on a line of a list file
(RealBlur). What lies in a folder of degraded images without being half of a pair is never taken for a clean image.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from pipeline.errors import ConfigError

IMAGE_SUFFIXES = frozenset({".bmp", ".jpeg", ".jpg", ".png", ".ppm", ".tif", ".tiff", ".webp"})
BlurFolder = Literal["blur", "blur_gamma"]
PathPair = tuple[Path, Path]

_DEGRADED_OF = {
    "target": "input",
    "clean": "noisy",
    "gt": "lq",
    "train_sharp": "train_blur",
    "val_sharp": "val_blur",
}
_DEGRADED = re.compile(
    r"blur|blur_gamma|input|noisy|lq|(.+_)?LR(_.+)?|(train|val|test)_blur.*|(train|val)_sharp_bicubic"
)
_LARGE = re.compile(r"(.+_)?HR")
_TREES = ("train_sharp", "val_sharp")


@dataclass(frozen=True)
class Files:
    """What lies below the folders given: clean images, and pairs of (degraded, clean)."""

    clean: tuple[Path, ...]
    pairs: tuple[PathPair, ...]

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
    if not clean and not pairs:
        raise ConfigError(
            f"no images below {', '.join(map(str, sources))} (folders named blur, input, noisy or lq count only "
            f"beside their sharp, target, clean or gt)"
        )
    return Files(tuple(clean), tuple(pairs))


def images_below(folder: Path) -> list[Path]:
    """Return all images in a folder and the folders below it, sorted."""
    return [path for path in sorted(folder.rglob("*")) if path.suffix.lower() in IMAGE_SUFFIXES]


def scene_of(clean: Path) -> Path:
    """Return what must stay on one side of a split: the folder of a video's frames, or an image that stands alone."""
    folder = clean.parent
    if folder.name == "sharp" or (folder.name in _DEGRADED_OF and folder.name not in _TREES):
        return folder.parent
    return clean if _LARGE.fullmatch(folder.name) else folder


def _files_in(source: Path, blur: BlurFolder, scale: int) -> Files:
    if source.is_dir() and (lists := sorted(source.glob("*_train_list.txt"))):
        return Files((), tuple(pair for file in lists for pair in _read_list(file)))
    if source.is_dir():
        return _files_below(source, blur, scale)
    if source.is_file() and source.suffix.lower() == ".txt":
        return Files((), tuple(_read_list(source)))
    if source.is_file() and source.suffix.lower() in IMAGE_SUFFIXES:
        return Files((source,), ())
    raise ConfigError(f"got {source}, expected a folder of images, an image or a list of pairs (.txt)")


def _files_below(folder: Path, blur: BlurFolder, scale: int) -> Files:
    clean: list[Path] = []
    pairs: list[PathPair] = []
    for path in images_below(folder):
        degraded = _degraded_side(path, blur, scale)
        if degraded is not None and (found := _in_any_format(degraded)):
            pairs.append((found, path))
        elif not _is_degraded(path.relative_to(folder.parent)):
            clean.append(path)
    return Files(tuple(clean), tuple(pairs))


def _degraded_side(clean: Path, blur: BlurFolder, scale: int) -> Path | None:
    """Return where the degraded side of a clean image would lie; None if its folder does not hold clean sides."""
    folder = clean.parent
    if folder.name == "sharp":
        return folder.with_name(blur) / clean.name
    if _LARGE.fullmatch(folder.name):
        low = folder.with_name(f"{folder.name.removesuffix('HR')}LR_bicubic")
        return low / f"X{scale}" / f"{clean.stem}x{scale}{clean.suffix}" if scale > 1 else None
    if folder.parent.name in _TREES:
        return folder.parent.with_name(_DEGRADED_OF[folder.parent.name]) / folder.name / clean.name
    degraded = _DEGRADED_OF.get(folder.name)
    return folder.with_name(degraded) / clean.name if degraded else None


def _in_any_format(path: Path) -> Path | None:
    """Return the file of this name, or else of this name with another image suffix; None if there is none."""
    candidates = [path, *(path.with_suffix(suffix) for suffix in sorted(IMAGE_SUFFIXES))]
    return next((candidate for candidate in candidates if candidate.is_file()), None)


def _is_degraded(path: Path) -> bool:
    return any(_DEGRADED.fullmatch(part) for part in path.parent.parts)


def _read_list(file: Path) -> list[PathPair]:
    """Read RealBlur's format: ``clean degraded`` a line, relative to the list, with a space or a tab between."""
    pairs = []
    for number, line in enumerate(file.read_text(encoding="utf-8").splitlines(), start=1):
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
