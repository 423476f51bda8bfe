import sys

import pytest

from stages.torchvision_guard import guard, installed_torchvision_version, needs_schemas


@pytest.mark.parametrize(
    ("torchvision", "torch_cuda", "needed"),
    [
        ("0.28.0+cu130", None, True),
        ("0.28.0+cu130", "13.0", False),
        ("0.28.0+cpu", None, False),
        ("0.28.0", None, False),
        (None, None, False),
    ],
)
def test_only_a_cuda_build_beside_a_cpu_torch_needs_them(
    torchvision: str | None, torch_cuda: str | None, needed: bool
) -> None:
    assert needs_schemas(torchvision, torch_cuda) is needed


def test_version_is_read_without_importing() -> None:
    assert installed_torchvision_version() is not None


def test_torchvision_imports_after_stages() -> None:
    """The tests' conftest has imported stages before any test could import torchvision."""
    import torchvision

    assert guard not in sys.meta_path
    assert torchvision.models.vgg19.__name__ == "vgg19"
