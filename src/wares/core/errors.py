"""Every error that wares raises, as one tree. Each carries its fields and says the mend."""

from __future__ import annotations

from typing import Any


class WaresError(Exception):
    """Base of all errors of ours. ``mend`` says what the reader can do; ``fields`` is machine-readable."""

    status = 500
    title = "Fault"

    def __init__(self, message: str, *, mend: str = "", **fields: Any) -> None:
        super().__init__(message)
        self.message = message
        self.mend = mend
        self.fields = fields

    def __str__(self) -> str:
        return f"{self.message}. {self.mend}" if self.mend else self.message


class ConfigError(WaresError, ValueError):
    """A setting is missing, unknown or of the wrong kind. Fields: ``key``, ``source``."""

    title = "Configuration"


class DataError(WaresError):
    """Something is wrong with data, not with code."""

    status = 422
    title = "Data"


class SourceError(DataError):
    """A source cannot be read at all. Fields: ``source``, ``line``."""


class ContractViolation(DataError):
    """Rows broke a contract. Fields: ``table``, ``rule``, ``rows``."""


class VersionNotFound(DataError):
    """The asset never had this version. Fields: ``asset``, ``version``."""

    status = 404


class VersionErased(DataError):
    """The version existed and its files were removed on purpose. Fields: ``asset``, ``version``."""

    status = 410


class CommitConflict(DataError):
    """Another writer committed first. Fields: ``asset``."""

    status = 409


class AccessDenied(WaresError, PermissionError):
    """The caller may not do this. Fields: ``who``, ``what``."""

    status = 403
    title = "Access denied"


class NotAuthenticated(AccessDenied):
    """No usable key came with the request."""

    status = 401
    title = "Key required"


class ModelError(WaresError):
    """Something is wrong with a model or an artefact."""

    title = "Model"


class NotFitted(ModelError):
    """There is nothing to rank with yet."""

    status = 503


class IncompatibleArtifact(ModelError):
    """An artefact is damaged, or written by another version. Fields: ``path``."""


class NotIdentified(ModelError):
    """The data cannot tell what is asked, and no number stands in for it. Fields: ``id``, ``reason``."""

    status = 422
    title = "Not identified"


class QueryError(WaresError, ValueError):
    """The question is malformed. Fields: ``parameter``."""

    status = 400
    title = "Bad request"


class NotFound(QueryError):
    """The named thing does not exist. Fields: ``id``."""

    status = 404
    title = "Not found"


class Unavailable(WaresError):
    """Not now; later it may work."""

    status = 503
    title = "Unavailable"


class Overloaded(Unavailable):
    """Too many requests are waiting. Fields: ``retry_after`` in seconds."""

    title = "Overloaded"


class TimedOut(Unavailable):
    """The answer did not come in time."""

    status = 504
    title = "Timed out"


class MissingExtra(WaresError, ImportError):
    """An optional part is not installed. Fields: ``extra``."""

    title = "Part not installed"

    def __init__(self, what: str, extra: str) -> None:
        super().__init__(
            f"{what} needs a part that is not installed", mend=f"pip install 'wares[{extra}]'", extra=extra
        )
