"""Describes every event and every request of the chain as one AsyncAPI 3 document."""

from collections.abc import Mapping, Sequence
from importlib.metadata import version
from typing import Any

from pomona.broker_access import RPC_EXCHANGE
from pomona.contracts import Consumed, Contracts, Published, Request
from pomona_console.json_schema import JsonSchema, json_schema

Node = dict[str, Any]

_ENVELOPE: JsonSchema = {
    "description": "CloudEvents 1.0 in structured JSON, with extensions.",
    "type": "object",
    "required": [
        "specversion",
        "id",
        "source",
        "type",
        "subject",
        "time",
        "datacontenttype",
        "position",
        "previous",
        "data",
    ],
    "properties": {
        "specversion": {"const": "1.0"},
        "id": {"type": "string", "description": "The source and the position: always the same."},
        "source": {"type": "string", "pattern": "^pomona/"},
        "type": {"type": "string", "pattern": r"^pomona\."},
        "subject": {"type": "string", "description": "What it happened to."},
        "time": {"type": "string", "format": "date-time"},
        "datacontenttype": {"const": "application/json"},
        "position": {"type": "integer", "minimum": 1, "description": "Its place in the log."},
        "previous": {
            "type": "integer",
            "minimum": 0,
            "description": "The position of the event that this source published before it.",
        },
        "storeid": {"type": "string", "format": "uuid"},
        "actor": {"type": "string", "description": "Who caused it."},
        "correlationid": {"type": "string"},
        "causationid": {"type": "string", "description": "The command or event it follows from."},
        "traceparent": {"type": "string"},
        "otherversions": {"type": "string"},
        "data": {"type": "object"},
    },
}

_CALL_HEADERS: JsonSchema = {
    "type": "object",
    "required": ["nameko.token"],
    "properties": {
        "nameko.token": {"type": "string", "description": "The caller's signed identity."},
        "nameko.locale": {
            "type": "string",
            "description": "Of refusals: zh-CN or en.",
        },
        "nameko.correlation_id": {"type": "string", "maxLength": 64},
        "nameko.timeout": {"type": "string", "description": "Seconds that the caller waits."},
    },
}

COMMAND: JsonSchema = {
    "command_id": {"type": "string", "format": "uuid"},
    "expires_at": {"type": "string", "format": "date-time"},
}
"""What every command carries beside its own request."""

_ANSWER: JsonSchema = {
    "description": "Either a result or a refusal, never both.",
    "type": "object",
    "additionalProperties": False,
    "required": ["result", "error"],
    "properties": {
        "result": {"type": ["object", "null"]},
        "error": {
            "type": ["object", "null"],
            "required": ["exc_type", "value", "detail"],
            "properties": {
                "exc_type": {"type": "string", "description": "The code of the refusal."},
                "value": {"type": "string", "description": "A sentence in the caller's language."},
                "detail": {
                    "type": "object",
                    "required": ["code", "field", "zh", "en", "correlation_id"],
                    "properties": {
                        "code": {"type": "string"},
                        "field": {"type": ["string", "null"]},
                        "zh": {"type": "string"},
                        "en": {"type": "string"},
                        "correlation_id": {"type": "string"},
                    },
                },
            },
        },
    },
}

_ANSWERS: Node = {
    "address": None,
    "description": "The queue of one caller, named by the request's reply_to.",
    "messages": {"answer": {"$ref": "#/components/messages/answer"}},
    "bindings": {
        "amqp": {
            "is": "queue",
            "queue": {"name": "", "durable": False, "exclusive": True, "autoDelete": True},
        }
    },
}


