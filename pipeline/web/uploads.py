"""Take in files: names made harmless, refused in words where they cannot be restored."""

from __future__ import annotations

import re
import shutil
from pathlib import Path
from typing import IO, TYPE_CHECKING

from pipeline.errors import RefusedImage, RestorationError, one_line
from pipeline.images import READABLE
from pipeline.video.options import READABLE as VIDEOS
from pipeline.web.thumbnails import look_at, refuse_playlist

if TYPE_CHECKING:
    from pipeline.web.sessions import Session, Upload

MOST_UPLOADS = 200
_LONGEST_NAME = 150  # bytes; results add suffixes


def harmless_name(name: str) -> str:
    """Return the last part of a path in any system's spelling, without what file systems or shells stumble over."""
    base = re.split(r"[/\\]", name)[-1]
    base = "".join(character for character in base if character.isprintable()).strip(" .")
    suffix = Path(base).suffix[:20]
    stem = base.removesuffix(suffix).encode()[:_LONGEST_NAME].decode("utf-8", "ignore")
    return f"{stem or 'file'}{suffix}"


def take_in(session: Session, name: str, content: IO[bytes], max_pixels: int) -> Upload:
    """Store a file in its visitor's folder and look at it; what is refused is kept by name and reason only.

    Raises:
        RefusedImage: if the visitor sent too many files.
    """
    if len(session.uploads) >= MOST_UPLOADS:
        raise RefusedImage(f"{MOST_UPLOADS} files are here already; remove some first")
    name = harmless_name(name)
    video = Path(name).suffix.lower() in VIDEOS
    upload = session.new_upload(name, "video" if video else "image")
    try:
        if not video and Path(name).suffix.lower() not in READABLE:
            raise RefusedImage("is no photo or video of a known type; convert it to PNG, JPEG or MP4 first")
        with upload.path.open("xb") as file:
            shutil.copyfileobj(content, file)
        if video:
            refuse_playlist(upload.path)
        upload.size, upload.condition = look_at(upload.path, upload.thumbnail, max_pixels, video=video)
    except Exception as error:
        upload.error = one_line(error) if isinstance(error, RestorationError) else "cannot be read"
        shutil.rmtree(upload.folder, ignore_errors=True)
    session.uploads[upload.key] = upload  # only now, because open pages show all of them
    return upload
