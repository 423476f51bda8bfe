"""`restorechain tune`: find the fastest engine of each network on this machine, ahead of the first run."""

from __future__ import annotations

from rich.table import Table

from pipeline.cli import options
from pipeline.cli.terminal import OUT


def tune(chains: options.Chains = None) -> None:
    """Find the fastest engine for each network on the CPU.

    Runs each in turn on a small photo and a frame of 640x360 and remembers the result, which `--backend auto` uses from
    then on; without this command it does so at a network's first use. To be run while the machine has nothing else to
    do. A chain runs on the engine that is the fastest for all of its networks together, except for those that another
    one runs in nine tenths of the time.
    """
    import torch

    from pipeline.backends.choice import racers
    from pipeline.backends.preparation import race_engines
    from pipeline.backends.race import assign
    from pipeline.chain.chain import Chain
    from pipeline.engine.engine import Engine, named_stages

    engines = racers(torch.device("cpu"), "fp32")
    table = Table("chain", "stage", *engines, "chosen", caption="milliseconds a megapixel")
    for path in chains or [options.DEFAULT_CHAIN]:
        chain = Engine(Chain.load(path), device="cpu").chain
        networks = [named for named in named_stages(chain) if named.is_network]
        races = [race_engines(named, engines, again=True) for named in networks]
        for named, times, chosen in zip(networks, races, assign(races), strict=True):
            cells = [f"{times[engine]:.0f}" if engine in times else "cannot" for engine in engines]
            table.add_row(path.stem, named.name, *cells, chosen)
    OUT.print(table, soft_wrap=False)
