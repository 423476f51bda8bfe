"""Where the images lie: single files, folders of sharp images, folders of pairs, and the layouts of the usual sets.

A pair is a degraded and a clean image of the same name, in any two formats, in two folders side by side (``blur`` and
``sharp``, ``input`` and ``target``, ``noisy`` and ``clean``, ``lq`` and ``gt``; GoPro, any folder of pairs), in two
trees side by side (REDS), in ``NAME_HR`` and ``NAME_LR_bicubic/X2`` (DIV2K, Flickr2K) or on a line of a list file
(RealBlur). What lies in a folder of degraded images without being half of a pair is never taken for a clean image.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from pipeline.config import sha256_of

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

    def split(self, every: int) -> tuple[Files, Files]:
        """Hold about one clean image in ``every``, and one scene of pairs in ``every``, back for validation.

        What is held back depends only on names, so it is the same in each run. Frames of one video resemble each
        other too much to judge by, so a scene goes to one side as a whole. If one scene is all there is, its last
        frames are held back. If one image is all there is, it is on both sides, which shows over-fitting and nothing
        else.
        """
        if len(self.clean) + len(self.pairs) == 1:
            return self, self
        clean_held = {path for path in self.clean if _draw(path, every) == 0}
        scenes = {scene_of(clean) for _, clean in self.pairs}
        scenes_held = {scene for scene in scenes if _draw(scene, every) == 0}
        if clean_held == set(self.clean):
            clean_held = set()
        if scenes_held == scenes:
            scenes_held = set()
        if not clean_held and not scenes_held:
            clean_held, scenes_held = _hold_one(self.clean, scenes)
        pairs_held = {pair for pair in self.pairs if scene_of(pair[1]) in scenes_held}
        if not clean_held and not pairs_held:
            pairs_held = set(self.pairs[-max(1, len(self.pairs) // every) :])
        return (
            Files(
                tuple(path for path in self.clean if path not in clean_held),
                tuple(pair for pair in self.pairs if pair not in pairs_held),
            ),
            Files(
                tuple(path for path in self.clean if path in clean_held),
                tuple(pair for pair in self.pairs if pair in pairs_held),
            ),
        )

    def described(self) -> dict[str, int | str]:
        """Return how many there are and a digest of names and sizes, which stays the same if the folders move."""
        found = sorted(f"{path.name} {size}" for path, size in _sizes(self).items())
        digest = hashlib.sha256("\n".join(found).encode("utf-8", "surrogateescape")).hexdigest()
        return {"images": len(self.clean), "pairs": len(self.pairs), "names and sizes": digest[:16]}

    def every_path(self) -> Iterator[Path]:
        """Yield all files, both sides of the pairs."""
        yield from self.clean
        for pair in self.pairs:
            yield from pair


def find_files(sources: Iterable[Path], blur: BlurFolder = "blur", scale: int = 1) -> Files:
    """List what lies in ``sources``: folders with all below them, image files, and list files of pairs.

    Args:
        sources: A list file (``.txt``) holds one ``clean degraded`` a line, relative to itself; a folder with
            RealBlur's ``*_train_list.txt`` inside holds the pairs of these lists.
        blur: Which of GoPro's two versions is the degraded side.
        scale: Of the stage; from 2 on, ``NAME_LR_bicubic/X{scale}`` is the degraded side of ``NAME_HR``.

    Raises:
        FileNotFoundError: if a source does not exist or there is no image in any.
        ValueError: if a line of a list is not two paths.
    """
    sources = list(sources)
    clean: list[Path] = []
    pairs: list[PathPair] = []
    for source in sources:
        if source.is_dir() and (lists := sorted(source.glob("*_train_list.txt"))):
            pairs += [pair for file in lists for pair in _read_list(file)]
        elif source.is_dir():
            for path in _images_below(source):
                degraded = _degraded_side(path, blur, scale)
                if degraded is not None and (found := _in_any_format(degraded)):
                    pairs.append((found, path))
                elif not _is_degraded(path.relative_to(source.parent)):
                    clean.append(path)
        elif source.is_file() and source.suffix.lower() == ".txt":
            pairs += _read_list(source)
        elif source.is_file() and source.suffix.lower() in IMAGE_SUFFIXES:
            clean.append(source)
        else:
            raise FileNotFoundError(f"got {source}, expected a folder of images, an image or a list of pairs (.txt)")
    if not clean and not pairs:
        raise FileNotFoundError(
            f"no images below {', '.join(map(str, sources))} (folders named blur, input, noisy or lq count only "
            f"beside their sharp, target, clean or gt)"
        )
    return Files(tuple(dict.fromkeys(clean)), tuple(dict.fromkeys(pairs)))


def scene_of(clean: Path) -> Path:
    """Return what must stay on one side of a split: the folder of a video's frames, or an image that stands alone."""
    folder = clean.parent
    if folder.name == "sharp" or (folder.name in _DEGRADED_OF and folder.name not in _TREES):
        return folder.parent
    return clean if _LARGE.fullmatch(folder.name) else folder


