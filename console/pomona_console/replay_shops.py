"""Opens what a replay needs before its first day: stores, tills, products, suppliers, members."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial

from pomona.errors import Refused
from pomona.values import stable_id
from pomona_console.day import Shop, origin_of, supplier_id
from pomona_console.day_crew import Crew, Worker
from pomona_console.replay_plan import CUSTOMERS, TILLS, ZONE, Scheme
from pomona_console.replay_record import Product
from pomona_console.verify_positions import wait_until_caught_up

CUT_OFF = "04:00"
ALREADY_EXISTS = "already_exists"
_PRODUCTS_A_CALL = 100


def open_shops(crew: Crew, scheme: Scheme, products: Sequence[Product]) -> list[Shop]:
    """Open everything, again without effect, and wait until every service knows of it."""
    head_office = crew.person("replay", "head_office")
    shops = [Shop(crew, scheme, number) for number in range(scheme.stores)]
    for shop in shops:
        _open_store(head_office, shop)
    _list_products(head_office, products)
    for category in sorted({product.category for product in products}):
        _register_supplier(head_office, scheme, category)
    crew.all_do(
        partial(_register_customers, shop, range(shop.number, CUSTOMERS, scheme.stores))
        for shop in shops
    )
    wait_until_caught_up(head_office.ask)
    return shops


def _open_store(head_office: Worker, shop: Shop) -> None:
    scheme, number = shop.scheme, shop.number
    code = f"R{str(scheme.id('code'))[:4].upper()}{number + 1:02}"
    head_office.do(
        "orders",
        "open_store",
        {
            "store_id": str(shop.id),
            "code": code,
            "name": f"{number + 1}号店",
            "zone": ZONE,
            "cut_off": CUT_OFF,
        },
        scheme.id("open_store", number),
    )
    for till in range(TILLS):
        head_office.do(
            "orders",
            "register_terminal",
            {
                "terminal_id": str(shop.terminal(till)),
                "store_id": str(shop.id),
                "code": f"{code}-T{till + 1}",
            },
            scheme.id("register_terminal", number, till),
        )


def _list_products(head_office: Worker, products: Sequence[Product]) -> None:
    """List the products. They are the chain's, and another record may have listed some of them."""
    for start in range(0, len(products), _PRODUCTS_A_CALL):
        some = products[start : start + _PRODUCTS_A_CALL]
        try:
            _list(head_office, some)
        except Refused as refused:
            if refused.code != ALREADY_EXISTS:
                raise
            for product in some:
                with suppress_listed():
                    _list(head_office, [product])


def _list(head_office: Worker, products: Sequence[Product]) -> None:
    listed = [
        {
            "product_id": str(product.id),
            "code": product.code,
            "name": product.name,
            "category": product.category,
            "unit": product.unit,
        }
        for product in products
    ]
    command_id = stable_id("list_products", *(str(product.id) for product in products))
    head_office.do("orders", "list_products", {"products": listed}, command_id)


@contextmanager
def suppress_listed() -> Iterator[None]:
    """Let pass that somebody has listed the product already; equal ids mean equal products."""
    try:
        yield
    except Refused as refused:
        if refused.code != ALREADY_EXISTS:
            raise


def _register_supplier(head_office: Worker, scheme: Scheme, category: str) -> None:
    supplier = supplier_id(scheme, category)
    head_office.do(
        "inventory",
        "register_supplier",
        {
            "supplier_id": str(supplier),
            "name": f"{origin_of(category)}{category}供应商",
            "code": f"S{str(supplier)[:8].upper()}",
        },
        scheme.id("register_supplier", category),
    )


def _register_customers(shop: Shop, numbers: range) -> None:
    manager = shop.manager()
    for number in numbers:
        manager.do(
            "crm",
            "register_customer",
            {
                "customer_id": str(shop.scheme.customers[number]),
                "name": f"会员{number + 1:03}",
                "phone": f"13{shop.scheme.customers[number].int % 10**9:09}",
            },
            shop.scheme.id("register_customer", number),
        )
