"""A way to a real redis-server that can be cut and mended."""

from pathlib import Path

from siprec.store import Client, connect


class RedisLink:
    """A client of a redis-server on a unix socket, through a symbolic link in `folder`."""

    def __init__(self, url: str, folder: Path) -> None:
        self._socket = url.removeprefix("unix://")
        self._link = folder / "redis.sock"
        self._link.symlink_to(self._socket)
        self.client: Client = connect(f"unix://{self._link}")

    def cut(self) -> None:
        """Break the connection, and let no new one come about."""
        self._link.unlink()
        self.client.connection_pool.disconnect()

    def mend(self) -> None:
        """Let new connections come about."""
        self._link.symlink_to(self._socket)

    def close(self) -> None:
        """Close the client."""
        self.client.close()
