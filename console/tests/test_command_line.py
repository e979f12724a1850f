"""The command line answers every mistake with a sentence and the next step."""

import json
import signal
from dataclasses import dataclass

import pytest

from pomona_console.main import main

COMMANDS = ("up", "down", "status", "call", "demo", "replay", "verify", "rebuild")


@dataclass
class Shown:
    status: int
    stdout: str
    stderr: str


@pytest.fixture
def pomona(tmp_path, monkeypatch, capsys):
    """Run `pomona` where no stack is running."""
    monkeypatch.setenv("POMONA_RUN", str(tmp_path / "run"))
    handlers = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGHUP)}

    def run(*arguments: str) -> Shown:
        monkeypatch.setattr("sys.argv", ["pomona", *arguments])
        with pytest.raises(SystemExit) as ended:
            main()
        return Shown(ended.value.code or 0, *capsys.readouterr())

    yield run
    for number, handler in handlers.items():
        signal.signal(number, handler)


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_help_with_an_example(pomona, command):
    shown = pomona(command, "--help")

    assert shown.status == 0
    assert "Example" in shown.stdout
    assert f"pomona {command}" in shown.stdout


def test_the_help_lists_every_command(pomona):
    shown = pomona("--help").stdout

    assert all(f"\n  {command} " in shown for command in COMMANDS)


@pytest.mark.parametrize("command", [("status",), ("rebuild",), ("call", "orders", "list_stores")])
def test_without_a_running_stack_a_command_says_how_to_start_it(pomona, command):
    refused = pomona(*command)

    assert refused.status == 1
    assert refused.stdout == ""
    assert "make up" in refused.stderr
    assert "系统没有运行" in refused.stderr


def test_down_without_a_stack_is_no_mistake(pomona):
    assert pomona("down").status == 0


@pytest.mark.parametrize(
    "arguments",
    [
        ("no-such-command",),
        ("status", "--no-such-option"),
        ("call", "no-such-service", "list_stores"),
        ("call", "orders"),
        ("call", "orders", "no_such_method"),
        ("call", "orders", "list_stores", "{not json"),
        ("call", "orders", "list_stores", "[]"),
        ("call", "orders", "list_stores", "@no-such-file"),
        ("call", "orders", "list_stores", "{}", "--as", "cashier"),
        ("call", "orders", "list_stores", "{}", "--as", "nobody"),
    ],
)
def test_wrong_arguments_end_with_2_and_the_next_step(pomona, arguments):
    refused = pomona(*arguments)

    assert refused.status == 2
    assert "--help" in refused.stderr
    assert "参数有误" in refused.stderr
    assert "Traceback" not in refused.stderr


def test_the_methods_of_a_service_are_listed_with_their_requests(pomona):
    listed = pomona("call", "orders", "--list").stdout

    assert "place_order  (command; " in listed
    assert "order_id: id" in listed
    assert "lines: list of object" in listed


def test_the_list_is_there_as_data_too(pomona):
    methods = {
        m["method"]: m for m in json.loads(pomona("call", "orders", "--list", "--json").stdout)
    }

    place_order = methods["place_order"]
    assert place_order["kind"] == "command"
    assert "cashier" in place_order["roles"]
    assert place_order["request"]["order_id"] == {"type": "id", "required": True}
    line = place_order["request"]["lines"]["of"]["fields"]
    assert line["quantity"]["type"] == "count"
    assert line["quantity"]["min"] == 1
