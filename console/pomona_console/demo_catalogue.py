"""The made-up chain of the demo: stores, fruit, suppliers, customers, in two languages."""

from dataclasses import dataclass
from datetime import time
from uuid import UUID

from pomona.values import Unit, stable_id
from pomona_console.report_words import say

CUT_OFF = time(4)
TILLS = 2


@dataclass(frozen=True)
class Named:
    """Something with a name in both languages and an id that follows from its code."""

    code: str
    zh: str
    en: str

    @property
    def id(self) -> UUID:
        return stable_id("demo", type(self).__name__, self.code)

    @property
    def name(self) -> str:
        return say(self.zh, self.en)


@dataclass(frozen=True)
class Store(Named):
    zone: str
    busy: int
    """How much is sold here, in percent of an ordinary store."""

    def terminal_id(self, till: int) -> UUID:
        return stable_id("demo", "terminal", self.code, str(till))


@dataclass(frozen=True)
class Supplier(Named):
    origin_zh: str
    origin_en: str

    @property
    def origin(self) -> str:
        return say(self.origin_zh, self.origin_en)


@dataclass(frozen=True)
class Fruit(Named):
    """A fruit with its usual day: what is received and sold of it in an ordinary store."""

    category_zh: str
    category_en: str
    supplier: str
    unit: Unit
    price_fen: int
    cost_fen: int
    received: int
    sold: int
    keeps_days: int

    @property
    def category(self) -> str:
        return say(self.category_zh, self.category_en)


@dataclass(frozen=True)
class Customer(Named):
    phone: str


STORES = (
    Store("SHA", "上海人民广场店", "Shanghai", "Asia/Shanghai", 120),
    Store("CTU", "成都春熙路店", "Chengdu", "Asia/Shanghai", 100),
    Store("URC", "乌鲁木齐友好路店", "Urumqi", "Asia/Urumqi", 80),
)
SUPPLIERS = (
    Supplier("YT", "烟台果业", "Yantai Orchards", "山东烟台", "Yantai, Shandong"),
    Supplier("DD", "丹东草莓合作社", "Dandong Berries", "辽宁丹东", "Dandong, Liaoning"),
    Supplier("CJ", "长江草莓园", "Yangtze Berries", "安徽长丰", "Changfeng, Anhui"),
    Supplier("HN", "海南热带果园", "Hainan Tropics", "海南三亚", "Sanya, Hainan"),
    Supplier("GX", "广西柑橘", "Guangxi Citrus", "广西武鸣", "Wuming, Guangxi"),
)
FRUITS = (
    Fruit(
        "1001", "富士苹果", "Fuji apple", "仁果", "pome", "YT", "g", 1298, 720, 16_000, 9_000, 30
    ),
    Fruit(
        "1002", "库尔勒香梨", "Korla pear", "仁果", "pome", "YT", "g", 1580, 860, 10_000, 5_500, 20
    ),
    Fruit("1003", "樱桃", "Cherry", "核果", "stone", "YT", "g", 6800, 4300, 5_000, 2_600, 5),
    Fruit(
        "2001", "丹东草莓", "Strawberry", "浆果", "berry", "DD", "g", 7600, 4700, 6_000, 3_400, 3
    ),
    Fruit(
        "2002", "巨峰葡萄", "Kyoho grape", "浆果", "berry", "CJ", "g", 2380, 1350, 8_000, 4_500, 6
    ),
    Fruit("3001", "香蕉", "Banana", "热带", "tropical", "HN", "g", 798, 430, 14_000, 8_500, 5),
    Fruit(
        "3002",
        "贵妃芒果",
        "Guifei mango",
        "热带",
        "tropical",
        "HN",
        "g",
        1990,
        1120,
        9_000,
        4_800,
        7,
    ),
    Fruit(
        "3003",
        "红心火龙果",
        "Dragon fruit",
        "热带",
        "tropical",
        "HN",
        "g",
        1680,
        940,
        9_000,
        5_000,
        8,
    ),
    Fruit(
        "3101",
        "椰青(个)",
        "Coconut (each)",
        "热带",
        "tropical",
        "HN",
        "piece",
        1280,
        690,
        24,
        14,
        15,
    ),
    Fruit(
        "3102",
        "菠萝(个)",
        "Pineapple (each)",
        "热带",
        "tropical",
        "HN",
        "piece",
        1690,
        900,
        18,
        9,
        8,
    ),
    Fruit(
        "4001",
        "砂糖橘",
        "Sugar tangerine",
        "柑橘",
        "citrus",
        "GX",
        "g",
        1180,
        610,
        15_000,
        9_500,
        15,
    ),
    Fruit(
        "4101", "蜜柚(个)", "Pomelo (each)", "柑橘", "citrus", "GX", "piece", 1980, 1050, 16, 8, 30
    ),
)
CUSTOMERS = (
    Customer("C1", "王芳", "Wang Fang", "13800138001"),
    Customer("C2", "李强", "Li Qiang", "13800138002"),
    Customer("C3", "阿依古丽", "Ayguli", "13800138003"),
    Customer("C4", "陈静", "Chen Jing", "13800138004"),
    Customer("C5", "赵磊", "Zhao Lei", "13800138005"),
    Customer("C6", "周婷", "Zhou Ting", "13800138006"),
)
STRAWBERRY = next(fruit for fruit in FRUITS if fruit.code == "2001")
COCONUT = next(fruit for fruit in FRUITS if fruit.code == "3101")
GRAPE = next(fruit for fruit in FRUITS if fruit.code == "2002")
SUPPLIER = {supplier.code: supplier for supplier in SUPPLIERS}
FRUIT = {fruit.id: fruit for fruit in FRUITS}
STORE = {str(store.id): store for store in STORES}
