"""Run the web page until it is stopped."""

from __future__ import annotations

import os
import socket
import tempfile
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from pipeline.errors import ConfigError
from stages.extras import install_hint

if TYPE_CHECKING:
    import uvicorn


def serve(
    chains: Sequence[Path],
    *,
    clips: Path | None,
    host: str,
    port: int,
    auth: Path | None,
    max_megapixels: float,
    device: str,
    say: Callable[[str], None],
) -> None:
    """Serve the page; all that visitors send lies in one temporary folder, which is deleted at the end.

    Args:
        chains: Offered to visitors, the first by default.
        clips: As of ``Chains``.
        host: Address to listen at.
        port: Likewise; 0 for any that is free.
        auth: File with NAME:PASSWORD lines; everyone may come in without one.
        max_megapixels: Larger images are refused.
        device: As of ``Engine``.
        say: Prints a line.

    Raises:
        ConfigError: for wrong chains or accounts, if the packages of the extra are missing, or the port is taken.
    """
    os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"  # read when it is imported
    try:
        import gradio  # noqa: F401
        import uvicorn
    except ImportError as error:
        raise ConfigError(f"{error.name} is not installed; {install_hint('web')}") from error

    from pipeline.web.api import mount_api
    from pipeline.web.app import WebPage
    from pipeline.web.chains import Chains
    from pipeline.web.gate import Gate, allowed_hosts, read_accounts

    accounts = {} if auth is None else read_accounts(auth)
    with tempfile.TemporaryDirectory(prefix="restorechain-", ignore_cleanup_errors=True) as root:
        page = WebPage(Chains(chains, clips), Path(root), round(max_megapixels * 1e6), device)
        mount_api(page)
        gate = Gate(page.app, page.sessions, accounts, allowed_hosts(host))
        config = uvicorn.Config(
            gate,
            host=host,
            port=port,
            log_config=None,  # its own would close the handlers of the whole process
            log_level="critical",
            server_header=False,
            ws="none",
            timeout_graceful_shutdown=2,  # open pages never end their stream of states by themselves
        )
        listening = _bind(config)
        say(f"http://{f'[{host}]' if ':' in host else host}:{listening.getsockname()[1]}  (Ctrl+C ends it)")
        with suppress(KeyboardInterrupt):
            uvicorn.Server(config).run(sockets=[listening])


def _bind(config: uvicorn.Config) -> socket.socket:
    try:
        return config.bind_socket()
    except SystemExit as error:
        raise ConfigError(
            f"port: cannot listen at {config.host}:{config.port}; choose another (0: any that is free)"
        ) from error
