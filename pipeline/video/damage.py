"""The errors that libav raises for damaged data."""

import av

# Damaged headers also make it ask for more memory than there is, hand a codec what it refuses, and state kinds of a
# codec that it lacks. Errors of the storage are none of them: they have to fail a file, not to end it early.
DAMAGED = (
    av.error.InvalidDataError,
    av.error.ArgumentError,
    av.error.MemoryError,
    av.error.PatchWelcomeError,
    av.error.BugError,
    av.error.ExternalError,
    av.error.UnknownError,
)
