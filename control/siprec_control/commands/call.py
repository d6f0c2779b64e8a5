"""`siprec call`: the calls that go, or went, through the proxy."""

import argparse

from siprec.model import Call, Party, Stream
from siprec.record import to_plain
from siprec_control import output
from siprec_control.commands.nouns import Noun, Nouns, open_store
from siprec_control.commands.stream import STREAM_TITLES, plain_stream, stream_row
from siprec_control.errors import Refused
from siprec_control.hang_up import NotOurs, hang_up


def add(nouns: Nouns, common: argparse.ArgumentParser) -> None:
    """Declare `siprec call list|show|hangup`."""
    noun = Noun(nouns, common, "call", "look at calls, and end them")
    verb = noun.verb("list", list_calls, "list the live calls, newest first")
    verb.add_argument("--all", action="store_true", help="also those that have ended")
    verb = noun.verb("show", show_call, "show a call and its streams")
    verb.add_argument("call", metavar="CALL", help="CA…")
    verb = noun.verb("hangup", hang_up_call, "end a call: by BYE, by CANCEL while it rings")
    verb.add_argument("call", metavar="CALL", help="CA…")


def list_calls(arguments: argparse.Namespace) -> int:
    """List calls, newest first."""
    with open_store(arguments) as (store, _):
        calls = store.calls(live_only=not arguments.all)
    if arguments.json:
        output.print_json(calls)
        return 0
    rows = [
        (
            call.sid,
            call.number,
            call.caller.uri,
            output.local_time(call.started_ms),
            output.duration(call.answered_ms, call.ended_ms),
            _standing(call),
        )
        for call in calls
    ]
    titles = ("CALL", "NUMBER", "CALLER", "STARTED", "TALKED", "STATE")
    output.print_table(titles, rows, none="no calls" if arguments.all else "no live calls")
    return 0


def show_call(arguments: argparse.Namespace) -> int:
    """Show one call and its streams."""
    with open_store(arguments) as (store, _):
        call = store.call(arguments.call)
        if call is None:
            raise Refused(f"CALL: no call {arguments.call}")
        streams = store.streams(call.sid)
    if arguments.json:
        output.print_json({**to_plain(call), "streams": [plain_stream(s) for s in streams]})
    else:
        _print_call(call, streams)
    return 0


def hang_up_call(arguments: argparse.Namespace) -> int:
    """Let the proxy of a call end it."""
    with open_store(arguments) as (store, _):
        call = store.call(arguments.call)
        if call is None:
            raise Refused(f"CALL: no call {arguments.call}")
        if not call.is_live:
            raise Refused(f"CALL: {call.sid} is {_standing(call)}")
        store.documents.remove(call.account_sid, call.sid)
        try:
            hang_up(store, call, "ended from the command line")
        except NotOurs as error:
            raise Refused(f"CALL: {error}") from error
    if arguments.json:
        output.print_json(call)
    else:
        print(f"{call.sid} is being {'cancelled' if call.answered_ms is None else 'hung up'}")
    return 0


def _print_call(call: Call, streams: list[Stream]) -> None:
    output.print_fields(
        [
            ("call", call.sid),
            ("number", call.number),
            ("caller", _named(call.caller)),
            ("callee", _named(call.callee)),
            ("started", output.local_time(call.started_ms, exact=True)),
            ("answered", output.local_time(call.answered_ms, exact=True)),
            ("ended", output.local_time(call.ended_ms, exact=True)),
            ("state", _standing(call)),
            ("Call-ID", call.sip_call_id),
            ("Session-ID", call.session_id or ""),
            ("rtpengine", call.rtpengine),
        ]
    )
    print()
    output.print_table(STREAM_TITLES, map(stream_row, streams), none="no streams")


def _standing(call: Call) -> str:
    if call.ended_ms is not None:
        return f"ended ({call.end_reason})" if call.end_reason else "ended"
    return "ringing" if call.answered_ms is None else "live"


def _named(party: Party) -> str:
    return f"{party.name} <{party.uri}>" if party.name else party.uri
