"""From command to effect, in memory: real call, relay, inbox and stock; all else is against them.

Two tills sell from one stock. Hypothesis picks what goes wrong: processes that die between any two
steps, answers that are lost, a broker that drops, repeats and reorders, a database that goes away
around a commit, late repeats, failing handlers. A failing run prints its steps, and they can be
run again as they stand.
"""

import copy
from collections import Counter, defaultdict
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from itertools import product
from types import SimpleNamespace
from uuid import UUID, uuid5

import pytest
from eventsourcing.persistence import IntegrityError, OperationalError
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

import pomona.call
import pomona.inbox
import pomona.relay
from inventory.domain.stock import Stock
from pomona.application import Attempt
from pomona.broker import ConnectionLost
from pomona.call import Call
from pomona.contracts import Request
from pomona.envelope import seal
from pomona.errors import Expired, NotYet, Refused
from pomona.fields import Count, RequestSchema
from pomona.identity import SKEW, Actor
from pomona.inbox import Inbox
from pomona.ledger import Advance, Parked, PositionMoved, Unpark
from pomona.relay import Relay

TILLS = ("north", "south")
CUSTOMERS = ("a", "b")
PLACES = ("command.before_load", "commit.before", "commit.after")
RECEIVED = 1_000_000
TODAY = date(2026, 11, 21)
SPACE = UUID(int=7)
LIFETIME = timedelta(minutes=5)
NETWORK_DOWN = ConnectionLost[-1]
CONFIRMING = -1


SALES = st.tuples(
    st.sampled_from(TILLS),
    st.integers(0, 1),  # the customer
    st.integers(1, 900),  # the grams
    st.sampled_from(("", "", *PLACES)),
    st.sampled_from(("", "", "before", "after", "conflict")),
)

DELIVERIES = st.tuples(
    st.lists(st.integers(0, 50), min_size=1, max_size=4),  # which of the queue
    st.booleans(),  # acknowledged
    st.sampled_from(("", "", "before", "after")),  # the database is lost around the commit
    st.sampled_from((None, None, *CUSTOMERS)),  # whose events cannot be handled
)


class Sell(RequestSchema):
    customer = Count(required=True, min=0)
    grams = Count(required=True)


SELL = Request("sell", Sell, ("head_office",), "Sell.", "command")


class Died(BaseException):
    """The process is gone: no handler of ours runs any more."""


class Clock:
    """Time passes when the test says so."""

    def __init__(self):
        self.seconds = 1_800_000_000.0

    def now(self):
        return datetime.fromtimestamp(self.seconds, UTC)

    def monotonic(self):
        return self.seconds

    time = monotonic

    def sleep(self, seconds):
        self.seconds += seconds


class Doom:
    """Where the next process dies; stands in for the failpoints."""

    def __init__(self):
        self.place = ""

    def reach(self, place):
        if place == self.place:
            self.place = ""
            raise Died


@dataclass
class Sale:
    """A command as its terminal knows it."""

    id: UUID
    till: "Till"
    customer: int
    grams: int
    expires_at: datetime
    answer: dict | None = None


class Till:
    """A service that sells: its database, which survives, and what its relay reads."""

    def __init__(self, name, doom):
        self.name = name
        self.doom = doom
        self.commands = {}
        self.events = []
        self.relayed = 0
        self.loses = ""

    # what `Call` needs of an application

    @contextmanager
    def attempt(self, *, afresh):
        yield Attempt(afresh=afresh)

    def hash_of(self, _method, request):
        return repr(sorted(request.items())).encode()

    def answer_to(self, command):
        return self.commands.get(command.id)

    def decide(self, command):
        if self.loses == "conflict":
            self.loses = ""
            raise IntegrityError
        self.doom.reach("commit.before")
        if self.loses == "before":
            self.loses = ""
            raise OperationalError
        if command.id in self.commands:
            raise IntegrityError  # the primary key of `commands`
        answer = {"receipt": len(self.events) + 1}
        self.commands[command.id] = answer
        self._append(command)
        if self.loses == "after":
            self.loses = ""
            raise OperationalError
        self.doom.reach("commit.after")
        return answer

    @property
    def head(self):
        return self.events[-1].position if self.events else 0

    def _append(self, command):
        previous = self.head
        event = seal(
            service=self.name,
            type=f"pomona.{self.name}.order_paid.v1",
            subject=CUSTOMERS[command.request["customer"]],
            time=command.at,
            position=previous + 1 + len(self.events) % 2,  # private events lie between
            previous=previous,
            data={"order_id": str(command.id), "grams": command.request["grams"]},
            cause={},
        )
        self.events.append(event)

    # what `Relay` and `Inbox` need of a log

    @property
    def service(self):
        return self.name

    def after(self, *asked, **_known):
        position, limit = asked[-2:]
        missing = [event for event in self.events if event.position > position]
        if isinstance(asked[0], Till):  # the relay, with its cursor
            return missing[:limit]
        return missing[:limit], len(missing)

    def count_after(self, _cursor, position):
        return len([event for event in self.events if event.position > position])

    def execute(self, statement, values):
        assert statement.startswith("UPDATE relay")
        self.relayed = values[0]


