"""Which of two languages a sentence to the person at the screen is in."""

import os


def in_chinese() -> bool:
    """Say whether the environment asks for Chinese, by the usual order of its variables."""
    for variable in ("LC_ALL", "LC_MESSAGES", "LANG"):
        value = os.environ.get(variable)
        if value:
            return value.lower().startswith("zh")
    return False


def say(zh: str, en: str) -> str:
    """Return the sentence in the language of the person at the screen."""
    return zh if in_chinese() else en