def without_copies(train: Files, validation: Files) -> Files:
    """Return the files to learn from without those whose content is also held out, under whatever name."""
    copies = {path for _, path in _same_content(validation, train)}
    return Files(
        tuple(path for path in train.clean if path not in copies),
        tuple(pair for pair in train.pairs if copies.isdisjoint(pair)),
    )


def refuse_leakage(train: Files, validation: Files) -> None:
    """Make sure that nothing is both learnt from and validated on.

    A file is recognised by its content, under any name; a scene by its folder, even if the frames differ.

    Raises:
        ValueError: if there is such a file or scene; the text names some.
    """
    scenes = {scene_of(clean.resolve()) for _, clean in train.pairs}
    leaks = {f"scene {scene}" for _, clean in validation.pairs if (scene := scene_of(clean.resolve())) in scenes}
    leaks |= {f"{theirs} (the same content as {ours})" for ours, theirs in _same_content(train, validation)}
    if leaks:
        shown = "\n  ".join(sorted(leaks)[:5])
        rest = f"\n  ... and {len(leaks) - 5} more" if len(leaks) > 5 else ""
        raise ValueError(f"--val must hold nothing that --data holds; take out:\n  {shown}{rest}")


def _same_content(train: Files, validation: Files) -> Iterator[PathPair]:
    """Yield files of equal content; only those of equal size are read."""
    ours, theirs = _sizes(train), _sizes(validation)
    shared = set(ours.values()) & set(theirs.values())
    contents = {sha256_of(path): path for path, size in ours.items() if size in shared}
    for path, size in theirs.items():
        if size in shared and (same := contents.get(sha256_of(path))):
            yield same, path


def _sizes(files: Files) -> dict[Path, int]:
    return {path: path.stat().st_size for path in files.every_path() if path.is_file()}


def _images_below(folder: Path) -> list[Path]:
    return [path for path in sorted(folder.rglob("*")) if path.suffix.lower() in IMAGE_SUFFIXES]


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
                raise ValueError(
                    f"{file}:{number}: got {len(words)} words, expected `clean degraded`, with a tab between "
                    "where names have spaces"
                )
    return pairs


def _hold_one(clean: tuple[Path, ...], scenes: set[Path]) -> tuple[set[Path], set[Path]]:
    """Hold one back if the draw by name has held none; at least one stays to learn from."""
    if len(clean) > 1:
        return {min(clean, key=_draw)}, set()
    return set(), {min(scenes, key=_draw)} if len(scenes) > 1 else set()


def _draw(path: Path, below: int = 2**256) -> int:
    """Draw a number by a path's last name alone."""
    return int(hashlib.sha256(path.name.encode()).hexdigest(), 16) % below