def document(chain: Sequence[Contracts]) -> Node:
    """Return the document; equal contracts give an equal document."""
    channels: Node = {}
    operations: Node = {}
    messages: Node = {}
    schemas: Node = {"envelope": _ENVELOPE, "call_headers": _CALL_HEADERS, "answer": _ANSWER}
    for contracts in chain:
        service = contracts.service
        for entry in contracts.published:
            name = f"{service}.{entry.routing_key}"
            channels[name] = _event_channel(service, entry)
            operations[f"{service}.sends.{name}"] = _send(service, name, entry)
            messages[name] = _event_message(service, entry)
            schemas[name] = json_schema(entry.schema())
        for consumed in contracts.consumed:
            name = consumed.type.removeprefix("pomona.")
            operations[f"{service}.receives.{name}"] = _receive(service, name, consumed)
        channels[f"{service}.requests"] = _request_channel(contracts)
        for request in contracts.requests:
            name = f"{service}.{request.method}"
            operations[name] = _answer_operation(service, request)
            messages[name] = _request_message(service, request)
            schemas[name] = _request_schema(request)
    channels["answers"] = _ANSWERS
    messages["answer"] = {
        "contentType": "application/json",
        "payload": _ref("schemas", "answer"),
    }
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": "Pomona",
            "version": version("pomona"),
            "description": "What the services of a fruit-store chain tell each other, and what "
            "they can be asked. Written from their contracts by `make docs`.",
            "license": {"name": "Apache-2.0"},
        },
        "servers": {"broker": {"host": "rabbitmq:5672", "protocol": "amqp"}},
        "defaultContentType": "application/cloudevents+json",
        "channels": channels,
        "operations": operations,
        "components": {"messages": messages, "schemas": schemas},
    }


def _event_channel(service: str, entry: Published) -> Node:
    return {
        "address": entry.routing_key,
        "messages": {entry.routing_key: _ref("messages", f"{service}.{entry.routing_key}")},
        "bindings": _exchange(f"{service}.events"),
    }


def _request_channel(contracts: Contracts) -> Node:
    service = contracts.service
    methods = [request.method for request in contracts.requests]
    return {
        "address": f"{service}.{{method}}",
        "description": f"Taken from the queue rpc-{service}.",
        "parameters": {"method": {"enum": methods}},
        "messages": {method: _ref("messages", f"{service}.{method}") for method in methods},
        "bindings": _exchange(RPC_EXCHANGE),
    }


def _exchange(name: str) -> Node:
    exchange = {"name": name, "type": "topic", "durable": True, "autoDelete": False}
    return {"amqp": {"is": "routingKey", "exchange": exchange}}


def _send(service: str, name: str, entry: Published) -> Node:
    return {
        "action": "send",
        "summary": entry.summary,
        "tags": [{"name": service}],
        **_on(name, entry.routing_key),
        "bindings": {"amqp": {"deliveryMode": 2, "mandatory": True}},
    }


def _receive(service: str, name: str, consumed: Consumed) -> Node:
    return {
        "action": "receive",
        "summary": f"Read from the queue {service}.from.{consumed.source}, in order.",
        "tags": [{"name": service}],
        **_on(name, name.partition(".")[2]),
    }


def _answer_operation(service: str, request: Request) -> Node:
    return {
        "action": "receive",
        "summary": request.summary,
        "tags": [{"name": service}, {"name": request.kind}],
        "x-roles": list(request.roles),
        **_on(f"{service}.requests", request.method),
        "reply": {
            "address": {"location": "$message.header#/reply_to"},
            "channel": {"$ref": "#/channels/answers"},
            "messages": [{"$ref": "#/channels/answers/messages/answer"}],
        },
    }


def _on(channel: str, message: str) -> Node:
    return {
        "channel": {"$ref": f"#/channels/{channel}"},
        "messages": [{"$ref": f"#/channels/{channel}/messages/{message}"}],
    }


def _event_message(service: str, entry: Published) -> Node:
    return {
        "summary": entry.summary,
        "payload": {
            "allOf": [_ref("schemas", "envelope")],
            "properties": {
                "type": {"const": entry.type(service)},
                "data": _ref("schemas", f"{service}.{entry.routing_key}"),
            },
        },
    }


def _request_message(service: str, request: Request) -> Node:
    return {
        "summary": request.summary,
        "contentType": "application/json",
        "headers": _ref("schemas", "call_headers"),
        "payload": {
            "type": "object",
            "required": ["args", "kwargs"],
            "properties": {
                "args": {"type": "array", "maxItems": 0},
                "kwargs": _ref("schemas", f"{service}.{request.method}"),
            },
        },
    }


def _request_schema(request: Request) -> JsonSchema:
    own = json_schema(request.schema())
    if request.kind == "question":
        return own
    return {
        **own,
        "required": [*COMMAND, *own.get("required", [])],
        "properties": {**COMMAND, **own["properties"]},
    }


def _ref(section: str, name: str) -> Mapping[str, str]:
    return {"$ref": f"#/components/{section}/{name}"}
