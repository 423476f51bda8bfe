from train.cli.repeatable import repeat_options


def test_an_option_takes_several_values_until_the_next_one() -> None:
    words = ["unet.yaml", "--data", "a", "b", "--resume", "--set", "x=1", "y=2", "--set=z=3", "v=4", "-o", "run"]
    repeated = "unet.yaml --data a --data b --resume --set x=1 --set y=2 --set=z=3 --set v=4 -o run"
    assert repeat_options(words, {"--data", "--set"}) == repeated.split()
