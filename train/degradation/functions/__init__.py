"""Degradations as batched pure functions on whatever device the images are on.

All take and return ``(B, C, H, W)`` floats in ``[0, 1]``; parameters are one value an image, ``(B,)``. Blur kernels
are ``(B, K, K)`` with odd K and sum 1. The same generator state gives the same result.
"""

from stages.light import from_linear_light, to_linear_light
from train.degradation.functions.blur import average_frames, blur, object_blur, random_shapes, shake, varying_blur
from train.degradation.functions.camera import CAMERA_MARGIN, Cameras, add_camera_noise, random_cameras, read_noise_of
from train.degradation.functions.encoding import quantise
from train.degradation.functions.jpeg import compress_jpeg
from train.degradation.functions.kernels import defocus_kernels, gaussian_kernels, kernel_size, shake_kernels
from train.degradation.functions.noise import add_gaussian_noise, add_poisson_gaussian_noise
from train.degradation.functions.resize import (
    aliased_downscale,
    area_downscale,
    bicubic_downscale,
    downscale_matrix,
    lanczos_downscale,
)

__all__ = [
    "CAMERA_MARGIN",
    "Cameras",
    "add_camera_noise",
    "add_gaussian_noise",
    "add_poisson_gaussian_noise",
    "aliased_downscale",
    "area_downscale",
    "average_frames",
    "bicubic_downscale",
    "blur",
    "compress_jpeg",
    "defocus_kernels",
    "downscale_matrix",
    "from_linear_light",
    "gaussian_kernels",
    "kernel_size",
    "lanczos_downscale",
    "object_blur",
    "quantise",
    "random_cameras",
    "random_shapes",
    "read_noise_of",
    "shake",
    "shake_kernels",
    "to_linear_light",
    "varying_blur",
]
