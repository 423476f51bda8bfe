"""Shards divide all inputs: each belongs to one of them, always to the same."""

from pathlib import Path

import pytest

from pipeline.batch.shard import Shard
from pipeline.errors import ConfigError


def test_each_input_belongs_to_one_shard() -> None:
    shards = [Shard(number, 4) for number in range(1, 5)]
    paths = [Path(f"deep/{number}.png") for number in range(400)]
    owners = [[shard.number for shard in shards if shard.holds(path)] for path in paths]
    assert all(len(owner) == 1 for owner in owners)
    assert all(80 < owners.count([number]) < 120 for number in range(1, 5))


def test_it_is_written_as_a_fraction() -> None:
    assert Shard.parse("3/16") == Shard(3, 16)
    assert str(Shard(3, 16)) == "3-of-16"


@pytest.mark.parametrize("text", ["0/4", "5/4", "1", "1/0", "a/b", "1/4/2"])
def test_what_is_no_share_is_refused(text: str) -> None:
    with pytest.raises(ConfigError, match=r"shard: got .*, expected NUMBER/COUNT such as 3/16"):
        Shard.parse(text)
