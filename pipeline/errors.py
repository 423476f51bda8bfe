"""Everything that can go wrong and is told to a user, without a traceback.

RestorationError
├── ConfigError          a YAML file or an option is wrong; nothing was started   (exit code 2)
├── ImageError
│   ├── RefusedImage     a file that is understood, but must not or cannot be restored   (status refused)
│   │   └── RefusedVideo
│   └── BrokenImage      a file that cannot be read or written   (status failed)
│       └── BrokenVideo
└── OutOfMemory          not even the smallest tile fits   (status failed)
"""


class RestorationError(Exception):
    """Base of all errors whose text alone is enough for a user."""


class ConfigError(RestorationError):
    """A YAML file or an option is wrong; the text holds one line per mistake."""


class ImageError(RestorationError):
    """One file could not be restored; the rest of the batch goes on."""


class RefusedImage(ImageError):  # noqa: N818  (a status, not a fault of the program)
    """A file that is understood, but must not or cannot be restored."""


class BrokenImage(ImageError):  # noqa: N818
    """A file that cannot be read or written."""


class RefusedVideo(RefusedImage):
    """A video that is understood, but must not or cannot be restored."""


class BrokenVideo(BrokenImage):
    """A video that cannot be read or written."""


class OutOfMemory(RestorationError):  # noqa: N818
    """Not even the smallest tile fits into memory."""


def one_line(error: Exception) -> str:
    """Return what a report says of an error; those that nobody foresaw are named by their type."""
    text = " ".join(str(error).split())
    return text if isinstance(error, RestorationError) else f"{type(error).__name__}: {text}"
