"""`restorechain tune`: find the fastest engine of each network on this machine, ahead of the first run."""

from __future__ import annotations

from rich.table import Table

from pipeline.cli import options
from pipeline.cli.terminal import OUT


def tune(chains: options.Chains = None) -> None:
    """Find the fastest engine for each network on the CPU.

    Runs each in turn on a small photo and remembers the result, which `--backend auto` uses from then on; without
    this command it does so at a network's first use. To be run while the machine has nothing else to do.
    """
    import torch

    from pipeline.backends.choice import racers
    from pipeline.backends.preparation import race_engines
    from pipeline.chain.chain import Chain
    from pipeline.engine.engine import named_stages

    engines = racers(torch.device("cpu"), "fp32")
    table = Table("chain", "stage", *(f"{engine} ms" for engine in engines), "fastest")
    for path in chains or [options.DEFAULT_CHAIN]:
        for named in named_stages(Chain.load(path)):
            if not named.is_network:
                continue
            times = race_engines(named, engines, again=True)
            cells = [f"{times[engine]:.1f}" if engine in times else "cannot" for engine in engines]
            table.add_row(path.stem, named.name, *cells, next(iter(times)))
    OUT.print(table, soft_wrap=False)
