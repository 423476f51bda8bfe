"""The command `restorechain`: joins the commands of the three packages."""

from pipeline.cli.app import app
from pipeline.device.process import (
    collect_garbage_rarely,
    ended_without_freeing,
    keep_freed_memory,
    let_waiting_threads_sleep,
)
from stages.commands import stages_app
from stages.weights_commands import weights_app
from train.cli.commands import register as register_training

app.add_typer(stages_app, name="stages")
app.add_typer(weights_app, name="weights")
register_training(app)


def main() -> None:
    """Run the command line."""
    let_waiting_threads_sleep()
    keep_freed_memory()
    collect_garbage_rarely()
    app()


def run_process() -> None:
    """Run the command line as all that this process is for."""
    with ended_without_freeing():
        main()


if __name__ == "__main__":
    run_process()
