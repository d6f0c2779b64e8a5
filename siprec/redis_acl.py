"""Who may do what in Redis: rules of its ACL (Redis 7) for each kind of process and of people.

deploy/redis-acl.conf shows them with the default prefix; docs/redis.md says who is who.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum


class RedisUser(StrEnum):
    """The users of Redis."""

    PROXY = "siprec-proxy"
    CONTROLLER = "siprec-controller"
    CONTROL = "siprec-control"
    OPERATOR = "siprec-operator"
    READER = "siprec-reader"
    ADMIN = "siprec-admin"


@dataclass(frozen=True, slots=True)
class _Grant:
    """What a user may read, write and do to which keys, less the prefix, and with what.

    `apart` are the only commands for all other keys, `queued` those of a reader that settles what
    it read in `queues`.
    """

    commands: str
    read: str = ""
    write: str = ""
    both: str = ""
    apart: str = ""
    queues: str = ""
    queued: str = ""


# Every client may look whether Redis is there, choose its database, and say who it is.
_ANY = "ping hello select time client|setname client|id"

_EVERYTHING = "allkeys allchannels +@all"

_TOLD = "{s*}:events {s*}:alerts {s*}:call:* {s*}:live {s*}:ended {s*}:lease health loads contract"
_LOOK = (
    "get exists type pttl ttl hget hgetall hkeys hvals smembers zrange xrange xrevrange xread xlen"
)

_GRANTS: Mapping[RedisUser, _Grant] = {
    RedisUser.PROXY: _Grant(
        # Tokens of accounts sign what it asks of the URLs of numbers.
        read="numbers connectors:* accounts:records health {s*}:call:* actions:*",
        write="{s*}:inbox",
        # What a controller that is gone said of its load is removed by whoever sees it.
        both="loads",
        commands="hget hmget hgetall hdel xadd xread",
    ),
    RedisUser.CONTROLLER: _Grant(
        read="connectors:* accounts",
        write="actions:*",
        both="{s*}:* turns:* health loads relatives:* controllers commands contract",
        commands="eval get set incr del expire pexpire pexpireat"
        " hget hgetall hvals hlen hset hdel hincrby sadd srem smembers rpush"
        " zadd zrange zremrangebyscore"
        " xadd xread xtrim xack xdel xreadgroup xgroup|create",
    ),
    RedisUser.CONTROL: _Grant(
        read="{s*}:* health contract",
        write="actions:*",
        # A script must both read and write a key by one rule.
        both="{s*}:inbox numbers connectors:* accounts* turns:* loads {s*}:reply:*"
        " {s*}:callbacks {s*}:undelivered callback-worker {documents}:* {s*}:request:*"
        " console:session:*",
        commands=f"{_LOOK} eval scan set del pexpire expire hmget hset hdel sadd srem lrange"
        " blpop xadd xdel xack xreadgroup xgroup|create multi exec discard watch"
        " zadd zrem zrangebyscore sismember scard",
        # Alerts are read as callbacks are, and written by controllers alone.
        queues="{s*}:callbacks {s*}:alerts",
        queued="xack xreadgroup xgroup|create",
        # Of everything there is, it is asked which key has sealed it (siprec.seals).
        apart="type get hvals lrange xrange",
    ),
    RedisUser.OPERATOR: _Grant(
        read=_TOLD,
        write="commands",
        both="{s*}:reply:*",
        commands=f"{_LOOK} xadd blpop lpop",
    ),
    RedisUser.READER: _Grant(read=_TOLD, commands=_LOOK),
}


def rules(user: RedisUser, prefix: str) -> str:
    """Give the rules of a user, for ACL SETUSER or a line of an ACL file, without a password."""
    if user is RedisUser.ADMIN:
        return _EVERYTHING
    grant = _GRANTS[user]
    keys = [
        f"%{kind}~{prefix}{name}"
        for kind, names in (("R", grant.read), ("W", grant.write), ("RW", grant.both))
        for name in names.split()
    ]
    commands = [f"+{command}" for command in f"{_ANY} {grant.commands}".split()]
    found = ["resetkeys", *keys, "resetchannels", "-@all", *commands]
    if grant.queues:
        queues = " ".join(f"%RW~{prefix}{name}" for name in grant.queues.split())
        queued = " ".join(f"+{command}" for command in grant.queued.split())
        found.append(f"({queues} {queued})")
    if grant.apart:
        apart = " ".join(f"+{command}" for command in grant.apart.split())
        found.append(f"(%R~{prefix}* {apart})")
    return " ".join(["clearselectors", *found])


def acl_lines(prefix: str, passwords: Mapping[RedisUser, str]) -> list[str]:
    """Give the lines of an ACL file; it holds a SHA-256 of each password and no password.

    The default user cannot come in, but keeps all rights: Redis 7.0 reads its append-only file
    with them, and leaves out every transaction and script that it has no right to.
    """
    lines = [f"user default reset off {_EVERYTHING}"]
    for user, password in passwords.items():
        digest = hashlib.sha256(password.encode()).hexdigest()
        lines.append(f"user {user} reset on #{digest} {rules(user, prefix)}")
    return lines
