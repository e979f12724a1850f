"""Lays the demo's findings out on the screen: a chart of the day, the stock, a claim's story."""

from collections import defaultdict
from collections.abc import Iterator
from typing import Any
from uuid import UUID

from rich.console import Group, RenderableType
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from pomona_console.demo_catalogue import FRUIT, STORE, STORES
from pomona_console.demo_findings import Findings
from pomona_console.report_words import in_chinese, say

_EIGHTHS = " ▏▎▍▌▋▊▉█"
_BAR = 12
_CHINESE = {
    "rotten": "腐烂",
    "quality": "质量问题",
    "settled": "已退款",
    "closed": "已完结",
}


def summary(findings: Findings) -> RenderableType:
    """Return everything, one part under the other."""
    return Group(
        *(
            Panel(part, title=title, title_align="left", border_style="dim")
            for title, part in _parts(findings)
        )
    )


def _parts(findings: Findings) -> Iterator[tuple[str, RenderableType]]:
    yield (
        say(
            f"{findings.day} 各店每小时销售额（元）",
            f"Sales by store and hour, {findings.day} (CNY)",
        ),
        _hours(findings.hours),
    )
    yield say("各批次结存", "Stock left by lot"), _lots(findings.lots)
    yield (
        say("一次投诉：从柜台到供应商", "One claim, from the counter back to its supplier"),
        _story(findings),
    )
    yield say("其他", "Also"), _notes(findings)
    yield say("会员积分", "Customers' points"), _points(findings.points)
    yield say("事件与延迟", "Events and lag"), _events(findings)


def bar(amount: int, largest: int, width: int = _BAR) -> str:
    """Draw an amount in eighths of a character; the largest fills the width."""
    eighths = amount * width * 8 // largest if largest > 0 else 0
    full, rest = divmod(max(0, eighths), 8)
    return ("█" * full + _EIGHTHS[rest]).rstrip().ljust(width)


def word(code: str) -> str:
    """Return a code of after-sales in the reader's language."""
    return say(_CHINESE.get(code, code), code.replace("_", " "))


def yuan(fen: int) -> str:
    return f"{'-' if fen < 0 else ''}{abs(fen) // 100:,}.{abs(fen) % 100:02}"


def amount(quantity: int, unit: str) -> str:
    if unit == "piece":
        return f"{quantity:,} {say('个', 'pc')}"
    return f"{quantity // 1000:,}.{quantity % 1000:03} kg"


def _hours(rows: list[dict[str, Any]]) -> Table:
    takings: defaultdict[int, dict[str, int]] = defaultdict(dict)
    for row in rows:
        takings[row["hour"]][row["store_id"]] = row["takings_fen"]
    largest = max((row["takings_fen"] for row in rows), default=1)
    table = Table(box=None, pad_edge=False)
    table.add_column(say("时", "hour"), justify="right")
    for store in STORES:
        table.add_column(store.name, style="green")
        table.add_column("", justify="right")
    trading = {row["hour"] for row in rows if row["receipts"]}
    for hour in sorted(takings, key=lambda hour: (hour not in trading, hour)):
        cells = []
        for store in STORES:
            fen = takings[hour].get(str(store.id), 0)
            cells += [bar(fen, largest), yuan(fen)]
        # goods of a claim come back when they come back, not when the shop is open
        table.add_row(f"{hour:02}" if hour in trading else say("退", "back"), *cells)
    totals = []
    for store in STORES:
        mine = [row for row in rows if row["store_id"] == str(store.id)]
        receipts = sum(row["receipts"] for row in mine)
        totals += [
            say(f"{receipts} 单", f"{receipts} receipts"),
            yuan(sum(row["takings_fen"] for row in mine)),
        ]
    table.add_section()
    table.add_row("", *totals, style="bold")
    return table


def _lots(rows: list[dict[str, Any]]) -> Table:
    table = Table(box=None, pad_edge=False, collapse_padding=True)
    for title in (say("门店", "in"), say("商品", "fruit"), say("供应商", "supplier")):
        table.add_column(title)
    for title in (say("售出", "sold"), say("损耗", "lost"), say("结存", "left")):
        table.add_column(title, justify="right")
    table.add_column(say("批次", "lot"), style="dim")
    order = [str(store.id) for store in STORES]
    for row in sorted(rows, key=lambda row: (order.index(row["store_id"]), row["product"])):
        table.add_row(
            STORE[row["store_id"]].code,
            row["product"],
            row["supplier"],
            *(amount(row[what], row["unit"]) for what in ("sold", "shrunk", "on_hand")),
            row["lot_id"][:8],
        )
    return table


