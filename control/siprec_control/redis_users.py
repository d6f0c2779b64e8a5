"""The users of the embedded Redis: their passwords, and the file with their rules."""

import json
import secrets
from pathlib import Path
from urllib.parse import quote

from siprec.redis_acl import RedisUser, acl_lines
from siprec_control.errors import StateError
from siprec_control.state import StateFolder, write_private


def resolve_passwords(state: StateFolder) -> dict[RedisUser, str]:
    """Give the password of each user, made at the first start and kept in the state folder.

    Raises:
        StateError: the file cannot be read or written, or holds something else.
    """
    kept = _kept(state.redis_passwords)
    passwords = {user: kept.get(user) or secrets.token_hex(24) for user in RedisUser}
    if passwords != kept:
        write_private(state.redis_passwords, json.dumps(passwords, indent=2) + "\n")
    return passwords


def write_acl(state: StateFolder, prefix: str, passwords: dict[RedisUser, str]) -> None:
    """Write the ACL file that the embedded Redis starts with.

    Raises:
        StateError: it cannot be written.
    """
    write_private(state.redis_acl, "\n".join([*acl_lines(prefix, passwords), ""]))


def socket_url(socket: Path, user: RedisUser, passwords: dict[RedisUser, str]) -> str:
    """Give the URL at which a user finds the embedded Redis."""
    return f"unix://{user}:{passwords[user]}@{quote(str(socket))}"


def _kept(path: Path) -> dict[RedisUser, str]:
    try:
        plain = json.loads(path.read_text(encoding="utf-8"))
        if not all(isinstance(each, str) and each for each in plain.values()):
            raise ValueError
        return {RedisUser(name): password for name, password in plain.items()}
    except FileNotFoundError:
        return {}
    except OSError as error:
        raise StateError(f"{path}: {error.strerror}") from error
    except (ValueError, AttributeError):
        raise StateError(f"{path}: does not hold passwords of Redis users") from None
