"""docs/redis.md tells every key, every kind of inbox entry, and every field."""

import re
from dataclasses import fields
from inspect import getmembers
from pathlib import Path
from typing import Any

import pytest

from siprec import inbox, keys
from siprec.accounts import Account, ApiKey
from siprec.alerts import Alert
from siprec.connector import Connector, Srs
from siprec.health import Load, SrsHealth, SrsLoad
from siprec.kinship import Relative
from siprec.live_documents import LiveDocument
from siprec.model import (
    Ask,
    Call,
    Former,
    Kinship,
    Leg,
    Moment,
    Party,
    Picture,
    Plan,
    Question,
    Stream,
    StreamOrder,
    Timer,
)
from siprec.numbers import Number
from siprec.order_store import ACTIONS_KEPT
from siprec.record import SECRET
from siprec.shard_store import ALERTS_KEPT, EVENTS_KEPT, LEASE_MS, RELATIVES_KEPT, REPLY_S
from siprec.step import HISTORY
from siprec.store import LOAD_FRESH_MS
from siprec.stream_events import Callback, StreamEvent, Undelivered
from siprec.verdict import Verdict
from tests.siprec.test_actions import ACTIONS
from tests.siprec.test_inbox import ENTRIES

TEXT = (Path(__file__).parents[2] / "docs" / "redis.md").read_text("utf-8")
RECORDS = (
    *(
        Call,
        Party,
        Former,
        Kinship,
        Relative,
        Picture,
        Question,
        Timer,
        Stream,
        StreamOrder,
        Plan,
        Leg,
        Ask,
        Moment,
    ),
    *(Connector, Srs, SrsHealth, SrsLoad, Load),
    *(inbox.TlsSeen, Number, Alert, Verdict, Account, ApiKey),
    *(StreamEvent, Callback, Undelivered, LiveDocument),
)


def row_of(first_cell: str) -> str:
    """Give the table row that begins with that cell."""
    rows = [line for line in TEXT.splitlines() if line.startswith(f"| {first_cell} |")]
    assert len(rows) == 1, first_cell
    return rows[0]


def words(text: str) -> set[str]:
    """Give the names in backticks."""
    return set(re.findall(r"`([a-z_]+)`", text))


def test_every_key_has_a_row() -> None:
    shard = keys.ShardKeys("", 0)
    names = [
        getattr(shard, name)
        for name, member in getmembers(keys.ShardKeys)
        if isinstance(member, property) and not name.startswith("_")
    ]
    names += [shard.call("CA…"), shard.reply("ID"), shard.request("ID")]
    names += [keys.connectors_key("", "AC…"), keys.turns_key("", "AC…")]
    names += [keys.actions_key("", "NODE"), keys.relatives_key("", "NAME")]
    names += [keys.commands_key(""), keys.contract_key("")]
    plain = (keys.numbers_key, keys.accounts_key, keys.health_key)
    names += [key("") for key in (*plain, keys.loads_key, keys.controllers_key)]
    names += [keys.callback_worker_key(""), keys.account_records_key(""), keys.api_keys_key("")]
    names += [keys.documents_key(""), keys.documents_due_key(""), keys.documents_claims_key("")]
    names += [keys.documents_of_key("", "AC…")]
    assert len(names) == 31
    assert len([name for name in vars(keys) if name.endswith("_key")]) == 19
    for name in names:
        row_of(f"`{name.replace('{s00}', '{sNN}')}`")


@pytest.mark.parametrize("kind", ENTRIES)
def test_every_kind_of_inbox_entry_has_a_row_with_its_fields(kind: str) -> None:
    row = row_of(f"`{kind}`").split("|")[2]
    named = {field.name for field in fields(ENTRIES[kind])}
    extra = {field.name for field in fields(inbox.Notice)} if kind == "call-answered" else set()
    assert words(row) == named | extra


@pytest.mark.parametrize("kind", ACTIONS)
def test_every_kind_of_action_has_a_row_with_its_fields(kind: str) -> None:
    row = row_of(f"`{kind}`").split("|")[2]
    assert words(row) == {field.name for field in fields(ACTIONS[kind])}


@pytest.mark.parametrize("record", RECORDS, ids=lambda record: record.__name__)
def test_every_record_has_a_row_with_its_fields(record: Any) -> None:
    row = row_of(f"*{record.__name__}*").split("|")[2]
    assert words(row) == {field.name for field in fields(record)}


def test_every_secret_of_a_connector_is_told() -> None:
    (row,) = [line for line in TEXT.splitlines() if " of a *Connector* |" in line]
    secrets = {field.name for field in fields(Connector) if field.metadata == SECRET}
    assert words(row.split("|")[1]) == secrets


def test_numbers_told_are_those_of_the_code() -> None:
    assert f"{LEASE_MS // 1000} s, renewed each second" in TEXT
    assert f"the last {ALERTS_KEPT} or so" in TEXT
    assert f"the last {EVENTS_KEPT} or so" in TEXT
    assert f"| {REPLY_S} s |" in TEXT
    assert f"{RELATIVES_KEPT} calls at most" in TEXT
    assert f"the last {HISTORY})" in TEXT
    assert f"the last {ACTIONS_KEPT} or so" in TEXT
    assert f"older than {LOAD_FRESH_MS // 1000} s" in TEXT
