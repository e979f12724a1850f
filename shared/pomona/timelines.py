"""Positions that no other life of the database has given: after a restore the numbers jump.

PostgreSQL begins a new timeline whenever a copy of it is promoted: after a restore to a moment, and
after a failover, which may lose the last commits too. What was lost had been published under
positions that readers have seen. Used again for other events they would be taken for duplicates; so
the first event of a timeline takes a position beyond whatever the clock says can have been given.
"""

from typing import Any

import psycopg
from psycopg.sql import SQL, Identifier, Literal

# No log appends this fast for long: the clock stays ahead of the positions that it starts.
POSITIONS_PER_SECOND = 10_000

_SCHEMA = """
CREATE TABLE IF NOT EXISTS timelines (
    first_position bigint PRIMARY KEY,
    timeline       text NOT NULL,
    began_at       timestamptz NOT NULL DEFAULT now()
);
INSERT INTO timelines (first_position, timeline)
SELECT 1, left(pg_walfile_name(pg_current_wal_insert_lsn()), 8)
WHERE NOT EXISTS (SELECT FROM timelines);

-- The owner's rights, since those who append may not set a sequence.
CREATE OR REPLACE FUNCTION jump_on_a_new_timeline() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
    here text := left(pg_walfile_name(pg_current_wal_insert_lsn()), 8);
    positions text;
    first bigint;
BEGIN
    IF here = (SELECT timeline FROM timelines ORDER BY first_position DESC LIMIT 1) THEN
        RETURN NULL;
    END IF;
    LOCK TABLE timelines IN EXCLUSIVE MODE;
    IF here = (SELECT timeline FROM timelines ORDER BY first_position DESC LIMIT 1) THEN
        RETURN NULL;  -- somebody else was faster
    END IF;
    positions := pg_get_serial_sequence(format('%I.%I', TG_TABLE_SCHEMA, TG_TABLE_NAME),
                                        'notification_id');
    first := greatest(nextval(positions),
                      (extract(epoch FROM clock_timestamp()) * {per_second})::bigint);
    PERFORM setval(positions, first, false);
    INSERT INTO timelines (first_position, timeline) VALUES (first, here);
    RETURN NULL;
END $$;

CREATE OR REPLACE TRIGGER jump_on_a_new_timeline BEFORE INSERT ON {table}
FOR EACH STATEMENT EXECUTE FUNCTION jump_on_a_new_timeline();
"""


def watch(connection: psycopg.Connection[Any], table: str) -> None:
    """Let a table of events notice by itself that it stands on a new timeline."""
    connection.execute(
        SQL(_SCHEMA).format(table=Identifier(table), per_second=Literal(POSITIONS_PER_SECOND))
    )
