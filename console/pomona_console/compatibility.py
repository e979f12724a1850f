"""What a change of contracts would break for somebody: `make compat`.

Compares the contracts of this working tree with those they were before: at the base of the branch
and at the last release where git knows them, and in any case in docs/contracts.lock. Breaks that
were decided on stand in docs/contracts.breaks, each with its reason.
"""

import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pomona_console.catalogue import DOCS, whole_chain
from pomona_console.contract_lock import LOCK, Shapes, shapes_in, shapes_of

BREAKS = DOCS / "contracts.breaks"

REMEDIES = {
    "published-removed": "Publish the old version beside the new one until nobody reads it.",
    "published-field-removed": "Leave this version as it is and publish the next one beside it.",
    "published-field-retyped": "Leave this version as it is and publish the next one beside it.",
    "published-enum-narrowed": "Leave this version as it is and publish the next one beside it.",
    "published-changed": "Leave this version as it is and publish the next one beside it.",
    "consumed-unpublished": "Read only events that their publisher has released already.",
    "consumed-field-unpublished": "Make the field optional, or release the publisher first.",
    "consumed-field-retyped": "Read the field as its publisher writes it.",
    "consumed-enum-narrower": "Read every word its publisher may write, or read it as text.",
    "request-removed": "Keep the method until no client calls it.",
    "request-kind-changed": "Add a method of the other kind under another name.",
    "request-role-removed": "Keep the role, or tell its holders first and note the break.",
    "request-field-removed": "Go on accepting the field; it need not do anything.",
    "request-field-required": "Make the field optional, with a default for older clients.",
    "request-field-retyped": "Add a field of the new type under another name.",
    "request-enum-narrowed": "Go on accepting the word.",
    "request-limit-narrowed": "Go on accepting what was accepted, or refuse it by a business rule.",
    "stored-removed": "Keep the class: what was stored under its name is stored for ever.",
    "stored-field-removed": "Keep the field: a replica of the version before reads it too.",
    "stored-field-retyped": "Keep the field, add another one, and fill it by an upcast.",
    "stored-field-added": "Raise class_version and fill the field by an upcast.",
    "stored-upcast-missing": "Write upcast_vN_vM for every step up to class_version.",
}

_LOWER_LIMITS = ("minimum", "minLength", "minItems")
_UPPER_LIMITS = ("maximum", "maxLength", "maxItems")


@dataclass(frozen=True, order=True)
class Break:
    """One promise that would no longer hold."""

    rule: str
    subject: str
    what: str = ""

    @property
    def name(self) -> str:
        return " ".join(filter(None, (self.rule, self.subject, self.what)))

    def __str__(self) -> str:
        return f"{self.name}\n    {REMEDIES[self.rule]}"


def breaks(before: Shapes, now: Shapes) -> list[Break]:
    """Return what holds before and would not hold now."""
    found = []
    for key, shape in before.items():
        kind, _, subject = key.partition(" ")
        if kind == "consumed":
            continue  # to read less than before breaks nobody
        if key in now:
            compared = _COMPARED[kind](shape, now[key])
            found += [Break(rule, subject, what) for rule, what in compared]
        else:
            found.append(Break(f"{kind}-removed", subject))
    for key, shape in now.items():
        kind, _, subject = key.partition(" ")
        if kind == "stored":
            found += [Break("stored-upcast-missing", subject, step) for step in _missing(shape)]
        if kind == "consumed":
            # what is read may come from a publisher that is not upgraded yet
            told = f"published {subject.partition('<-')[2]}"
            published = before.get(told, now.get(told))
            found += [Break(rule, subject, what) for rule, what in _readable(shape, published)]
    return sorted(set(found))


Compared = Iterator[tuple[str, str]]


def _published(before: Any, now: Any, path: str = "") -> Compared:
    """Say how a published version changed, which it never may."""
    if before == now:
        return
    if _types(before) != _types(now):
        yield "published-field-retyped", path
        return
    if set(before.get("enum", ())) - set(now.get("enum", ())):
        yield "published-enum-narrowed", path
        return
    inner = list(_inner(before, now, path))
    removed = [name for name in before.get("properties", {}) if name not in now["properties"]]
    for name in removed:
        yield "published-field-removed", f"{path}.{name}".lstrip(".")
    changed = [each for was, is_, at in inner for each in _published(was, is_, at)]
    yield from changed
    if not removed and not changed:
        yield "published-changed", path


def _request(before: Any, now: Any) -> Compared:
    if before["kind"] != now["kind"]:
        yield "request-kind-changed", ""
    for role in before["roles"]:
        if role not in now["roles"]:
            yield "request-role-removed", role
    yield from _accepts(before["request"], now["request"], "")


def _accepts(before: Any, now: Any, path: str) -> Compared:
    """Say what was accepted before and would not be accepted now."""
    if not _types(before) <= _types(now) or before.get("format") != now.get("format"):
        yield "request-field-retyped", path
        return
    yield from _narrower(before, now, path)
    for name in before.get("properties", {}):
        if name not in now["properties"]:
            yield "request-field-removed", f"{path}.{name}".lstrip(".")
    for name in now.get("required", ()):
        if name not in before.get("required", ()):
            yield "request-field-required", f"{path}.{name}".lstrip(".")
    for was, is_, at in _inner(before, now, path):
        yield from _accepts(was, is_, at)


