"""Everything that determines how files are restored, as data that can be sent to other processes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipeline.batch.image_jobs import ImageJobs
from pipeline.batch.job_kind import JobKind
from pipeline.batch.job_steps import JobSteps, Steps
from pipeline.batch.kind_steps import StepsByKind
from pipeline.batch.object_steps import ObjectSteps
from pipeline.chain.config import ChainConfig
from pipeline.errors import ConfigError
from pipeline.images import PIXEL_LIMIT

if TYPE_CHECKING:
    from pipeline.engine.engine import Engine
    from pipeline.evaluation.comparison import ReferenceComparison
    from pipeline.video.options import VideoOptions


def _never() -> bool:
    return False


@dataclass(frozen=True)
class RestoreSettings:
    """How files are restored.

    Attributes:
        config: The chain.
        output: The folder of the results, or the URL of a prefix.
        objects: Inputs or results are objects of a storage, their jobs ``ObjectJob``.
        engine: The options of ``Engine``, by name.
        video_config: The chain of videos, where they have another one.
        video: How videos are written; None if there are none, so that nothing they need is imported.
        references: Folder of the images that the results are compared with.
        lpips: Also measure LPIPS.
        save_stages: Also write the image after every stage.
        flicker: Measure the flicker of videos.
        max_pixels: Larger images are refused.
        overwrite: As of ``JobSteps``.
        strict: As of ``JobSteps``.
    """

    config: ChainConfig
    output: Path | str
    engine: Mapping[str, Any] = field(default_factory=dict)
    video: VideoOptions | None = None
    video_config: ChainConfig | None = None
    references: Path | None = None
    lpips: bool = False
    save_stages: bool = False
    flicker: bool = False
    max_pixels: int = PIXEL_LIMIT
    overwrite: bool = False
    objects: bool = False
    strict: bool = False

    def make_steps(self, keep_stages: Callable[[], bool] = _never) -> Steps:
        """Return the steps of every job.

        Args:
            keep_stages: As of ``ImageJobs``.

        Raises:
            ConfigError: for options that cannot be.
        """
        if self.video_config is not None:
            images, videos = (
                replace(self, video_config=None),
                replace(self, config=self.video_config, video_config=None),
            )
            return StepsByKind(images.make_steps(keep_stages), videos.make_steps())
        steps = JobSteps(
            self.config,
            Path(self.output),
            self.make_engine,
            self._make_kinds(keep_stages),
            precision=self.engine.get("precision", "auto"),
            overwrite=self.overwrite,
            strict=self.strict,
        )
        return ObjectSteps(steps) if self.objects else steps

    def make_engine(self) -> Engine:
        """Build the chain and make it ready to run.

        Raises:
            ConfigError: as ``Engine``.
        """
        from pipeline.chain.chain import Chain
        from pipeline.engine.engine import Engine

        return Engine(Chain.build(self.config), **self.engine)

    def _make_kinds(self, keep_stages: Callable[[], bool]) -> dict[str, JobKind]:
        comparison = self._make_comparison()
        stages = self.config.names if self.save_stages else ()
        kinds: dict[str, JobKind] = {"image": ImageJobs(stages, comparison, keep_stages, self.max_pixels)}
        if self.video is not None:
            from pipeline.batch.video_jobs import VideoJobs

            kinds["video"] = kinds["frames"] = VideoJobs(self.video, flicker=self.flicker, references=comparison)
        return kinds

    def _make_comparison(self) -> ReferenceComparison | None:
        if self.references is None:
            if self.lpips:
                raise ConfigError("lpips: compares with references, expected also --reference FOLDER")
            return None

        from pipeline.evaluation.comparison import ReferenceComparison
        from pipeline.evaluation.lpips import Lpips

        return ReferenceComparison(self.references, Lpips() if self.lpips else None)
