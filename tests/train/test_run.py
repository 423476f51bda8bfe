import shutil
from pathlib import Path

import pytest

from pipeline.errors import ConfigError
from train.config import TrainingConfig
from train.data.layouts import Files, find_files
from train.data.split import split
from train.run import Run


@pytest.fixture
def files(sharp_folder: Path) -> tuple[Files, Files]:
    return split(find_files([sharp_folder]), 3)


@pytest.fixture
def begun(config: TrainingConfig, files: tuple[Files, Files], tmp_path: Path) -> Run:
    """A run to resume."""
    run = Run(tmp_path / "run", resume=True)
    run.checkpoints.mkdir(parents=True)
    run.last.touch()
    run.keep(config, *files)
    return run


def test_two_runs_do_not_share_a_folder(tmp_path: Path) -> None:
    run = Run(tmp_path / "run")
    with run.alone(), pytest.raises(ConfigError, match=r"another run is using .*run; choose another folder"):
        run.alone().__enter__()
    with run.alone():
        pass


def test_a_file_is_no_folder_for_a_run(tmp_path: Path) -> None:
    (tmp_path / "run").touch()
    with pytest.raises(ConfigError, match=r"got the file .*run, expected a folder"):
        Run(tmp_path / "run").alone().__enter__()


def test_a_run_killed_before_its_first_checkpoint_can_start_again(
    config: TrainingConfig, files: tuple[Files, Files], tmp_path: Path
) -> None:
    run = Run(tmp_path / "run")
    (run.folder / "log" / "version_0").mkdir(parents=True)
    run.keep(config, *files)
    run.check(config, *files)


def test_a_run_goes_on_with_its_own_data_alone(
    config: TrainingConfig, files: tuple[Files, Files], begun: Run, sharp_folder: Path
) -> None:
    begun.check(config, *files)
    shutil.copytree(sharp_folder, sharp_folder.with_name("elsewhere"))
    begun.check(config, *split(find_files([sharp_folder.with_name("elsewhere")]), 3))
    (sharp_folder / "0.png").write_bytes(b"another")
    with pytest.raises(ConfigError, match=r"resume: data must stay the same; .* as init\n  data: was"):
        begun.check(config, *files)


def test_a_run_goes_on_with_as_many_devices(config: TrainingConfig, files: tuple[Files, Files], begun: Run) -> None:
    with pytest.raises(ConfigError, match="devices: was 1, is 2"):
        Run(begun.folder, resume=True, devices=2).check(config, *files)
