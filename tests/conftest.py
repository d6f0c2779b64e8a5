"""What all tests share."""

from pathlib import Path

import pytest

# A failed assertion of what tests share shows its values, too.
pytest.register_assert_rewrite(
    *(f"tests.{room.name}" for room in Path(__file__).parent.iterdir() if room.is_dir())
)
