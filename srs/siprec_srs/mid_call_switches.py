"""The switches for life inside the dialog, and what they ask for."""

import argparse

from siprec_srs.behaviour import MidCallPolicy, Refusal, TimerPolicy
from siprec_srs.errors import UsageError
from siprec_srs.offers import DIRECTIONS, Wish

_REASONS = {
    400: "Bad Request",
    403: "Forbidden",
    404: "Not Found",
    405: "Method Not Allowed",
    408: "Request Timeout",
    415: "Unsupported Media Type",
    480: "Temporarily Unavailable",
    481: "Call/Transaction Does Not Exist",
    486: "Busy Here",
    488: "Not Acceptable Here",
    491: "Request Pending",
    500: "Server Internal Error",
    501: "Not Implemented",
    503: "Service Unavailable",
    600: "Busy Everywhere",
    603: "Decline",
}


def add_mid_call(group: argparse._ArgumentGroup) -> None:
    """Add the switches."""
    group.add_argument("--session-expires", metavar="S[:uac|uas]", help="what our 200 says")
    group.add_argument("--min-se", type=int, default=0, metavar="S", help="else 422")
    group.add_argument("--refresh-by", choices=("invite", "update"), default="invite")
    offers = f"LIST of {', '.join(DIRECTIONS)}, port0:N, extra, same, none"
    group.add_argument("--reinvite-offers", metavar="LIST", help=f"one re-INVITE each; {offers}")
    group.add_argument("--update-offers", metavar="LIST", help="one UPDATE each")
    for name, text in (
        ("never-refresh", "do not refresh although we said we would"),
        ("reinvite-without-sdp", "let the SRC offer"),
        ("moved-port", "offer other RTP ports"),
        ("cancel-reinvite", "CANCEL right behind our re-INVITE"),
        ("silent-reinvite", "never answer a re-INVITE"),
        ("forked-200", "a second 200 with another To tag"),
        ("moved-contact", "another Contact in later 2xx"),
    ):
        group.add_argument(f"--{name}", action="store_true", help=text)
    for name, text in (
        ("update-after", "UPDATE in the dialog"),
        ("snapshot-request-after", "ask for a full snapshot"),
        ("info-after", "INFO in the dialog"),
    ):
        group.add_argument(f"--{name}", type=float, metavar="S", help=text)
    group.add_argument("--delay-reinvite", type=float, default=0, metavar="MS", help="answer later")
    group.add_argument("--glare", choices=("491", "cross"), default="", help="refuse one offer so")
    for method in ("reinvite", "update"):
        text = f"answer N to a{'n' * (method == 'update')} {method}"
        group.add_argument(f"--refuse-{method}", metavar="N[:TIMES]", help=text)


def read_status(switch: str, text: str) -> tuple[int, str]:
    """Read N of a refusal, and find its reason phrase. Raises: UsageError."""
    if not text.isdecimal() or not 300 <= int(text) <= 699:
        raise UsageError(f"{switch} {text}: not a status from 300 to 699")
    return int(text), _REASONS.get(int(text), "Refused")


def _refusal(switch: str, text: str | None) -> Refusal | None:
    if text is None:
        return None
    number, colon, times = text.partition(":")
    if colon and not times.isdecimal():
        raise UsageError(f"{switch} {text}: not N:TIMES")
    status, reason = read_status(switch, number)
    return Refusal(status=status, reason=reason, times=int(times or 0))


def _wish(switch: str, text: str, moves: bool) -> Wish:
    name, colon, index = text.strip().partition(":")
    if name == "port0" and colon and index.isdecimal():
        return Wish(port_zero=int(index), moves=moves)
    if colon or name not in (*DIRECTIONS, "extra", "same", "none"):
        raise UsageError(f"{switch} {text}: no offer that we know")
    return Wish(
        direction=name if name in DIRECTIONS else "",
        extra=name == "extra",
        is_absent=name == "none",
        moves=moves and name != "none",
    )


def _wishes(switch: str, text: str, moves: bool) -> tuple[Wish, ...]:
    words = text.split(",")
    # The ports move once, with the first offer.
    return tuple(_wish(switch, word, moves and not index) for index, word in enumerate(words))


def _timer(args: argparse.Namespace) -> TimerPolicy:
    seconds, colon, refresher = (args.session_expires or "0").partition(":")
    is_wrong = not seconds.isdecimal() or (colon and refresher not in ("uac", "uas"))
    if is_wrong or (args.session_expires and not int(seconds)):
        raise UsageError(f"--session-expires {args.session_expires}: not S[:uac|uas]")
    return TimerPolicy(
        expires_s=int(seconds),
        refresher=refresher,
        min_se_s=args.min_se,
        refresh_by=args.refresh_by.upper(),
        never_refreshes=args.never_refresh,
    )


def read_mid_call(args: argparse.Namespace) -> MidCallPolicy:
    """Turn parsed switches into a policy. Raises: UsageError."""
    needs_reinvite = {
        "--reinvite-offers": args.reinvite_offers,
        "--reinvite-without-sdp": args.reinvite_without_sdp,
        "--moved-port": args.moved_port,
        "--cancel-reinvite": args.cancel_reinvite,
    }
    for switch, value in needs_reinvite.items():
        if value and args.reinvite_after is None:
            raise UsageError(f"{switch} needs --reinvite-after")
    if args.update_offers and args.update_after is None:
        raise UsageError("--update-offers needs --update-after")
    word = "none" if args.reinvite_without_sdp else args.reinvite_offers or "same"
    return MidCallPolicy(
        timer=_timer(args),
        reinvite_offers=_wishes("--reinvite-offers", word, args.moved_port),
        cancel_reinvite=args.cancel_reinvite,
        update_after_s=args.update_after,
        update_offers=_wishes("--update-offers", args.update_offers or "none", False),
        snapshot_request_after_s=args.snapshot_request_after,
        info_after_s=args.info_after,
        glare=args.glare,
        refuse_reinvite=_refusal("--refuse-reinvite", args.refuse_reinvite),
        refuse_update=_refusal("--refuse-update", args.refuse_update),
        silent_reinvite=args.silent_reinvite,
        delay_reinvite_s=args.delay_reinvite / 1000,
        forked_200=args.forked_200,
        moved_contact=args.moved_contact,
    )
