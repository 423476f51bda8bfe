"""The root of all errors that are shown to a user as a text, without a traceback."""


class RestorationError(Exception):
    """Base of all errors whose text alone is enough for a user."""


class WeightsError(RestorationError):
    """A file that a stage is built from (weights, a blur kernel) is missing, damaged, or does not fit the stage."""
