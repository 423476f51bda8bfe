"""YAML files of any content end in a configuration, or in lines that say what is wrong with them."""

from __future__ import annotations

import signal
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from random import Random
from typing import Any

import pytest

from pipeline.chain.chain import Chain
from pipeline.chain.config import load_chain_config
from pipeline.chain.yaml_validation import read_yaml
from pipeline.errors import ConfigError, RestorationError
from tests.faults.campaign import Campaign
from tests.faults.command import LONGEST, ROOT
from tests.faults.mutation import mutate

_LAUGHS = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"a{level}: &a{level} [{', '.join([f'*a{level - 1}'] * 10)}]\n" for level in range(1, 10)
)
HOSTILE = {
    "a billion aliases": f"{_LAUGHS}stages: *a9\n",
    "a billion merged keys": "a0: &a0 {k0: 1}\n"
    + "".join(f"a{n}: &a{n} {{<<: [{', '.join([f'*a{n - 1}'] * 10)}], k{n}: 1}}\n" for n in range(1, 10))
    + "stages: [*a9]\n",
    "nested lists": f"stages: {'[' * 400}{']' * 400}\n",
    "open lists": f"stages: {'[' * 600}",
    "a list in itself": "stages: &a [*a]\n",
    "a long integer": f"stages: [{{stage: unsharp_mask, sigma: {'9' * 5000}}}]\n",
    "a long sexagesimal": f"stages: [{{stage: unsharp_mask, sigma: 1{':1' * 3000}}}]\n",
    "no date": "stages: [{stage: unsharp_mask, sigma: 2001-99-99}]\n",
    "no time zone": "stages: 2001-12-14t21:59:43.10-99:99\n",
    "no truth": "stages: [{stage: unsharp_mask, sigma: !!bool maybe}]\n",
    "no integer": "stages: [{stage: unsharp_mask, sigma: !!int ''}]\n",
    "no float": "stages: [{stage: unsharp_mask, sigma: !!float abc}]\n",
    "code": "stages: !!python/object/apply:os.system ['touch stolen']\n",
    "a set": "stages: [{stage: dncnn, weights: !!set {a}}]\n",
    "bytes": "stages: [{stage: dncnn, weights: !!binary YQ==}]\n",
    "a date as key": "2001-01-01: 1\n",
    "bytes as key": "!!binary YQ==: 1\n",
    "half a character": 'stages: [{stage: "\\ud800"}]\n',
    "a terminal's commands": 'stages: [{stage: dncnn, weights: "\\e[2J\\0"}]\n',
    "a long path": f"stages: [{{stage: dncnn, weights: {'a' * 5000}}}]\n",
    "a path outside": "stages: [{stage: dncnn, weights: ../../../../../etc/passwd}]\n",
    "an address": "stages: [{stage: dncnn, weights: 'http://127.0.0.1:1/a.safetensors'}]\n",
    "a device": "stages: [{stage: dncnn, weights: /dev/zero}]\n",
    "a long kernel path": f"stages: [{{stage: richardson_lucy, kernel: {'a' * 5000}}}]\n",
    "a huge kernel": "stages: [{stage: unsharp_mask, sigma: 1e9}]\n",
    "many stages": f"stages: [{'{stage: unsharp_mask}, ' * 200}]\n",
    "a huge file": f"stages: []\n#{' ' * 2**20}\n",
}


@pytest.mark.parametrize("kind", HOSTILE)
def test_hostile_chains_are_refused_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str) -> None:
    monkeypatch.chdir(tmp_path)
    Path("chain.yaml").write_text(HOSTILE[kind])
    with _in_time(10), pytest.raises(ConfigError, match=r"^chain\.yaml:"):
        load_chain_config(Path("chain.yaml"))
    assert not Path("stolen").exists()


def test_damaged_yamls_end_in_plain_words(tmp_path: Path) -> None:
    counts = _campaign(tmp_path, 40, 0)
    assert counts["refused"] > 20


@pytest.mark.slow
@pytest.mark.timeout(0)
def test_two_thousand_damaged_yamls(tmp_path: Path, campaign: Campaign) -> None:
    counts = _campaign(tmp_path, campaign.count(2000), campaign.seed)
    campaign.report("damaged YAMLs", f"{counts.total()}: {counts}")


def _campaign(folder: Path, count: int, seed: int) -> Counter[str]:
    """Read damaged copies of all YAMLs that are shipped; returns the outcomes."""
    random, counts = Random(seed), Counter[str]()
    readers = {path: reader for kind, reader in _readers().items() for path in sorted(ROOT.glob(kind))}
    texts = {path: path.read_bytes() for path in readers}
    for number in range(count):
        source = list(readers)[number % len(readers)]
        data = _with_token(texts[source], random)
        if random.random() < 0.5:
            data, _ = mutate(data, random)
        mutated = folder / source.name
        mutated.write_bytes(data)
        began = time.monotonic()
        try:
            with _in_time(LONGEST):
                readers[source](mutated)
            counts["valid"] += 1
        except RestorationError:
            counts["refused"] += 1
        except Exception as error:
            (folder / f"fault_{number}.yaml").write_bytes(data)
            pytest.fail(f"{folder / f'fault_{number}.yaml'}: {type(error).__name__}: {error}")
        assert time.monotonic() - began < LONGEST
    return counts


def _readers() -> dict[str, Callable[[Path], Any]]:
    from train.config import read_config
    from train.degradation.degraded_set import DegradedSet

    return {
        "configs/*.yaml": lambda path: Chain.build(load_chain_config(path)),
        "configs/train/*.yaml": read_config,
        "configs/degrade/*.yaml": lambda path: read_yaml(path, DegradedSet),
    }


_TOKENS = (
    *(b"~", b"''", b"[]", b"{}", b"-1", b"0", b"1e308", b"-1e308", b".inf", b".nan", b"9" * 5000, b"1:2:3", b"yes"),
    *(b"2001-99-99", b"!!int x", b"!!bool x", b"!!float x", b"!!binary '#'", b"!!set {a}", b"!!python/name:os.system"),
    *(
        b"*a",
        b"&a [*a]",
        b"<<: 1",
        b"? [a]",
        b'"\\0"',
        b'"\\ud800"',
        b"| \n  text",
        b"a" * 5000,
        b"../../x",
        b"[1, [2]]",
    ),
)


def _with_token(data: bytes, random: Random) -> bytes:
    """Replace the value or the key of a random line."""
    lines = data.split(b"\n")
    place = random.randrange(len(lines))
    key, colon, value = lines[place].partition(b":")
    token = random.choice(_TOKENS)
    lines[place] = key + colon + b" " + token if random.random() < 0.8 else token + colon + value
    return b"\n".join(lines)


@contextmanager
def _in_time(seconds: float) -> Iterator[None]:
    """Raise TimeoutError inside after so many seconds."""
    if sys.platform == "win32":
        yield
        return

    def end(number: int, frame: object) -> None:
        raise TimeoutError(f"takes more than {seconds:.0f} s")

    before = signal.signal(signal.SIGALRM, end)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
