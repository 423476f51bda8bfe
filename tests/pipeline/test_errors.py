import importlib
import pkgutil

import pipeline
import pipeline.errors
import stages
from pipeline.errors import RestorationError

NEED_AN_EXTRA = {
    "pipeline.backends.int8",
    "pipeline.backends.ncnn",
    "pipeline.backends.openvino",
    "pipeline.web.api",  # whose package takes seconds to import
}


def test_all_lists_what_the_module_offers() -> None:
    offered = {name for name, value in vars(pipeline.errors).items() if _is_ours(value)}
    assert pipeline.errors.__all__ == sorted(offered)


def _is_ours(value: object) -> bool:
    return getattr(value, "__module__", "").startswith(("pipeline.", "stages."))


def test_all_errors_for_users_are_in_the_tree() -> None:
    """Except what is raised and caught inside one module."""
    inner = {"Interrupted", "Diverged"}
    for package in (pipeline, stages):
        for module in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
            if module.name in NEED_AN_EXTRA:
                continue
            if module.name.endswith("__main__"):
                continue
            for name, value in vars(importlib.import_module(module.name)).items():
                if name.startswith("_"):
                    continue
                if isinstance(value, type) and issubclass(value, Exception) and _is_ours(value) and name not in inner:
                    assert issubclass(value, RestorationError), f"{module.name}.{name}"
