from pathlib import Path

import pytest
import typer

from train.cli.options import CONFIGS, find_config, parse_time


def test_time_is_read_or_refused() -> None:
    assert parse_time("01:02:03").total_seconds() == 3723
    with pytest.raises(Exception, match="expected HH:MM:SS"):
        parse_time("20 minutes")
    for nothing in ("00:00:00", "-1:00:00"):
        with pytest.raises(typer.BadParameter, match="expected HH:MM:SS"):
            parse_time(nothing)


def test_a_configuration_is_a_shipped_name_or_a_file() -> None:
    assert find_config("unet") == CONFIGS / "unet.yaml"
    assert find_config("my/unet.yaml") == Path("my/unet.yaml")
    with pytest.raises(typer.BadParameter, match=r"got 'unit', expected a training YAML or one of .*unet"):
        find_config("unit")
