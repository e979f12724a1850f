"""A sales record is read to the gram and fen, or refused line by line."""

from pathlib import Path

import pytest

from pomona_console.replay_record import BadRecord, Record, read_record

SALES = "date,product,retail_price_per_kg,wholesale_price_per_kg,sold_kg\n"
PRODUCTS = "product,code,category,loss_rate_percent\n"
CATALOGUE = PRODUCTS + (
    "富士苹果,1001,仁果,4.35\n"
    "砂糖橘(份),1002,柑橘,0\n"
    "红提(1),1003,浆果,12.5\n"
    "蓝莓(125克),1004,浆果,9.43\n"
    "柚子(个),1005,柑橘,1\n"
)


def read(folder: Path, sales: str, products: str = CATALOGUE) -> Record:
    (folder / "sales.csv").write_text(sales, encoding="utf-8")
    (folder / "products.csv").write_text(products, encoding="utf-8")
    return read_record(folder / "sales.csv", folder / "products.csv")


def refusals(folder: Path, sales: str, products: str = CATALOGUE) -> list[str]:
    with pytest.raises(BadRecord) as refused:
        read(folder, sales, products)
    return str(refused.value).splitlines()


def test_kilograms_become_grams_and_yuan_become_fen_exactly(tmp_path: Path) -> None:
    record = read(tmp_path, SALES + "2020-07-01,富士苹果,16.1,7.58,1.909\n")

    (row,) = next(iter(record.days.values()))
    assert (row.price_fen, row.wholesale_fen, row.quantity) == (1610, 758, 1909)
    assert row.product.unit == "g"
    assert row.product.loss_rate == 435


@pytest.mark.parametrize("name", ["砂糖橘(份)", "蓝莓(125克)", "柚子(个)"])
def test_what_says_so_in_its_name_is_sold_by_piece(tmp_path: Path, name: str) -> None:
    record = read(tmp_path, SALES + f"2020-07-01,{name},9.9,5,12.0\n2020-07-02,{name},9.9,5,-1\n")

    assert [row.quantity for rows in record.days.values() for row in rows] == [12, -1]
    assert record.products[0].unit == "piece"


def test_a_number_or_colour_in_brackets_does_not_make_pieces(tmp_path: Path) -> None:
    record = read(tmp_path, SALES + "2020-07-01,红提(1),9.9,5,2.0\n")

    assert record.products[0].unit == "g"
    assert record.days[next(iter(record.days))][0].quantity == 2000


def test_a_product_by_piece_that_was_once_weighed_stays_in_grams(tmp_path: Path) -> None:
    record = read(tmp_path, SALES + "2020-07-01,柚子(个),9.9,5,2\n2020-07-02,柚子(个),9.9,5,1.5\n")

    assert [row.quantity for rows in record.days.values() for row in rows] == [2000, 1500]


def test_the_key_follows_from_the_content_and_not_from_its_spelling(tmp_path: Path) -> None:
    one = read(tmp_path, SALES + "2020-07-01,富士苹果,16,7.5,1\n")
    same = read(tmp_path, "\ufeff" + SALES + "2020-07-01,富士苹果,16.00,7.50,1.000\n")
    other = read(tmp_path, SALES + "2020-07-01,富士苹果,16,7.5,1.001\n")

    assert one.key == same.key != other.key


@pytest.mark.parametrize(
    ("row", "field"),
    [
        ("2020-7-1,富士苹果,16,7.5,1", "date"),
        ("2020-02-30,富士苹果,16,7.5,1", "date"),
        ("1999-12-31,富士苹果,16,7.5,1", "date"),
        ("2020-07-01,火龙果,16,7.5,1", "product"),
        ("2020-07-01,,16,7.5,1", "product"),
        ("2020-07-01,富士苹果,NaN,7.5,1", "retail_price_per_kg"),
        ("2020-07-01,富士苹果,1e3,7.5,1", "retail_price_per_kg"),
        ("2020-07-01,富士苹果,-1,7.5,1", "retail_price_per_kg"),
        ("2020-07-01,富士苹果,16,7.501,1", "wholesale_price_per_kg"),
        ("2020-07-01,富士苹果,16,7.5,1.0005", "sold_kg"),
        ("2020-07-01,富士苹果,16,7.5,１", "sold_kg"),
        ("2020-07-01,富士苹果,16,7.5", "date"),
        ("2020-07-01,富士苹果,16,7.5,1,2", "date"),
    ],
)
def test_a_bad_row_is_refused_with_its_line_and_field(tmp_path: Path, row: str, field: str) -> None:
    refused = refusals(tmp_path, SALES + "2020-07-01,富士苹果,16,7.5,1\n" + row + "\n")

    assert any(line.startswith(f"sales.csv:3: {field}: ") for line in refused)


def test_every_bad_row_is_named_at_once(tmp_path: Path) -> None:
    refused = refusals(tmp_path, SALES + "x,富士苹果,16,7.5,1\n2020-07-01,富士苹果,x,7.5,x\n")

    assert [line.split(" ")[0] for line in refused] == [
        "sales.csv:2:",
        "sales.csv:3:",
        "sales.csv:3:",
    ]


def test_a_missing_column_is_named(tmp_path: Path) -> None:
    refused = refusals(tmp_path, "date,product,sold_kg\n2020-07-01,富士苹果,1\n")

    assert refused[0].startswith("sales.csv:1: retail_price_per_kg, wholesale_price_per_kg: ")


def test_a_product_listed_twice_or_lost_whole_is_refused(tmp_path: Path) -> None:
    sales = SALES + "2020-07-01,富士苹果,16,7.5,1\n"
    twice = CATALOGUE + "富士苹果,1001,仁果,100\n"

    fields = [line.split(": ")[1] for line in refusals(tmp_path, sales, twice)]
    assert fields == ["loss_rate_percent", "product", "code"]


def test_another_encoding_is_refused_with_a_remedy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LC_ALL", "zh_CN.UTF-8")
    (tmp_path / "sales.csv").write_bytes((SALES + "2020-07-01,富士苹果,1,1,1\n").encode("gb18030"))
    (tmp_path / "products.csv").write_text(CATALOGUE, encoding="utf-8")

    with pytest.raises(BadRecord, match="请另存为 UTF-8"):
        read_record(tmp_path / "sales.csv", tmp_path / "products.csv")


def test_an_empty_record_is_refused(tmp_path: Path) -> None:
    assert refusals(tmp_path, SALES)[0].startswith("sales.csv:1: date: ")
