"""Errors that are shown to a user as one message, without a traceback."""


class RestorationError(Exception):
    """Base of all errors whose message is enough for a user."""


class WeightsError(RestorationError):
    """A file that a stage is built from (weights, a blur kernel) is missing, damaged, or does not fit the stage."""
