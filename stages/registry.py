"""The table of all stages: a new one takes its import and its entry in ``AnyStageConfig``."""

import json
from pathlib import Path
from typing import Annotated

from pydantic import Field, TypeAdapter, ValidationError

from stages.blind_deconvolution import BlindDeconvolutionConfig
from stages.clahe import CLAHEConfig
from stages.concat_unet import ConcatUNetConfig
from stages.deblurnet import DeblurNetConfig
from stages.dncnn import DnCNNConfig
from stages.edsr import EDSRConfig
from stages.encoder_unet import EncoderUNetConfig
from stages.errors import WeightsError
from stages.foreign import SpandrelConfig
from stages.nafnet import NAFNetConfig
from stages.nlm import NonLocalMeansConfig
from stages.residual_unet import ResidualUNetConfig
from stages.richardson_lucy import RichardsonLucyConfig
from stages.smfanet import SMFANetConfig
from stages.stage import LearnedStageConfig, Stage, StageConfig
from stages.temporal_denoise import TemporalDenoiseConfig
from stages.temporal_fusion import TemporalFusionConfig
from stages.uformer import UformerConfig
from stages.unet import UNetConfig
from stages.unsharp_mask import UnsharpMaskConfig
from stages.upscale import BicubicConfig, LanczosConfig
from stages.weights import Card, build_trained, read_card

AnyStageConfig = Annotated[
    BicubicConfig
    | BlindDeconvolutionConfig
    | CLAHEConfig
    | ConcatUNetConfig
    | DeblurNetConfig
    | DnCNNConfig
    | EDSRConfig
    | EncoderUNetConfig
    | LanczosConfig
    | NAFNetConfig
    | NonLocalMeansConfig
    | ResidualUNetConfig
    | RichardsonLucyConfig
    | SMFANetConfig
    | SpandrelConfig
    | TemporalDenoiseConfig
    | TemporalFusionConfig
    | UformerConfig
    | UNetConfig
    | UnsharpMaskConfig,
    Field(discriminator="stage"),
]  # fmt: skip

STAGES: dict[str, type[StageConfig]] = {
    config.model_fields["stage"].default: config
    for config in AnyStageConfig.__origin__.__args__  # type: ignore[attr-defined]
}


def config_from(card: Card) -> StageConfig:
    """Return the stage config that a card holds.

    Raises:
        WeightsError: if this version has no such stage or option.
    """
    try:
        # By way of JSON, which the card holds and whose texts are valid for paths even where pydantic is strict.
        return TypeAdapter(AnyStageConfig).validate_json(json.dumps(card.config))
    except ValidationError as error:
        problems = "; ".join(
            f"{'.'.join(map(str, found['loc']))}: got {found['input']!r}: {found['msg']}" for found in error.errors()
        )
        raise WeightsError(f"not a stage of this version: {problems}") from error


def load_stage(path: Path) -> Stage:
    """Build the stage that a weights file, or an entry of the catalogue, describes, ready to run.

    Raises:
        WeightsError: if the file is no weights file of this version, or is not here and cannot be downloaded.
    """
    config = config_from(read_card(path))
    # Those of spandrel have their weights already.
    stage = build_trained(config, path) if isinstance(config, LearnedStageConfig) else config.build()
    return stage.eval().fuse()