class Broker:
    """One queue. What is published may be lost, though confirmed, or come several times."""

    def __init__(self):
        self.queue = []
        self.fate = []
        self.dies_after = None
        self.sent = 0
        self.confirmed = 0

    def send(self, envelopes):
        for nth, envelope in enumerate(envelopes):
            if self.dies_after == nth:
                raise NETWORK_DOWN
            self.sent = envelope.position
            times = self.fate.pop() if self.fate else 1
            self.queue += [envelope] * times

    def confirm(self):
        if self.dies_after == CONFIRMING:
            raise NETWORK_DOWN
        self.confirmed = self.sent

    def keep_alive(self):
        raise NETWORK_DOWN  # nothing is left to publish: leave the loop


class Warehouse:
    """A service that reads both tills: its stock, its positions and what it has set aside."""

    def __init__(self, clock):
        self.clock = clock
        self.stock = Stock(store_id=SPACE, product_id=SPACE, unit="g")
        lot = {
            "lot_id": str(SPACE),
            "quantity": RECEIVED,
            "supplier_id": str(SPACE),
            "best_before": None,
            "received_at": clock.now(),
        }
        self.stock.take_in(lot, TODAY)
        self.positions = dict.fromkeys(TILLS, 0)
        self.parked_rows = {name: {} for name in TILLS}
        self.effects = []
        self.fails = None
        self.loses = ""

    def apply(self, envelopes, settlement):
        """Do the effect and settle in one transaction, or neither."""
        stock, positions = copy.deepcopy(self.stock), dict(self.positions)
        parked = {name: dict(rows) for name, rows in self.parked_rows.items()}
        effects = []
        for envelope in envelopes:
            if envelope.subject == self.fails:
                raise NotYet("something else comes first")
            order, grams = UUID(envelope.data["order_id"]), envelope.data["grams"]
            stock.sell(order, {1: grams}, TODAY)
            effects.append((envelope.source, envelope.subject, envelope.position))
        if self.loses == "before":
            self.loses = ""
            raise OperationalError
        match settlement:
            case Advance():
                if positions[settlement.source] != settlement.expected:
                    raise PositionMoved
                positions[settlement.source] = settlement.position
            case Unpark():
                if parked[settlement.source].pop(settlement.position, None) is None:
                    raise PositionMoved
        stock.collect_events()  # saved
        self.stock, self.positions, self.parked_rows = stock, positions, parked
        self.effects += effects
        if self.loses == "after":
            self.loses = ""
            raise OperationalError


class Ledger:
    """The warehouse's positions and parked events of one till."""

    def __init__(self, warehouse, source):
        self._of = warehouse
        self._source = source

    @property
    def _rows(self):
        return self._of.parked_rows[self._source]

    def position(self):
        return self._of.positions[self._source]

    def parked(self):
        return Counter(row.envelope.subject for row, _ in self._rows.values())

    def park(self, envelope, advance, _reason):
        if self.position() != advance.expected:
            raise PositionMoved
        self._of.positions[self._source] = advance.position
        self._rows[envelope.position] = (Parked(envelope, 0), self._of.clock.seconds + 1)

    def due(self):
        oldest = {}
        for position in sorted(self._rows):
            oldest.setdefault(self._rows[position][0].envelope.subject, self._rows[position])
        return [row for row, at in oldest.values() if at <= self._of.clock.seconds]

    def postpone(self, parked, _reason):
        tried = Parked(parked.envelope, parked.attempts + 1)
        at = self._of.clock.seconds + 2**tried.attempts
        self._rows[parked.envelope.position] = (tried, at)


