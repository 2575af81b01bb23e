"""Which role an API key reads data in. A table of its own, so that states made before roles keep working."""

from __future__ import annotations

import sqlalchemy as sa

from wares.core.state import State

metadata = sa.MetaData()
roles_of_keys = sa.Table(
    "key_roles",
    metadata,
    sa.Column("key_id", sa.String(16), primary_key=True),
    sa.Column("role", sa.String(100), nullable=False),
)


def bind_role(state: State, key_id: str, role: str) -> None:
    """From now on the key reads data as `role`."""
    state.ensure(roles_of_keys)
    with state.engine.begin() as connection:
        connection.execute(roles_of_keys.delete().where(roles_of_keys.c.key_id == key_id))
        connection.execute(roles_of_keys.insert(), {"key_id": key_id, "role": role})


def key_roles(state: State) -> dict[str, str]:
    """Key id to role; keys that were bound to none are absent."""
    state.ensure(roles_of_keys)
    with state.engine.connect() as connection:
        return {str(row.key_id): str(row.role) for row in connection.execute(sa.select(roles_of_keys))}
