"""API keys: ``wk_<id>_<secret>``, stored as a hash, with the scopes read, write, curate and admin."""

from __future__ import annotations

import hashlib
import hmac
import ipaddress
import secrets
import time

from wares.core.errors import AccessDenied, ConfigError, NotAuthenticated
from wares.core.key_roles import bind_role, key_roles
from wares.core.state import State, stamp

SCOPES = ("read", "write", "curate", "admin")
"""``curate`` is for those who say how search answers: rules, synonyms."""
FRESH_SECONDS = 2.0


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach a server bound to `host`."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _hash(secret: str) -> str:
    # The secret has 256 random bits, so that a plain digest cannot be searched.
    return hashlib.sha256(secret.encode()).hexdigest()


def create_key(state: State, name: str, scopes: list[str], role: str = "") -> str:
    """Make a key and return it; only its hash is kept, so it cannot be shown again.

    With `role` the key reads data as that role; without, as ``access.key_role`` of the settings.

    Raises:
        ConfigError: for an unknown scope.
    """
    wrong = [scope for scope in scopes if scope not in SCOPES]
    if wrong or not scopes:
        raise ConfigError(
            f"unknown scope {wrong[0]!r}" if wrong else "a key needs a scope",
            mend=f"Use {', '.join(SCOPES)}",
            key="scope",
            source="key",
        )
    key_id, secret = secrets.token_hex(6), secrets.token_urlsafe(32)
    state.put_key(
        {
            "id": key_id,
            "name": name,
            "hash": _hash(secret),
            "scopes": " ".join(sorted(set(scopes))),
            "created": stamp(),
        }
    )
    if role:
        bind_role(state, key_id, role)
    return f"wk_{key_id}_{secret}"


class Gate:
    """Checks keys; revocations count after two seconds at the latest."""

    def __init__(self, state: State | None, *, required: bool) -> None:
        self.state, self.required = state, required
        self._keys: dict[str, tuple[str, frozenset[str]]] = {}
        self._roles: dict[str, str] = {}
        self._read = -1e9

    def _known(self) -> dict[str, tuple[str, frozenset[str]]]:
        if self.state is not None and time.monotonic() - self._read > FRESH_SECONDS:
            self._keys = {
                k["id"]: (k["hash"], frozenset(k["scopes"].split()))
                for k in self.state.keys()
                if not k["revoked"]
            }
            self._roles = key_roles(self.state)
            self._read = time.monotonic()
        return self._keys

    def caller(self, header: str | None, scope: str) -> str:
        """Who asks, for histories: the key, or ``api`` where none is needed.

        Raises:
            NotAuthenticated, AccessDenied: as `check`.
        """
        key = self.check(header, scope)
        return f"key {key}" if key else "api"

    def role(self, header: str | None, default: str) -> tuple[str, str]:
        """Who reads data, as (key id, role): the role that the key is bound to, or `default`.

        A key counts here even where the server needs none; a bad one is refused and not overlooked.

        Raises:
            NotAuthenticated: for a key that is unknown or revoked, or where one is needed and none came.
        """
        if not header and not self.required:
            return "", default
        key_id, _ = self._key(header)
        return key_id, self._roles.get(key_id, default)

    def check(self, header: str | None, scope: str) -> str:
        """The id of the key in an ``Authorization: Bearer`` header; empty when none is required.

        Raises:
            NotAuthenticated: without a good key.
            AccessDenied: when the key lacks the scope; admin includes all.
        """
        if not self.required:
            return ""
        key_id, scopes = self._key(header)
        if scope not in scopes and "admin" not in scopes:
            raise AccessDenied(
                f"this key may not {scope}",
                mend=f"Make one with `wares key create --scope {scope}`",
                who=key_id,
                what=scope,
            )
        return key_id

    def _key(self, header: str | None) -> tuple[str, frozenset[str]]:
        mend = "Send `Authorization: Bearer wk_…`; make one with `wares key create`"
        kind, _, token = (header or "").partition(" ")
        parts = token.strip().split("_", 2)
        if kind.lower() != "bearer" or len(parts) != 3 or parts[0] != "wk":
            raise NotAuthenticated("this server needs an API key", mend=mend)
        known = self._known().get(parts[1])
        if known is None or not hmac.compare_digest(known[0], _hash(parts[2])):
            raise NotAuthenticated("this API key is unknown or revoked", mend=mend)
        return parts[1], known[1]
