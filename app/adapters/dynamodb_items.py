"""Items and writes in DynamoDB's notation.

An item has the attributes `pk`, `sk`, `body` (a map), `version`, `expires_at` (the table's TTL
attribute, seconds since 1970) and `writer`, the mark of the last call that wrote it alone.
Members of a body that conditions may ask for are DynamoDB's own types, all others are JSON.
"""

import json
from base64 import b64decode, b64encode
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from app.storage.table import (
    Absent,
    Check,
    Condition,
    Delete,
    Exists,
    FieldIs,
    InvalidWrite,
    Item,
    Json,
    Key,
    Put,
    Update,
    VersionIs,
    Write,
)

Attribute: TypeAlias = "dict[str, Any]"
Row: TypeAlias = "dict[str, Attribute]"

LIVING = "(attribute_not_exists(expires_at) OR expires_at > :now)"
CONDITIONS = {
    Absent: "(attribute_not_exists(pk) OR expires_at <= :now)",
    Exists: f"attribute_exists(pk) AND {LIVING}",
}
MEMBERS = {Put: "Put", Update: "Update", Delete: "Delete", Check: "ConditionCheck"}
LARGEST_NUMBER = 10**38  # DynamoDB: a number has up to 38 digits


def key_of(key: Key) -> Row:
    """A primary key."""
    return {"pk": {"S": key.pk}, "sk": {"S": key.sk}}


def number(value: int) -> Attribute:
    """An integer attribute."""
    return {"N": str(value)}


def item_of(row: Row) -> Item:
    """The item that lies in a row, expired or not."""
    return Item(
        key=Key(row["pk"]["S"], row["sk"]["S"]),
        body={name: _read(value) for name, value in row["body"]["M"].items()},
        version=int(row["version"]["N"]),
        expires_at=int(row["expires_at"]["N"]) if "expires_at" in row else None,
    )


def written_by(row: Row, mark: str) -> bool:
    """Whether the call with this mark was the last that wrote the row."""
    return row.get("writer") == {"S": mark}


@dataclass(frozen=True, kw_only=True)
class Request:
    """A write as DynamoDB takes it, alone or as a member of a transaction.

    Attributes:
        now: seconds since 1970, which tell what has expired.

    Raises:
        InvalidWrite: on reading any of its parts, when the write is none of the port's.
    """

    write: Write
    table: str
    now: int
    _names: dict[str, str] = field(default_factory=dict)
    _values: dict[str, Attribute] = field(default_factory=dict)

    def alone(self, mark: str) -> dict[str, Any]:
        """The call of `PutItem` or `UpdateItem`; its refusal brings back what lies there."""
        parts = self._parts(mark)
        if "ConditionExpression" in parts:
            parts["ReturnValuesOnConditionCheckFailure"] = "ALL_OLD"
        return parts

    def member(self) -> dict[str, Any]:
        """The member of `TransactWriteItems`."""
        try:
            kind = MEMBERS[type(self.write)]
        except KeyError:
            raise InvalidWrite(f"{type(self.write).__name__} is not a write of the port") from None
        return {kind: self._parts(None)}

    def _parts(self, mark: str | None) -> dict[str, Any]:
        parts: dict[str, Any] = {"TableName": self.table}
        if isinstance(self.write, Put):
            parts["Item"] = self._row(self.write, mark)
        else:
            parts["Key"] = key_of(self.write.key)
        if isinstance(self.write, Update):
            parts["UpdateExpression"] = self._update(self.write, mark)
        conditions = self._conditions()
        if conditions:
            parts["ConditionExpression"] = " AND ".join(conditions)
        if self._names:
            parts["ExpressionAttributeNames"] = self._names
        if self._values:
            parts["ExpressionAttributeValues"] = self._values
        return parts

    def _row(self, write: Put, mark: str | None) -> Row:
        version = next((one.version for one in write.when if isinstance(one, VersionIs)), 0)
        row: Row = {
            **key_of(write.key),
            "body": {"M": {_text(name): _written(held) for name, held in write.body.items()}},
            "version": number(version + 1),
        }
        if write.expires_at is not None:
            row["expires_at"] = number(write.expires_at)
        if mark is not None:
            row["writer"] = {"S": mark}
        return row

    def _update(self, write: Update, mark: str | None) -> str:
        sets = [f"version = version + {self._value(number(1))}"]
        sets += [
            f"{self._field(name)} = {self._value(_written(v))}" for name, v in write.set.items()
        ]
        for name, amount in write.add.items():
            held = f"if_not_exists({self._field(name)}, {self._value(number(0))})"
            sets.append(f"{self._field(name)} = {held} + {self._value(number(amount))}")
        if write.expires_at is not None:
            sets.append(f"expires_at = {self._value(number(write.expires_at))}")
        if mark is not None:
            sets.append(f"writer = {self._value({'S': mark})}")
        return "SET " + ", ".join(sets)

    def _conditions(self) -> list[str]:
        conditions: tuple[Condition, ...] = self.write.when
        if isinstance(self.write, Update):  # it never makes an item
            conditions = (*conditions, Exists())
        if conditions:
            self._values[":now"] = number(self.now)
        return list(dict.fromkeys(self._condition(one) for one in conditions))

    def _condition(self, condition: Condition) -> str:
        match condition:
            case VersionIs(version):
                return f"version = {self._value(number(version))} AND {LIVING}"
            case FieldIs(name, held):
                return f"{self._field(name)} = {self._value(_written(held))} AND {LIVING}"
            case _:
                return CONDITIONS[type(condition)]

    def _field(self, name: str) -> str:
        alias = next((known for known, held in self._names.items() if held == name), None)
        if alias is None:
            alias = f"#{len(self._names)}"
            self._names[alias] = _text(name)
        return f"body.{alias}"

    def _value(self, value: Attribute) -> str:
        alias = next((known for known, held in self._values.items() if held == value), None)
        if alias is None:
            alias = f":{len(self._values)}"
            self._values[alias] = value
        return alias


def _written(value: Json) -> Attribute:
    match value:
        case bool():
            return {"BOOL": value}
        case None:
            return {"NULL": True}
        case str():
            return {"S": _text(value)}
        case int() if abs(value) < LARGEST_NUMBER:
            return number(value)
        case _:
            try:
                text = json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
                return {"B": b64encode(text.encode()).decode()}
            except ValueError:
                raise InvalidWrite("a body holds what JSON in UTF-8 cannot") from None


def _read(value: Attribute) -> Json:
    ((kind, held),) = value.items()
    match kind:
        case "N":
            return int(held)
        case "NULL":
            return None
        case "B":
            parsed: Json = json.loads(b64decode(held))
            return parsed
        case _:
            same: str | bool = held
            return same


def _text(text: str) -> str:
    try:
        text.encode()
    except UnicodeEncodeError:
        raise InvalidWrite("a body holds half of a surrogate pair") from None
    return text
