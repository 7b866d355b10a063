"""Files on a disk and objects in a store, as streams of bytes."""

from __future__ import annotations

from pathlib import Path
from typing import Any, BinaryIO, cast
from urllib.parse import unquote, urlsplit

from include.kreislauf.collection.access_answer import NotThere
from include.kreislauf.errors import SourceError

OBJECT_STORES = ("s3", "gs", "gcs", "abfs", "abfss")


def scheme_of(url: str) -> str:
    """``file`` for paths."""
    return url.split("://")[0].lower() if "://" in url else "file"


def open_local(url: str) -> BinaryIO:
    """A file by path or ``file://`` URL.

    Raises
    ------
    NotThere: no such file.
    SourceError: it cannot be read, or is a folder.
    """
    path = Path(unquote(urlsplit(url).path)) if "://" in url else Path(url)
    try:
        return path.open("rb")
    except (FileNotFoundError, NotADirectoryError) as error:
        raise NotThere("file not found", where=str(path)) from error
    except (OSError, ValueError) as error:
        raise SourceError(
            f"cannot be read ({type(error).__name__})", where=str(path),
            next_step="correct the path, or the file's permissions",
        ) from error  # fmt: skip


def open_object(url: str, max_bytes: int) -> BinaryIO:
    """An object in a store, through Arrow, which brings the stores' clients along.

    Raises
    ------
    NotThere: no such object.
    SourceError: it is too large, or the store cannot be reached (transient).
    """
    from pyarrow import fs

    try:
        store, path = fs.FileSystem.from_uri(url)
        info = store.get_file_info(path)
        if info.type == fs.FileType.NotFound:
            raise NotThere("object not found", where=url)
        # as a file, since a stream would decompress what ends in .gz
        return cast(BinaryIO, _checked(store.open_input_file(path), url, max_bytes))
    except FileNotFoundError as error:
        raise NotThere("object not found", where=url) from error
    except (OSError, ValueError) as error:
        raise SourceError(
            f"the object store does not deliver ({error})", where=url, next_step="try again later",
            transient=isinstance(error, OSError),
        ) from error  # fmt: skip


def _checked(file: Any, url: str, max_bytes: int) -> Any:
    if file.size() > max_bytes:
        raise SourceError(f"has {file.size()} bytes", where=url, allowed=f"at most {max_bytes} bytes")
    return file
