"""Which files are trained on and which validate, so that nothing is on both sides."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Callable, Iterator
from pathlib import Path

from pipeline.errors import ConfigError
from pipeline.hashing import sha256_of
from train.data.layouts import Files, PathPair, scene_of

_log = logging.getLogger(__name__)


def hold_out(files: Files, every: int) -> tuple[Files, Files]:
    """Split files into those to train on and those to validate on, without copies between them."""
    train, validation = split(files, every)
    if train == validation:
        _log.warning(
            "one image is all there is: it is both trained on and validated on, which shows over-fitting alone"
        )
        return train, validation
    apart = without_copies(train, validation)
    copies = len(train.clean) + len(train.pairs) - len(apart.clean) - len(apart.pairs)
    if copies:
        _log.warning("not trained on: %d with the same content as others that are held out to validate on", copies)
    return apart, validation


def split(files: Files, every: int) -> tuple[Files, Files]:
    """Hold about one clean image in ``every``, and one scene of pairs in ``every``, back for validation.

    What is held back depends only on names, so it is the same in each run. Frames of one video resemble each
    other too much to validate on, so a scene goes to one side as a whole. If one scene is all there is, its last
    frames are held back. If one image is all there is, it is on both sides, which shows over-fitting and nothing
    else.
    """
    if len(files.clean) + len(files.pairs) == 1:
        return files, files
    every_scene = {scene_of(clean) for _, clean in files.pairs}
    clean, scenes = _drawn(set(files.clean), every), _drawn(every_scene, every)
    if not clean and not scenes:
        clean, scenes = _hold_one(files.clean, every_scene)
    pairs = {pair for pair in files.pairs if scene_of(pair[1]) in scenes}
    if not clean and not pairs:
        pairs = set(files.pairs[-max(1, len(files.pairs) // every) :])
    held = clean | pairs
    return _only(files, lambda item: item not in held), _only(files, lambda item: item in held)


def without_copies(train: Files, validation: Files) -> Files:
    """Return the files to train on without those whose content is also held out, under whatever name."""
    copies = {path for _, path in _same_content(validation, train)}
    return Files(
        tuple(path for path in train.clean if path not in copies),
        tuple(pair for pair in train.pairs if copies.isdisjoint(pair)),
    )


def refuse_leakage(train: Files, validation: Files) -> None:
    """Make sure that nothing is both trained on and validated on.

    A file is recognised by its content, under any name; a scene by its folder, even if the frames differ.

    Raises:
        ConfigError: if there is such a file or scene; the text names some.
    """
    scenes = {scene_of(clean.resolve()) for _, clean in train.pairs}
    leaks = {f"scene {scene}" for _, clean in validation.pairs if (scene := scene_of(clean.resolve())) in scenes}
    leaks |= {f"{theirs} (the same content as {ours})" for ours, theirs in _same_content(train, validation)}
    if leaks:
        shown = "\n  ".join(sorted(leaks)[:5])
        rest = f"\n  ... and {len(leaks) - 5} more" if len(leaks) > 5 else ""
        raise ConfigError(f"val: must hold nothing that data holds; take out:\n  {shown}{rest}")


def _same_content(train: Files, validation: Files) -> Iterator[PathPair]:
    """Yield files of equal content; only those of equal size are read."""
    ours, theirs = train.sizes(), validation.sizes()
    shared = set(ours.values()) & set(theirs.values())
    contents = {sha256_of(path): path for path, size in ours.items() if size in shared}
    for path, size in theirs.items():
        if size in shared and (same := contents.get(sha256_of(path))):
            yield same, path


def _only(files: Files, wanted: Callable[[Path | PathPair], bool]) -> Files:
    return Files(tuple(filter(wanted, files.clean)), tuple(filter(wanted, files.pairs)))


def _drawn(paths: set[Path], every: int) -> set[Path]:
    """Draw about one path in ``every``, but never all of them."""
    drawn = {path for path in paths if _draw(path, every) == 0}
    return set() if drawn == paths else drawn


def _hold_one(clean: tuple[Path, ...], scenes: set[Path]) -> tuple[set[Path], set[Path]]:
    """Hold one back if the draw by name has held none; at least one stays to train on."""
    if len(clean) > 1:
        return {min(clean, key=_draw)}, set()
    return set(), {min(sorted(scenes), key=_draw)} if len(scenes) > 1 else set()


def _draw(path: Path, below: int = 2**256) -> int:
    """Draw a number by a path's last name alone."""
    return int(hashlib.sha256(path.name.encode()).hexdigest(), 16) % below
