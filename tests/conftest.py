"""What all tests share."""

import signal
from pathlib import Path

import pytest

# What runs in the background of a shell ignores SIGINT, and so would each program under test.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

# A failed assertion of what tests share shows its values, too.
pytest.register_assert_rewrite(
    *(f"tests.{room.name}" for room in Path(__file__).parent.iterdir() if room.is_dir())
)
