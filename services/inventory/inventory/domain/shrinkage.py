"""Why goods are written off: what a store records itself, and where returned goods end (R-15)."""

from collections.abc import Mapping

REASONS: tuple[str, ...] = (
    "spoiled",
    "damaged",
    "trimmed",
    "sample",
    "expired",
    "theft",
    "natural_loss",
    "lost_in_transit",
)

DISPOSALS: Mapping[str, str] = {
    "discard": "returned_discarded",
    "supplier_evidence": "returned_evidence",
    "donate": "returned_donated",
    "grade_down": "returned_graded_down",
}
