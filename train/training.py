"""A training configuration together with the stages that its images go through, resolved once for a run."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from pipeline.chain.config import ChainConfig
from pipeline.errors import ConfigError
from pipeline.tiling import total_scale
from train.chain.route import Route
from train.config import TrainingConfig, changes_note, read_config


@dataclass(frozen=True)
class Training:
    """What is trained and how; the parts fit each other.

    Attributes:
        config: The training YAML.
        route: The stages that training images go through.
    """

    config: TrainingConfig
    route: Route

    @classmethod
    def resolve(cls, config: TrainingConfig) -> Training:
        """Read the chain that a stage is trained in, if any, and make sure that sizes fit.

        Raises:
            ConfigError: for errors of the chain, and if degradation, crops and stages do not fit each other.
        """
        training = cls(config, _route(config))
        training._refuse_other_scale()
        training._refuse_other_sizes()
        if config.teacher:
            config.teacher.refuse_other(training.route.footprints[training.route.index], training.reaching_size)
        return training

    @property
    def margin(self) -> int:
        """Degraded pixels to cut off every border behind the stages before the trained one; none of whole images."""
        return 0 if self.config.data.resize else self.route.margin

    @property
    def reaching_size(self) -> tuple[int, int]:
        """Height and width of the degraded crops, at the size that they reach the trained stage in."""
        scale = total_scale(self.route.footprints[self.route.index :])
        height, width = self.config.data.clean_size
        return height // scale, width // scale

    def widened(self) -> TrainingConfig:
        """Return the configuration with crops that are larger by the margin on every side."""
        if not self.margin:
            return self.config
        crop_size = self.config.data.crop_size + 2 * self.margin * self.config.scale
        data = self.config.data.model_copy(update={"crop_size": crop_size})
        return self.config.model_copy(update={"data": data})

    def _refuse_other_scale(self) -> None:
        config, route = self.config, self.route
        if config.scale != route.scale:
            stages = f"{', '.join(route.chain.names)} upscale" if config.chain else "the stage upscales"
            raise ConfigError(f"degradation: downscales by {config.scale}, but {stages} by {route.scale}")
        if config.share < 1 and total_scale(route.footprints[: route.index]) != 1:
            raise ConfigError("chain.share: must be 1 behind stages that upscale, as other images would differ in size")

    def _refuse_other_sizes(self) -> None:
        data, multiple_of = self.config.data, self.route.scale * self.route.multiple_of
        key, size = ("resize", data.resize) if data.resize else ("crop_size", data.crop_size)
        if any(side % multiple_of for side in data.clean_size):
            names = ", ".join(self.route.chain.names)
            raise ConfigError(f"data.{key}: got {size}, expected a multiple of {multiple_of} for {names}")


def read_training(path: Path, changes: Sequence[str] = ()) -> Training:
    """Read a training YAML with some values changed, and resolve it.

    Args:
        path: The YAML.
        changes: As of `train.config.read_config`.

    Raises:
        ConfigError: with one line per problem.
    """
    config = read_config(path, changes)
    try:
        return Training.resolve(config)
    except ConfigError as error:
        raise ConfigError(f"{path}: {error}{changes_note(changes)}") from error


def _route(config: TrainingConfig) -> Route:
    if config.chain is None:
        return Route.through(ChainConfig(stages=(config.stage,)))
    try:
        return config.chain.route(config.stage)
    except ConfigError as error:
        raise ConfigError(f"chain: {error}") from error
