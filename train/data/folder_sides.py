"""Which folders of a tree are the two sides of pairs, and which hold degraded images without a clean side."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from pathlib import Path

from pipeline.errors import ConfigError
from pipeline.images import READABLE
from pipeline.system_files import is_system_name
from train.data.same_scenes import same_scene
from train.data.sides import CERTAINLY_CLEAN, Side, side_of

Couple = tuple[Path, Path]
"""The folders of the degraded and of the clean side."""
_MADE_BY_DEGRADE = "degradation.yaml"
_MOST_VERSIONS = 6  # of the same images beside each other; more folders with the same names are videos
_LOOKED_AT = 2  # images of each


class FolderSides:
    """Finds for every image below a folder which side of pairs it is on.

    Args:
        root: The folder that was given; a couple may lie beside it.
        blur: Which of GoPro's two versions is the degraded side.
        scale: Of the stage; folders of low resolution are degraded sides from 2 on.
    """

    def __init__(self, root: Path, blur: str, scale: int) -> None:
        self._root, self._blur, self._scale = root, blur, scale
        self._unclear: dict[Path, str] = {}
        self._of = cache(self._of_folder)
        self._degraded_of = cache(self._find_degraded)
        self._images_of = cache(_images_by_name)

    def of(self, image: Path) -> Couple | str | None:
        """Return the couple that an image belongs to, or why it is left out; None if no folder has a side."""
        for folder in (image.parent, *image.parent.parents):
            found = self._of(folder)
            if found is not None or folder == self._root:
                return found
            if side_of(folder.name).word in CERTAINLY_CLEAN:
                return None
        return None

    def refuse_unclear(self) -> None:
        """Refuse folders that may hold degraded images or clean ones.

        Raises:
            ConfigError: with what to do.
        """
        if self._unclear:
            lines = "".join(f"\n  {folder}: {why}" for folder, why in sorted(self._unclear.items()))
            raise ConfigError(
                "cannot distinguish degraded images from clean ones; rename the folder, put its other side "
                f"beside it (input and target, LQ and GT), or give each folder of clean images itself:{lines}"
            )

    def _of_folder(self, folder: Path) -> Couple | str | None:
        side = side_of(folder.name)
        if (folder / _MADE_BY_DEGRADE).is_file():
            return f"in {folder.name}, which degrade has made"
        if side.kind == "clean":
            degraded = self._degraded_of(folder)
            if degraded is None:
                self._note_unknown_side(folder, side)
            return None if degraded is None else (degraded, folder)
        if side.kind is None:
            self._note_same_scenes(folder)
            return None
        return self._of_degraded(folder, side)

    def _of_degraded(self, folder: Path, side: Side) -> Couple | str | None:
        for clean in _siblings(folder, "clean"):
            degraded = self._degraded_of(clean)
            if degraded is not None and degraded.is_relative_to(folder):
                inside = folder != self._root
                return (degraded, clean) if inside else f"in {folder.name}, which is the degraded side of {clean}"
        if side.kind == "degraded" or self._stands_beside_clean(folder, side):
            return f"in {folder.name}, which is degraded by its name, without a clean side beside it"
        if side.alone and folder != self._root:
            self._unclear[folder] = f"{side.word!r} stands for degraded images, but no folder beside it of clean ones"
        return None

    def _stands_beside_clean(self, folder: Path, side: Side) -> bool:
        return any(side_of(clean.name).rest == side.rest for clean in _siblings(folder, "clean"))

    def _find_degraded(self, clean: Path) -> Path | None:
        """Return the degraded side of a folder of clean images.

        Raises:
            ConfigError: if several folders may be it.
        """
        side = side_of(clean.name)
        candidates = self._candidates(clean, side)
        usual = [folder for folder in candidates if side_of(folder.name).is_usual_with(side)]
        chosen = usual if len(usual) == 1 else candidates
        if len(chosen) > 1:
            names = ", ".join(folder.name for folder in chosen)
            raise ConfigError(f"{clean}: {names} may all be its degraded side, expected one; move the others away")
        return self._of_factor(chosen[0]) if chosen else None

    def _candidates(self, clean: Path, side: Side) -> list[Path]:
        others = {folder: side_of(folder.name) for folder in _siblings(clean, "degraded", "everyday")}
        others = {
            folder: other
            for folder, other in others.items()
            if (self._scale > 1 or not other.small) and other.factor in (0, self._scale)
        }
        named = [folder for folder in others if folder.name.casefold() == self._blur and side.word == "sharp"]
        alike = [folder for folder, other in others.items() if other.rest == side.rest]
        if self._scale > 1 and any(others[folder].small for folder in alike):
            return [folder for folder in alike if others[folder].small]
        if named or alike:
            return named or alike
        alone = len(others) == 1 and len(_siblings(clean, "clean")) == 1
        return [folder for folder, other in others.items() if alone and other.splits == side.splits]

    def _of_factor(self, folder: Path) -> Path | None:
        """Return DIV2K's folder of one factor, such as ``X2``; the folder itself where it has none of any factor."""
        factors = {path.name.casefold(): path for path in folder.glob("[xX][2348]") if path.is_dir()}
        return factors.get(f"x{self._scale}") if factors else folder

    def _note_unknown_side(self, clean: Path, side: Side) -> None:
        """Note a folder of unknown name beside a clean side, if their images have the same names."""
        names = self._images_of(clean).keys()
        if not (side.alone and names) or clean == self._root:
            return
        for folder in _unknown_siblings(clean):
            if self._images_of(folder).keys() == names:
                self._unclear[folder] = f"has the names of {clean.name} beside it, and may be its degraded side"

    def _note_same_scenes(self, folder: Path) -> None:
        """Note folders of unknown names that show the same under the same names; many are the scenes of videos."""
        names = {} if folder == self._root else self._images_of(folder)
        if not names:
            return
        others = [other for other in _unknown_siblings(folder) if self._images_of(other).keys() == names.keys()]
        for other in others if len(others) <= _MOST_VERSIONS else ():
            if all(same_scene(names[name], self._images_of(other)[name]) for name in sorted(names)[:_LOOKED_AT]):
                self._unclear[folder] = f"shows what {other.name} beside it shows; one may be its degraded side"


def _siblings(folder: Path, *kinds: str) -> list[Path]:
    """Return the folders of some kinds of sides in the same place, with the folder itself if it is one."""
    return [path for path in sorted(folder.parent.iterdir()) if side_of(path.name).kind in kinds and path.is_dir()]


def _unknown_siblings(folder: Path) -> list[Path]:
    """Return the other folders in the same place whose names stand for no side."""
    return [
        path
        for path in sorted(folder.parent.iterdir())
        if path != folder and path.is_dir() and not is_system_name(path.name) and side_of(path.name).kind is None
    ]


def _images_by_name(folder: Path) -> Mapping[str, Path]:
    """Return all images in a folder and those below it by their places in it, without suffixes."""
    places = ((path, path.relative_to(folder)) for path in folder.rglob("*") if path.suffix.lower() in READABLE)
    return {
        place.with_suffix("").as_posix(): path for path, place in places if not any(map(is_system_name, place.parts))
    }
