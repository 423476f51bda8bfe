"""Select how MP4 and MOV store a file's metadata: as iTunes' fields, or under any keys."""

from __future__ import annotations

from av.container import InputContainer

from pipeline.video.container import FILE_ONLY_METADATA

# Those that libav writes as iTunes' fields, which more players show than keys of their own.
_ITUNES = frozenset(
    {"album", "album_artist", "artist", "comment", "composer", "copyright", "creation_time", "date", "description"}
    | {"episode_id", "genre", "grouping", "lyrics", "network", "show", "synopsis", "timecode", "title"}
)


def metadata_flag(given: InputContainer) -> str:
    """Return the addition to ``movflags`` that keeps every key, if the source has any that iTunes does not know.

    Such are the date, place, make and model of Apple's and Android's phones.
    """
    keys = {key.lower() for key in given.metadata} - FILE_ONLY_METADATA
    return "" if keys <= _ITUNES else "+use_metadata_tags"
