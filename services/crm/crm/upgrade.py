"""From 0.1.0, which kept the keys of customers in crm's own database, to keys in one apart."""

from uuid import UUID

from pomona.eventstore import Cursor
from pomona.personal import People

# Run by the migration, before and after the service took the keys over. Requests were remembered
# by a hash that let guesses be checked.
SCHEMA = """
DO $$ BEGIN
    IF to_regclass('person_keys') IS NOT NULL THEN
        IF EXISTS (SELECT FROM person_keys) THEN
            UPDATE commands SET request_hash = '';
        ELSE
            DROP TABLE person_keys, phone_index_key;
        END IF;
    END IF;
END $$;
"""


def take_over_keys(cursor: Cursor, people: People) -> list[UUID]:
    """Move each key to the database of keys, and return whose phones are to be indexed anew."""
    cursor.execute("SELECT to_regclass('person_keys') IS NOT NULL AS there")
    row = cursor.fetchone()
    if row is None or not row["there"]:
        return []
    cursor.execute("SELECT customer_id, key FROM person_keys")
    found = {row["customer_id"]: bytes(row["key"]) for row in cursor.fetchall()}
    for customer_id, key in found.items():
        people.adopt(customer_id, key)
    return list(found)


def forget_old_key(cursor: Cursor, customer_id: UUID) -> None:
    cursor.execute("DELETE FROM person_keys WHERE customer_id = %s", (customer_id,))
