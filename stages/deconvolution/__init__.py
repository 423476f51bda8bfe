"""Finding and undoing a blur without training; what ``stages.blind_deconvolution`` is made of.

    measures, search -> is there a blur that can be undone?     estimation -> which kernel?
    hyper_laplacian, tiles -> undo it                           ringing -> take back what that invented

Everything here works on linear operators of whole images, in float32, through real Fourier transforms.
"""