def _story(findings: Findings) -> Text:
    claim, line, lot = findings.claims[0], findings.claimed_line, findings.bad_lot
    sold = line["line"]
    origin = line["lots"][0]
    clause = claim["clause"]["zh" if in_chinese() else "en"]
    others = len({sale["order_id"] for sale in lot["sales"]}) - 1
    store = STORE[claim["store_id"]].name
    told = say(
        f"{store} 小票 {sold['receipt_no']}：{sold['product']} {amount(sold['quantity'], 'g')}，"
        f"{yuan(sold['total_fen'])} 元。\n"
        f"顾客投诉“{word(claim['reason'])}”，其中 {amount(claim['quantity'], 'g')} 有问题；"
        f"归类 {word(claim['kind'])}，优先级 {claim['priority']}。\n"
        f"店长批准：{clause}退款 {yuan(claim['refund']['amount_fen'])} 元，已在收银台付清，"
        f"投诉状态 {word(claim['state'])}。\n"
        f"追溯：批次 {origin['lot_id'][:8]}，{origin['supplier']}（{origin['origin']}），"
        f"采收 {origin['harvest_date']}；该批次已有 {len(lot['claims'])} 起投诉，"
        f"另有 {others} 张小票买到同一批次，结存 {amount(lot['stores'][0]['on_hand'], 'g')}。",
        f"{store}, receipt {sold['receipt_no']}: {sold['product']},"
        f" {amount(sold['quantity'], 'g')}, CNY {yuan(sold['total_fen'])}.\n"
        f"The customer found {amount(claim['quantity'], 'g')} of it {claim['reason']}:"
        f" a {claim['kind']} claim of priority {claim['priority']}.\n"
        f"The manager approved: {clause} CNY {yuan(claim['refund']['amount_fen'])} were paid back"
        f" at the till; the claim is {claim['state']}.\n"
        f"Traced to lot {origin['lot_id'][:8]} of {origin['supplier']} ({origin['origin']}),"
        f" harvested {origin['harvest_date']}; {len(lot['claims'])} claim on that lot so far,"
        f" {others} other receipts had fruit of it,"
        f" {amount(lot['stores'][0]['on_hand'], 'g')} are left.",
    )
    return Text(told)


def _notes(findings: Findings) -> Text:
    back = findings.claims[1]
    fruit = FRUIT[UUID(back["product_id"])].name
    lines = [
        say(
            f"{STORE[back['store_id']].name}：{fruit} {amount(back['goods']['taken'], 'g')} 退回，"
            f"留作供应商凭证，退款 {yuan(back['refund']['amount_fen'])} 元，"
            f"状态 {word(back['state'])}。",
            f"{STORE[back['store_id']].name}: {amount(back['goods']['taken'], 'g')} of {fruit} came"
            f" back, kept as evidence for the supplier;"
            f" CNY {yuan(back['refund']['amount_fen'])} refunded, claim {back['state']}.",
        )
    ]
    for alert in findings.stock_alerts:
        store = STORE[alert["store_id"]].name
        product = FRUIT[UUID(alert["product_id"])].name
        on_hand = amount(alert["on_hand"] + alert["incoming"], alert["unit"])
        lines.append(
            say(
                f"{store}：{product}库存偏低，剩 {on_hand}。",
                f"{store}: {product} ran low, {on_hand} left.",
            )
            if alert["event"] == "stock_fell_low"
            else say(
                f"{store}：{product}调入后恢复，连在途共 {on_hand}。",
                f"{store}: {product} recovered with a transfer, {on_hand} here or coming.",
            )
        )
    for drawer in findings.drawers:
        if drawer["difference_fen"]:
            store, difference = STORE[drawer["store_id"]].name, yuan(drawer["difference_fen"])
            lines.append(
                say(
                    f"{store}：一个钱箱盘点差 {difference} 元。",
                    f"{store}: one drawer is off by CNY {difference}.",
                )
            )
    return Text("\n".join(lines))


def _points(rows: list[dict[str, Any]]) -> Table:
    table = Table(box=None, pad_edge=False)
    table.add_column(say("会员", "customer"))
    table.add_column(say("待生效", "pending"), justify="right")
    table.add_column(say("可用", "available"), justify="right")
    for row in rows:
        table.add_row(row["name"], f"{row['pending']:,}", f"{row['available']:,}")
    return table


def _events(findings: Findings) -> Group:
    positions = findings.verdict.positions
    table = Table(box=None, pad_edge=False)
    table.add_column(say("服务", "service"))
    table.add_column(say("已发布事件", "events published"), justify="right")
    table.add_column(say("落后", "behind"), justify="right")
    for service in positions.heads:
        behind = sum(
            lag for reader, lag in positions.behind.items() if reader.startswith(f"{service}.from.")
        )
        table.add_row(service, f"{findings.verdict.events.get(service, 0):,}", f"{behind:,}")
    checks = findings.verdict.tallies
    holding = sum(tally.holds for tally in checks)
    checked = say(
        f"由事件重算：{len(checks)} 项不变式中 {holding} 项成立。",
        f"Recomputed from the events: {holding} of {len(checks)} invariants hold.",
    )
    return Group(table, checked)