def _narrower(before: Any, now: Any, path: str) -> Compared:
    for word in before.get("enum", ()):
        if word not in now.get("enum", ()) and "enum" in now:
            yield "request-enum-narrowed", f"{path} {word}"
    if "enum" in now and "enum" not in before:
        yield "request-enum-narrowed", path
    for limit in _LOWER_LIMITS:
        if now.get(limit, 0) > before.get(limit, 0):
            yield "request-limit-narrowed", f"{path} {limit}"
    for limit in _UPPER_LIMITS:
        if limit in now and now[limit] < before.get(limit, now[limit] + 1):
            yield "request-limit-narrowed", f"{path} {limit}"


def _stored(before: Any, now: Any) -> Compared:
    for name, was in before["fields"].items():
        if name not in now["fields"]:
            yield "stored-field-removed", name
        elif was != now["fields"][name]:
            yield "stored-field-retyped", name
    if now["version"] <= before["version"]:
        for name in now["fields"]:
            if name not in before["fields"]:
                yield "stored-field-added", name


def _readable(consumed: Any, published: Any, path: str = "") -> Compared:
    if published is None:
        yield "consumed-unpublished", path
        return
    for name in consumed.get("required", ()):
        if name not in published.get("properties", {}):
            yield "consumed-field-unpublished", f"{path}.{name}".lstrip(".")
    for read, told, at in _inner(consumed, published, path):
        if not _types(told) <= _types(read):
            yield "consumed-field-retyped", at
        elif "enum" in read and not set(told.get("enum", [None])) <= set(read["enum"]):
            yield "consumed-enum-narrower", at
        else:
            yield from _readable(read, told, at)


def _missing(stored: Any) -> Iterator[str]:
    for version in range(1, stored["version"]):
        step = f"upcast_v{version}_v{version + 1}"
        if step not in stored["upcasts"]:
            yield step


def _types(shape: Any) -> set[str]:
    given = shape["type"]
    return {given} if isinstance(given, str) else set(given)


def _inner(before: Any, now: Any, path: str) -> Iterator[tuple[Any, Any, str]]:
    """Pair what both shapes have inside: fields, and what lists are of."""
    for name, shape in before.get("properties", {}).items():
        if name in now.get("properties", {}):
            yield shape, now["properties"][name], f"{path}.{name}".lstrip(".")
    if "items" in before and "items" in now:
        yield before["items"], now["items"], f"{path}[]"


_COMPARED = {"published": _published, "request": _request, "stored": _stored}


def decided() -> set[str]:
    """Return the breaks that were decided on, without their reasons."""
    lines = BREAKS.read_text("utf-8").splitlines()
    return {line.partition(": ")[0] for line in lines if line and not line.startswith("#")}


def bases(root: Path) -> dict[str, Shapes]:
    """Return the contracts as they were, by where they were found."""
    found = {f"docs/{LOCK}": shapes_in((root / "docs" / LOCK).read_text("utf-8"))}
    for name, commit in _commits(root):
        text = _git(root, "show", f"{commit}:docs/{LOCK}")
        if text:
            found[name] = shapes_in(text)
    return found


def _commits(root: Path) -> Iterator[tuple[str, str]]:
    head = _git(root, "rev-parse", "HEAD")
    for branch in ("origin/main", "main"):
        base = _git(root, "merge-base", "HEAD", branch)
        if base:
            # on main itself: the commit before this one
            yield (branch, base) if base != head else (f"{branch}~1", "HEAD~1")
            break
    tag = _git(root, "describe", "--tags", "--abbrev=0")
    if tag:
        yield tag, tag


def _git(root: Path, *arguments: str) -> str:
    """Ask git; nothing where it is absent or does not know."""
    try:
        asked = subprocess.run(  # noqa: S603 - the command is ours
            ["git", "-C", str(root), *arguments],  # noqa: S607 - as on the developer's path
            capture_output=True,
            text=True,
            check=False,
        )
    except FileNotFoundError:
        return ""
    return asked.stdout.strip() if asked.returncode == 0 else ""


def undecided(before: Shapes, now: Shapes) -> Sequence[Break]:
    """Return the breaks that nobody has decided on."""
    known = decided()
    return [each for each in breaks(before, now) if each.name not in known]


def main() -> int:
    """Report every break with its remedy; the exit status is 1 where there is one."""
    now = shapes_of(whole_chain())
    status = 0
    for name, before in bases(DOCS.parent).items():
        found = undecided(before, now)
        for each in found:
            sys.stdout.write(f"{each}\n")
        sys.stdout.write(f"{len(found)} 处不兼容 / {len(found)} breaks, compared with {name}\n")
        status = status or int(bool(found))
    if status:
        sys.stdout.write(
            "有意的破坏请连同理由写入 docs/contracts.breaks。"
            " / A break on purpose goes into docs/contracts.breaks with its reason.\n"
        )
    return status


if __name__ == "__main__":
    sys.exit(main())
