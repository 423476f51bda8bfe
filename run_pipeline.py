"""The command `restorechain`: joins the commands of the three packages."""

from pipeline.cli.app import app
from pipeline.device.process import keep_freed_memory, let_waiting_threads_sleep


def main() -> None:
    """Run the command line."""
    let_waiting_threads_sleep()
    keep_freed_memory()
    app()


if __name__ == "__main__":
    main()
