"""Reads a shop's sales record from CSV files: exact grams and fen, or a list of what is wrong."""

import csv
import hashlib
import re
from collections import defaultdict
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from pathlib import Path
from uuid import UUID

from pomona.values import Unit, stable_id
from pomona_console.report_words import say

SALES_COLUMNS = (
    "date",
    "product",
    "retail_price_per_kg",
    "wholesale_price_per_kg",
    "sold_kg",
)
PRODUCT_COLUMNS = ("product", "code", "category", "loss_rate_percent")

# A measure word that closes a bracket, as in 上海青(份), 杏鲍菇(250克) or 花菇(一人份);
# (1), (橙色) or (精品) tell varieties apart and do not say how the product is sold.
_BY_PIECE = re.compile(
    r"[(（][^()（）]*(?:份|盒|袋|包|个|朵|把|捆|根|颗|只|支|瓶|枚|粒|扎|束|箱|套|[0-9]克)[)）]"
)
_NUMBER = re.compile(r"-?[0-9]{1,9}(?:\.[0-9]+)?", re.ASCII)
_DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", re.ASCII)
_MAX_PROBLEMS = 20
_FIRST_YEAR = 2000


@dataclass(frozen=True)
class Product:
    """A product of the record. The loss rate is in hundredths of a percent."""

    id: UUID
    code: str
    name: str
    category: str
    unit: Unit
    loss_rate: int


@dataclass(frozen=True)
class Row:
    """What was sold of a product at one price on one day; below zero, more came back than left."""

    product: Product
    price_fen: int
    wholesale_fen: int
    quantity: int


@dataclass(frozen=True)
class Record:
    """A shop's days, in order, and a key that follows from all of its content."""

    key: str
    products: tuple[Product, ...]
    days: Mapping[date, tuple[Row, ...]]


@dataclass(frozen=True)
class Problem:
    """What is wrong with one field of one line, and what to do about it."""

    file: str
    line: int
    field: str
    zh: str
    en: str

    def __str__(self) -> str:
        return f"{self.file}:{self.line}: {self.field}: {say(self.zh, self.en)}"


class BadRecord(ValueError):  # noqa: N818 - a property of the files
    """The files cannot be played; nothing has been."""

    def __init__(self, problems: list[Problem]) -> None:
        self.problems = tuple(problems)
        shown = [str(problem) for problem in problems[:_MAX_PROBLEMS]]
        if len(problems) > _MAX_PROBLEMS:
            more = len(problems) - _MAX_PROBLEMS
            shown.append(say(f"另有 {more} 处错误。", f"and {more} more."))
        super().__init__("\n".join(shown))


@dataclass(frozen=True)
class _Line:
    """A line of a file on its way to being understood; problems are collected, not raised."""

    file: str
    number: int
    cells: Mapping[str, str]
    problems: list[Problem]

    def wrong(self, field: str, zh: str, en: str) -> None:
        self.problems.append(Problem(self.file, self.number, field, zh, en))

    def text(self, field: str, *, longest: int = 60) -> str:
        value = self.cells[field].strip()
        if not 1 <= len(value) <= longest or not value.isprintable():
            self.wrong(
                field,
                f"需要 1 到 {longest} 个可见字符。请补全或改短。",
                f"needs 1 to {longest} visible characters. Fill it in or shorten it.",
            )
        return value

    def number_of(self, field: str, *, places: int, least: int = 0, most: int) -> int:
        """Read a decimal number as a whole count of its smallest unit, or note what is wrong.

        The bounds are given in the unit of the file.
        """
        value = self.cells[field].strip()
        if not _NUMBER.fullmatch(value):
            self.wrong(
                field,
                f"“{value[:20]}”不是数字。请写成 12.345 的形式。",
                f"{value[:20]!r} is not a number. Write it like 12.345.",
            )
            return 0
        scaled = Decimal(value).scaleb(places)
        if scaled != scaled.to_integral_value():
            self.wrong(
                field,
                f"{value} 超过 {places} 位小数。请四舍五入到 {places} 位。",
                f"{value} has more than {places} decimals. Round it to {places}.",
            )
        if not least <= Decimal(value) <= most:
            self.wrong(
                field,
                f"{value} 不在 {least} 到 {most} 之间。请核对。",
                f"{value} is not between {least} and {most}. Check it.",
            )
        return int(scaled)

    def day(self, field: str) -> date:
        value = self.cells[field].strip()
        with suppress(ValueError):
            if _DAY.fullmatch(value) and (day := date.fromisoformat(value)).year >= _FIRST_YEAR:
                return day
        self.wrong(
            field,
            f"“{value[:20]}”不是 {_FIRST_YEAR} 年以后的日期。请写成 2020-07-01 的形式。",
            f"{value[:20]!r} is not a date since {_FIRST_YEAR}. Write it like 2020-07-01.",
        )
        return date.min


