"""Finding and undoing a blur without training; what ``stages.blind_deconvolution`` is made of.

    blur_width -> is there a blur at all?     estimation -> which kernel?     hyper_laplacian -> undo it

Everything here works on linear operators of whole images, in float32, through real Fourier transforms.
"""
