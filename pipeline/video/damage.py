"""The errors that libav raises for damaged data."""

import av

# Damaged headers make it ask for more memory than there is, or hand a codec what it refuses. Errors of the storage are
# none of them: they have to fail a file, not to end it early.
DAMAGED = (av.error.InvalidDataError, av.error.ArgumentError, av.error.MemoryError)