def read_record(sales: Path, products: Path) -> Record:
    """Read both files whole. Raises `BadRecord` with every problem found in them."""
    problems: list[Problem] = []
    catalogue = _read_products(products, problems)
    lines = _read_sales(sales, catalogue, problems)
    if problems:
        raise BadRecord(problems)
    whole = {name: all(line.grams % 1000 == 0 for line in of) for name, of in lines.items()}
    known = {
        name: entry.product(by_piece=whole[name])
        for name, entry in catalogue.items()
        if name in lines
    }
    days: defaultdict[date, list[Row]] = defaultdict(list)
    for name, of in lines.items():
        product = known[name]
        scale = 1000 if product.unit == "piece" else 1
        for line in of:
            days[line.day].append(
                Row(product, line.price_fen, line.wholesale_fen, line.grams // scale)
            )
    played = {day: tuple(days[day]) for day in sorted(days)}
    return Record(_key_of(played), tuple(known.values()), played)


@dataclass(frozen=True)
class _Entry:
    """A line of the product list."""

    code: str
    name: str
    category: str
    loss_rate: int

    def product(self, *, by_piece: bool) -> Product:
        unit: Unit = "piece" if by_piece and _BY_PIECE.search(self.name) else "g"
        return Product(
            stable_id("product", self.code, self.name, self.category, unit),
            self.code,
            self.name,
            self.category,
            unit,
            self.loss_rate,
        )


@dataclass(frozen=True)
class _Sold:
    """A line of the sales file, before it is known whether its kilograms are pieces."""

    day: date
    price_fen: int
    wholesale_fen: int
    grams: int


def _read_products(path: Path, problems: list[Problem]) -> dict[str, _Entry]:
    entries: dict[str, _Entry] = {}
    codes: set[str] = set()
    for line in _lines(path, PRODUCT_COLUMNS, problems):
        entry = _Entry(
            line.text("code", longest=40),
            line.text("product"),
            line.text("category"),
            line.number_of("loss_rate_percent", places=2, most=99),
        )
        if entry.name in entries:
            line.wrong("product", "商品重复。请删去一行。", "is listed twice. Remove one line.")
        if entry.code in codes:
            line.wrong("code", "编码重复。请核对。", "is used twice. Check the codes.")
        entries[entry.name] = entry
        codes.add(entry.code)
    return entries


def _read_sales(
    path: Path, catalogue: Mapping[str, _Entry], problems: list[Problem]
) -> dict[str, list[_Sold]]:
    sold: defaultdict[str, list[_Sold]] = defaultdict(list)
    for line in _lines(path, SALES_COLUMNS, problems):
        name = line.text("product")
        if name and name not in catalogue:
            line.wrong(
                "product",
                f"商品表里没有“{name}”。请在商品表中补上。",
                f"{name!r} is not in the product list. Add it there.",
            )
        sold[name].append(
            _Sold(
                line.day("date"),
                line.number_of("retail_price_per_kg", places=2, most=100_000),
                line.number_of("wholesale_price_per_kg", places=2, most=100_000),
                line.number_of("sold_kg", places=3, least=-1_000, most=100_000),
            )
        )
    if not sold and not problems:
        problems.append(
            Problem(path.name, 1, "date", "文件没有数据行。请核对文件。", "has no rows. Check it.")
        )
    return sold


def _lines(path: Path, columns: tuple[str, ...], problems: list[Problem]) -> Iterator[_Line]:
    """Yield the lines of a CSV file that have all columns; the others are noted as problems."""
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.DictReader(file, strict=True)
            missing = [name for name in columns if name not in (reader.fieldnames or ())]
            if missing:
                names = ", ".join(missing)
                problems.append(
                    Problem(
                        path.name,
                        1,
                        names,
                        f"缺少列。请在表头补上 {names}。",
                        f"the column is missing. Add {names} to the first line.",
                    )
                )
                return
            for cells in reader:
                if None in cells or None in cells.values():
                    problems.append(
                        Problem(
                            path.name,
                            reader.line_num,
                            columns[0],
                            "列数与表头不符。请核对逗号。",
                            "the line has not as many fields as the first. Check its commas.",
                        )
                    )
                    continue
                yield _Line(path.name, reader.line_num, cells, problems)
    except UnicodeDecodeError:
        problems.append(
            Problem(
                path.name,
                1,
                columns[0],
                "不是 UTF-8 编码。请另存为 UTF-8 的 CSV。",
                "is not UTF-8. Save the file as CSV in UTF-8.",
            )
        )
    except csv.Error as error:
        problems.append(
            Problem(
                path.name,
                reader.line_num,
                columns[0],
                f"不是有效的 CSV（{error}）。请核对引号。",
                f"is not valid CSV ({error}). Check its quotes.",
            )
        )


def _key_of(days: Mapping[date, tuple[Row, ...]]) -> str:
    """Hash what the record says, so that spelling and file name do not matter."""
    digest = hashlib.sha256()
    for day, rows in days.items():
        for row in rows:
            product = row.product
            digest.update(
                repr(
                    (
                        day.isoformat(),
                        product.code,
                        product.name,
                        product.category,
                        product.unit,
                        product.loss_rate,
                        row.price_fen,
                        row.wholesale_fen,
                        row.quantity,
                    )
                ).encode()
            )
    return digest.hexdigest()