class Chain(RuleBasedStateMachine):
    """Everything between a terminal and its effect in another service."""

    def __init__(self):
        super().__init__()
        self.clock, self.doom = Clock(), Doom()
        self._patches = pytest.MonkeyPatch()
        for module in (pomona.call, pomona.inbox):
            self._patches.setattr(module, "time", self.clock)
            self._patches.setattr(module, "reach", self.doom.reach)
        self._patches.setattr(pomona.relay, "reach", self.doom.reach)
        self._patches.setattr(pomona.relay, "GATHER_SECONDS", 0)
        self._patches.setattr(pomona.call, "now", self.clock.now)
        self._patches.setattr(pomona.inbox, "PAUSES", (0, 0, 0))

    @initialize(window=st.sampled_from([1, 3, 100]))
    def open(self, window):
        self.window = window
        self.tills = {name: Till(name, self.doom) for name in TILLS}
        self.brokers = {name: Broker() for name in TILLS}
        self.warehouse = Warehouse(self.clock)
        self.inboxes = {name: self._inbox(name) for name in TILLS}
        self.sent = []

    # -- commands

    @rule(asked=st.lists(SALES, min_size=1, max_size=6))
    def sell(self, asked):
        for name, customer, grams, dies_at, loses in asked:
            command_id = uuid5(SPACE, f"{len(self.sent)}")
            expires_at = self.clock.now() + LIFETIME
            sale = Sale(command_id, self.tills[name], customer, grams, expires_at)
            self.sent.append(sale)
            sale.till.loses = loses
            self._send(sale, dies_at)

    @precondition(lambda self: self.sent)
    @rule(nth=st.integers(0, 50), dies_at=st.sampled_from(("", *PLACES)), late=st.booleans())
    def send_again(self, nth, dies_at, late):
        sale = self.sent[nth % len(self.sent)]
        if late:
            self.clock.seconds += 2 * LIFETIME.total_seconds()
        else:
            sale.expires_at = self.clock.now() + LIFETIME
        self._send(sale, dies_at)

    def _send(self, sale, dies_at):
        self.doom.place = dies_at
        too_late = sale.expires_at + SKEW < self.clock.now() and sale.id not in sale.till.commands
        office = Actor("anna", "head_office")
        spine = SimpleNamespace(
            application=sale.till, identities=SimpleNamespace(caller=lambda *_: office)
        )
        request = {"customer": sale.customer, "grams": sale.grams}
        call = Call(
            contract=SELL,
            spine=spine,
            headers={},
            kwargs={
                **request,
                "command_id": str(sale.id),
                "expires_at": sale.expires_at.isoformat(),
            },
        )
        try:
            answer = call.exactly_once(sale.till.decide)
        except Died:
            return
        except Expired:
            assert sale.id not in sale.till.commands, "refused as late, yet carried out"
            return
        finally:
            self.doom.place = ""
        assert not too_late, "carried out after its expiry"
        assert sale.answer in (None, answer), "another answer than before"
        sale.answer = answer

    # -- events

    @precondition(lambda self: self.sent)
    @rule(
        name=st.sampled_from(TILLS),
        fate=st.lists(st.integers(0, 3), max_size=8),
        dies_after=st.sampled_from((None, None, 0, 1, CONFIRMING)),
        dies_at=st.sampled_from(("", "", "relay.selected", "relay.confirmed")),
    )
    def relay(self, name, fate, dies_after, dies_at):
        """Publish what is stored; each event goes out 0 to 3 times, and the relay may die."""
        broker = self.brokers[name]
        broker.fate, broker.dies_after = list(fate), dies_after
        self.doom.place = dies_at
        self._relay(name)

    def _relay(self, name):
        till = self.tills[name]
        with suppress(Died, NETWORK_DOWN):
            Relay("", "", till)._publish(till, self.brokers[name], till.relayed)
        self.doom.place = ""

    @rule(deliveries=st.lists(DELIVERIES, min_size=1, max_size=5))
    def deliver(self, deliveries):
        """Deliver some messages in any order; those that are not acknowledged come again.

        Meanwhile people buy on, so that there is always something new behind what fails.
        """
        for name, (picks, acknowledged, loses, fails) in product(TILLS, deliveries):
            broker = self.brokers[name]
            self.sell([(name, picks[0] % 2, 1, "", "")])
            broker.fate, broker.dies_after = [], None
            self._relay(name)
            if broker.queue:
                arrived = [broker.queue[pick % len(broker.queue)] for pick in picks]
                self.warehouse.loses, self.warehouse.fails = loses, fails
                self._survive(name, lambda inbox, arrived=arrived: inbox.receive(arrived))
                if acknowledged:
                    broker.queue = [each for each in broker.queue if each not in arrived]
                else:
                    self.inboxes[name] = self._inbox(name)
        self.warehouse.fails = None

    @rule(name=st.sampled_from(TILLS))
    def look_around(self, name):
        self._pulse(name)

    def _inbox(self, name):
        inbox = Inbox(
            service="warehouse",
            source=name,
            amqp_uri="",
            ledger=Ledger(self.warehouse, name),
            apply=self.warehouse.apply,
            log_of_source=self.tills[name],
            window=self.window,
        )
        inbox.load()
        return inbox

    def _pulse(self, name):
        self.clock.seconds += 2.5
        self._survive(name, lambda inbox: inbox._pulse(idle=True))

    def _survive(self, name, do):
        """Run as `Inbox.run` does: whatever interrupts it, it reads its position again."""
        try:
            do(self.inboxes[name])
        except (PositionMoved, OperationalError, Refused):
            self.inboxes[name].load()

    # -- what holds after every step

    @invariant()
    def a_command_has_one_effect_if_it_was_answered_and_one_at_most_if_not(self):
        for sale in self.sent if hasattr(self, "sent") else ():
            orders = [event.data["order_id"] for event in sale.till.events]
            assert orders.count(str(sale.id)) == (sale.id in sale.till.commands)
            assert sale.answer is None or sale.id in sale.till.commands

    @invariant()
    def a_relay_stands_where_the_broker_has_confirmed(self):
        for name in TILLS if hasattr(self, "tills") else ():
            assert self.tills[name].relayed <= self.brokers[name].confirmed

    @invariant()
    def no_event_has_two_effects(self):
        effects = self._effects()
        assert len(effects) == len(set(effects))

    @invariant()
    def each_customer_is_served_in_order(self):
        served = defaultdict(list)
        for source, subject, position in self._effects():
            served[source, subject].append(position)
        for (source, subject), positions in served.items():
            events = self.tills[source].events
            known = [event.position for event in events if event.subject == subject]
            assert positions == known[: len(positions)]

    @invariant()
    def not_a_gram_is_lost(self):
        sold = sum(self._grams_of(source, position) for source, _, position in self._effects())
        if hasattr(self, "warehouse"):
            assert self.warehouse.stock.on_hand == RECEIVED - sold

    @invariant()
    def whatever_lies_behind_a_position_was_applied_or_is_parked(self):
        for name in TILLS if hasattr(self, "warehouse") else ():
            at = self.warehouse.positions[name]
            behind = {e.position for e in self.tills[name].events if e.position <= at}
            applied = {position for source, _, position in self._effects() if source == name}
            assert behind == applied | set(self.warehouse.parked_rows[name])

    def _effects(self):
        return self.warehouse.effects if hasattr(self, "warehouse") else []

    def _grams_of(self, source, position):
        events = self.tills[source].events
        return next(event.data["grams"] for event in events if event.position == position)

    def teardown(self):
        """When misfortune ends, everything arrives by itself."""
        try:
            if hasattr(self, "warehouse"):
                self._heal()
        finally:
            self._patches.undo()

    def _heal(self):
        self.warehouse.loses = ""
        for sale in self.sent:
            sale.till.loses = ""
            sale.expires_at = self.clock.now() + LIFETIME
            self._send(sale, "")
        for name in TILLS:
            self.brokers[name].fate, self.brokers[name].dies_after = [], None
            self._relay(name)
            assert self.tills[name].relayed == self.tills[name].head
            self.clock.seconds += 100
            for _ in range(len(self.tills[name].events) + 4):
                self._pulse(name)
        sold = sum(sale.grams for sale in self.sent)
        assert self.warehouse.stock.on_hand == RECEIVED - sold
        assert not any(self.warehouse.parked_rows.values())
        self.no_event_has_two_effects()
        self.each_customer_is_served_in_order()


def test_whatever_goes_wrong_each_command_has_one_effect_everywhere():
    run_state_machine_as_test(
        Chain, settings=settings(max_examples=40, stateful_step_count=30, deadline=None)
    )
