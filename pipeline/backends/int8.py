"""Post-training quantisation to int8; residual sums and the end convolutions stay in fp32.

Plain quantisation of everything costs the shipped stages 0.2 to 1.8 dB, nearly all of it in the residual sums, whose
small differences 256 levels over the whole range do not hold, and in the first and the last convolution. With these
in fp32 and ranges that clip nothing, what remains costs 0.02 dB or less in the denoiser and the super-resolution. The
U-Nets need fp32 in their finest levels, too, which are the first and the last of their convolutions.
"""

from __future__ import annotations

import contextlib
import io
import logging
from collections.abc import Sequence

import nncf
import openvino
from nncf.quantization.advanced_parameters import AdvancedQuantizationParameters
from nncf.quantization.range_estimator import RangeEstimatorParametersSet
from torch import Tensor

_CONVOLUTIONS = ("Convolution", "ConvolutionBackpropData")
# Sums and skips of the image or of residual features; fixed filters such as the bicubic ones.
_IN_FLOATS = ["Add", "Subtract", "Concat", "GroupConvolution"]


def quantise(model: openvino.Model, photos: Sequence[Tensor], ends: float) -> openvino.Model:
    """Return the model with most convolutions in int8, its ranges taken from photos; takes seconds.

    Args:
        model: In fp32.
        photos: As the network is given them.
        ends: Share of the convolutions that stays in fp32 at each end, at least one.
    """
    convolutions = [
        node.get_friendly_name() for node in model.get_ordered_ops() if node.get_type_name() in _CONVOLUTIONS
    ]
    count = max(1, round(len(convolutions) * ends))
    left_out = sorted({*convolutions[:count], *convolutions[-count:]})
    nncf.set_log_level(logging.ERROR)
    with contextlib.redirect_stdout(io.StringIO()):  # its progress bars
        return nncf.quantize(
            model,
            nncf.Dataset([photo.numpy() for photo in photos]),
            subset_size=len(photos),
            preset=nncf.QuantizationPreset.MIXED,
            ignored_scope=nncf.IgnoredScope(names=left_out, types=_IN_FLOATS, validate=False),
            advanced_parameters=AdvancedQuantizationParameters(
                activations_range_estimator_params=RangeEstimatorParametersSet.MINMAX
            ),
        )
