"""A storage in memory, ``faulty://``, that fails as it is asked to."""

from collections.abc import Callable
from typing import Any, ClassVar

import fsspec
from fsspec.implementations.memory import MemoryFileSystem

Fault = Callable[[str, str], None]
"""Called with the name of a method and the path before it runs; raises what the storage would."""


class FaultyFileSystem(MemoryFileSystem):
    """As ``memory://``, with content of its own."""

    protocol = "faulty"
    store: ClassVar[dict[str, Any]] = {}
    pseudo_dirs: ClassVar[list[str]] = [""]
    fault: Fault = staticmethod(lambda method, path: None)

    @classmethod
    def _strip_protocol(cls, path: Any) -> Any:
        return super()._strip_protocol(path.replace("faulty://", "memory://") if isinstance(path, str) else path)

    def ls(self, path: str, *arguments: Any, **options: Any) -> Any:
        self.fault("ls", path)
        return super().ls(path, *arguments, **options)

    def info(self, path: str, **options: Any) -> Any:
        self.fault("info", path)
        return super().info(path, **options)

    def get_file(self, path: str, *arguments: Any, **options: Any) -> Any:
        self.fault("get_file", path)
        return super().get_file(path, *arguments, **options)

    def put_file(self, file: str, path: str, *arguments: Any, **options: Any) -> Any:
        self.fault("put_file", path)
        return super().put_file(file, path, *arguments, **options)


fsspec.register_implementation("faulty", FaultyFileSystem, clobber=True)
