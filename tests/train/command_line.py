"""The command line of training, run in this process."""

import pytest

from train.__main__ import app


def main() -> int:
    """Run ``python -m train`` with the arguments in ``sys.argv``; return its exit code."""
    with pytest.raises(SystemExit) as ended:
        app(prog_name="python -m train")
    return int(ended.value.code or 0)
