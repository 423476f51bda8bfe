"""The networks of catalogue entries that spandrel runs: class and arguments, as their authors published them."""

from __future__ import annotations

import importlib
from typing import Any

import torch
from torch import nn

_SWINIR = {
    "img_size": 64,
    "window_size": 8,
    "depths": [6] * 6,
    "embed_dim": 180,
    "num_heads": [6] * 6,
    "mlp_ratio": 2,
}
_SWINIR_X2 = _SWINIR | {"upscale": 2, "upsampler": "pixelshuffle"}
_SWINIR_DENOISE = _SWINIR | {"img_size": 128}
_SWINIR_JPEG = _SWINIR | {"img_size": 126, "window_size": 7, "img_range": 255.0}
_HAT = {
    "upscale": 2,
    "window_size": 16,
    "depths": [6] * 6,
    "embed_dim": 180,
    "num_heads": [6] * 6,
    "mlp_ratio": 2,
    "upsampler": "pixelshuffle",
}
_HAT_S = _HAT | {"embed_dim": 144, "compress_ratio": 24, "squeeze_factor": 24}
_REALPLKSR = {"upscaling_factor": 1, "layer_norm": True}
_GENERAL_X4 = {"num_conv": 32, "upscale": 4}

# By entry: spandrel's architecture, the class, and its arguments.
ARCHITECTURES: dict[str, tuple[str, str, dict[str, Any]]] = {
    "bsrgan_x2": ("ESRGAN", "ESRGAN", {"scale": 2}),
    "dat_2_x2": (
        "DAT",
        "DAT",
        {
            "upscale": 2,
            "split_size": [8, 32],
            "expansion_factor": 2,
            "img_size": 64,
            "embed_dim": 180,
            "depth": [6] * 6,
            "num_heads": [6] * 6,
            "resi_connection": "1conv",
            "upsampler": "pixelshuffle",
        },
    ),
    "drunet_color": ("DRUNet", "DRUNet", {"in_nc": 4, "out_nc": 3, "nc": [64, 128, 256, 512], "nb": 4}),
    "fbcnn_color": ("FBCNN", "FBCNN", {"in_nc": 3, "out_nc": 3, "nc": [64, 128, 256, 512], "nb": 4}),
    "fftformer_gopro": ("FFTformer", "FFTformer", {"dim": 48, "num_blocks": [6, 6, 12, 8]}),
    "hat_s_x2": ("HAT", "HAT", _HAT_S),
    "hat_x2": ("HAT", "HAT", _HAT),
    "hat_x2_imagenet": ("HAT", "HAT", _HAT),
    "omnisr_x2_div2k": ("OmniSR", "OmniSR", {"num_feat": 64, "res_num": 5, "up_scale": 2, "window_size": 8}),
    "realesr_anime_video_x4": ("Compact", "Compact", {"num_conv": 16, "upscale": 4}),
    "realesr_general_wdn_x4": ("Compact", "Compact", _GENERAL_X4),
    "realesr_general_x4": ("Compact", "Compact", _GENERAL_X4),
    "realesrgan_x2": ("ESRGAN", "ESRGAN", {"in_nc": 12, "scale": 4, "shuffle_factor": 2}),
    "realesrgan_x4": ("ESRGAN", "ESRGAN", {"scale": 4}),
    "realesrgan_anime_x4": ("ESRGAN", "ESRGAN", {"scale": 4, "num_blocks": 6}),
    "realplksr_dejpg": ("PLKSR", "RealPLKSR", _REALPLKSR),
    "realplksr_denoise": ("PLKSR", "RealPLKSR", _REALPLKSR),
    "scunet_color_25": ("SCUNet", "SCUNet", {}),
    "scunet_color_50": ("SCUNet", "SCUNet", {}),
    "scunet_color_real_gan": ("SCUNet", "SCUNet", {}),
    "scunet_color_real_psnr": ("SCUNet", "SCUNet", {}),
    "span_x2_ch48": ("SPAN", "SPAN", {"num_in_ch": 3, "num_out_ch": 3, "feature_channels": 48, "upscale": 2}),
    "swinir_denoise_15": ("SwinIR", "SwinIR", _SWINIR_DENOISE),
    "swinir_denoise_25": ("SwinIR", "SwinIR", _SWINIR_DENOISE),
    "swinir_denoise_50": ("SwinIR", "SwinIR", _SWINIR_DENOISE),
    "swinir_jpeg_10": ("SwinIR", "SwinIR", _SWINIR_JPEG),
    "swinir_jpeg_20": ("SwinIR", "SwinIR", _SWINIR_JPEG),
    "swinir_jpeg_30": ("SwinIR", "SwinIR", _SWINIR_JPEG),
    "swinir_jpeg_40": ("SwinIR", "SwinIR", _SWINIR_JPEG),
    "swinir_light_x2": (
        "SwinIR",
        "SwinIR",
        _SWINIR
        | {
            "upscale": 2,
            "depths": [6] * 4,
            "embed_dim": 60,
            "num_heads": [6] * 4,
            "upsampler": "pixelshuffledirect",
        },
    ),
    "swinir_real_x2": ("SwinIR", "SwinIR", _SWINIR_X2 | {"upsampler": "nearest+conv"}),
    "swinir_x2": ("SwinIR", "SwinIR", _SWINIR_X2),
    "swinir_x2_div2k": ("SwinIR", "SwinIR", _SWINIR_X2 | {"img_size": 48}),
}


def network_of(name: str, **smaller: Any) -> nn.Module:
    """Build the network of an entry with random weights; ``smaller`` replaces arguments."""
    architecture, class_name, arguments = ARCHITECTURES[name]
    module = importlib.import_module(f"spandrel.architectures.{architecture}")
    with torch.device("cpu"):
        network: nn.Module = getattr(module, class_name)(**(arguments | smaller))
    return network
