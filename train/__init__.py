"""Training, one stage at a time, alone or inside a chain."""

import stages as _stages  # noqa: F401  (lets torchvision, and so Lightning, be imported beside a torch without CUDA)
