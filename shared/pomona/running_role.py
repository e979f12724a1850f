"""What a running service may do in its database: to events and commands it only adds.

One role owns the tables and makes them; the service itself runs as another, whose name is the
owner's with `_app` behind it. What nobody should rewrite, it cannot rewrite.
"""

from collections.abc import Iterable
from typing import Any

import psycopg
from psycopg.sql import SQL, Identifier

from pomona.config import Misconfigured

_HERE = """
GRANT USAGE ON SCHEMA {schema} TO {role};
GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA {schema} TO {role};
GRANT USAGE ON ALL SEQUENCES IN SCHEMA {schema} TO {role};
"""
# a rebuild puts new tables in the place of those
_TO_COME = """
ALTER DEFAULT PRIVILEGES GRANT USAGE ON SCHEMAS TO {role};
ALTER DEFAULT PRIVILEGES GRANT SELECT, INSERT, UPDATE, DELETE ON TABLES TO {role};
ALTER DEFAULT PRIVILEGES GRANT USAGE ON SEQUENCES TO {role};
"""
_SCHEMAS = """
SELECT nspname FROM pg_namespace
WHERE nspname = 'public' OR nspowner = (SELECT oid FROM pg_roles WHERE rolname = current_user)
"""


def running_role(owner: str) -> str:
    return f"{owner}_app"


def let_it_run(connection: psycopg.Connection[Any], *, append_only: Iterable[str] = ()) -> None:
    """Give the running role its rights on the owner's tables, those there and those to come."""
    name = running_role(connection.info.user)
    if connection.execute("SELECT FROM pg_roles WHERE rolname = %s", (name,)).fetchone() is None:
        raise Misconfigured(f"there is no database role {name}: create it and migrate again")
    role = Identifier(name)
    with connection.transaction():
        connection.execute(SQL(_TO_COME).format(role=role))
        for (schema,) in connection.execute(_SCHEMAS).fetchall():
            connection.execute(SQL(_HERE).format(schema=Identifier(schema), role=role))
        for table in append_only:
            connection.execute(
                SQL("REVOKE UPDATE, DELETE ON {} FROM {}").format(Identifier(table), role)
            )
