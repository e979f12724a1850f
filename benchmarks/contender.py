"""Runs one contender in a process of its own: it waits for its turn, takes it, tells its figures.

    python -m benchmarks.contender MODULE:FUNCTION threads|eventlet PLACE

FUNCTION is a context manager that is given the place, a JSON object, and yields a function that
takes one turn.
"""

import sys

if sys.argv[2] == "eventlet":
    import pomona.cooperative  # noqa: F401 - patches what those below import

import importlib
import json
import os
import traceback


def main() -> None:
    module, _, function = sys.argv[1].partition(":")
    enter = getattr(importlib.import_module(module), function)
    # whatever else writes to stdout must not come between the answers
    answers, sys.stdout = sys.stdout, sys.stderr
    with enter(json.loads(sys.argv[3])) as take_turn:
        answers.write("ready\n")
        answers.flush()
        for turn in sys.stdin:
            answers.write(json.dumps(take_turn(**json.loads(turn))) + "\n")
            answers.flush()


if __name__ == "__main__":
    try:
        main()
    except Exception:  # noqa: BLE001 - the last thing it says is why
        traceback.print_exc()
        sys.stderr.flush()
        os._exit(1)
