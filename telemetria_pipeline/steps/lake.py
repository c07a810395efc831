"""The lake that the settings name, if it is one of today's layout."""

from telemetria_pipeline.settings import Settings
from telemetria_pipeline.storage.lake import Lake
from telemetria_pipeline.storage.object_store import StorageError

_BY_SOURCE = ("raw_telemetry", "telemetry_trips")
_known: set[str] = set()


class OldLayout(StorageError):
    """The lake was written before hours had sources."""

    permanent = True


def open_lake(settings: Settings) -> Lake:
    """The lake. Raises `OldLayout` for one whose hours do not say which source they are of.

    It costs two listings, once in a process.
    """
    lake = Lake.open(settings.lake)
    if settings.lake not in _known:
        for table in _BY_SOURCE:
            if any(folder.startswith("data=") for folder in lake.store.folders(table)):
                raise OldLayout(
                    f"{lake.store.uri(table)} holds hours without a source (data=…), written by an earlier "
                    "version: name an empty folder or prefix in TELEMETRIA_LAKE; this lake stays as it is"
                )
        _known.add(settings.lake)
    return lake
