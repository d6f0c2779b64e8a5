"""UDP sockets on loopback, between processes of one node."""

import socket

_FORCE = 33  # SO_RCVBUFFORCE: past net.core.rmem_max, for a process that may


def open_receiver(receive_bytes: int) -> socket.socket:
    """Open a socket on a free port, with room for so many bytes if the kernel allows."""
    receiver = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    receiver.bind(("127.0.0.1", 0))
    try:
        receiver.setsockopt(socket.SOL_SOCKET, _FORCE, receive_bytes)
    except PermissionError:
        receiver.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_bytes)
    return receiver


def open_sender() -> socket.socket:
    """Open a socket whose sends never wait: what does not fit raises."""
    sender = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sender.setblocking(False)
    return sender
