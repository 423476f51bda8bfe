"""What lies in folders without being an input: files of operating systems and network storage, results of ours."""

from __future__ import annotations

import json
from pathlib import Path

RUN_LOG = "restoration.jsonl"
_SYSTEM_NAMES = frozenset(
    {
        "#recycle", "#snapshot", "@eadir", "@recently-snapshot", "@recycle", "@sharebin", "@sharesnap", "@tmp",
        "$recycle.bin", "recycler", "system volume information", "thumbs.db", "ehthumbs.db", "desktop.ini",
        "@transcode", "__macosx", "found.000", "icon\r", "ipod photo cache", "lost+found", "lost.dir",
        "network trash folder", "recycled", "temporary items", "~snapshot",
    }
)  # fmt: skip


def is_system_name(name: str) -> bool:
    """Return whether a file or folder is hidden (``._photo.jpg``, ``.Trashes``) or a system's own (``@eaDir``)."""
    return name.startswith(".") or name.casefold() in _SYSTEM_NAMES


def run_logs_in(folder: Path) -> list[Path]:
    """Return the run logs that earlier runs left in a folder: of the whole, and of its shards."""
    name = Path(RUN_LOG)
    try:
        return sorted(path for path in folder.glob(f"{name.stem}*{name.suffix}") if path.is_file())
    except OSError:
        return []


def holds_results(folder: Path) -> bool:
    """Return whether a folder holds the run log of an earlier run, so that the images in it are its results."""
    return any(map(_is_run_log, run_logs_in(folder)))


def _is_run_log(path: Path) -> bool:
    try:
        with path.open("rb") as file:
            record = json.loads(file.readline(1 << 20))
    except (OSError, ValueError):
        return False
    return isinstance(record, dict) and {"input", "output", "status"} <= record.keys()
