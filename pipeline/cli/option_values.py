"""Read the texts that options are given."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal

from pipeline.errors import ConfigError

if TYPE_CHECKING:
    from pipeline.chain.config import StageStrength


def parse_tile(text: str) -> int | Literal["auto"]:
    """Read ``--tile``.

    Raises:
        ConfigError: for what is no number of pixels.
    """
    if text == "auto":
        return "auto"
    if not text.isdecimal():
        raise ConfigError(f"tile: got {text!r}, expected a number of pixels, 0 for none, or auto")
    return int(text)


def parse_workers(text: str | None) -> int | Literal["auto"] | None:
    """Read ``--workers``; None where it is not given.

    Raises:
        ConfigError: for what is no number of processes.
    """
    if text is None or text == "auto":
        return None if text is None else "auto"
    if not text.isdecimal() or int(text) == 0:
        raise ConfigError(f"workers: got {text!r}, expected a number of processes, or auto")
    return int(text)


def refuse_detail_without_workers(progress: str, workers: str | None, cluster: str | None) -> None:
    """Refuse ``--progress detail`` where there are no workers whose details could be shown.

    Raises:
        ConfigError: if there are none.
    """
    if progress == "detail" and workers is None and cluster is None:
        raise ConfigError("progress: detail shows what each worker is doing, expected also --workers or --cluster")


def parse_strengths(texts: Sequence[str] | None) -> dict[str, StageStrength]:
    """Read ``--strength dncnn=0.5`` or ``--strength dncnn=auto``, any number of times.

    Raises:
        ConfigError: for what is no such text.
    """
    return dict(_parse_strength(text) for text in texts or [])


def parse_noise_levels(texts: Sequence[str] | None) -> dict[str, float]:
    """Read ``--noise-level dncnn=12``, any number of times.

    Raises:
        ConfigError: for what is no such text.
    """
    return dict(_parse_number("noise_level", "12", text) for text in texts or [])


def _parse_strength(text: str) -> tuple[str, StageStrength]:
    name, _, strength = text.partition("=")
    return (name, "auto") if strength == "auto" else _parse_number("strength", "0.5", text)


def _parse_number(option: str, example: str, text: str) -> tuple[str, float]:
    name, _, number = text.partition("=")
    try:
        return name, float(number)
    except ValueError as error:
        raise ConfigError(f"{option}: got {text!r}, expected STAGE=NUMBER, such as dncnn={example}") from error
