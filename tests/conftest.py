import os
import sys

import pytest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

from harness import sanitizers  # noqa: E402
from harness.servers import Work  # noqa: E402


@pytest.fixture(scope='module')
def work():
    """A folder of the test module's own."""
    folder = Work()
    yield folder
    folder.remove()


@pytest.fixture(autouse=True)
def sanitized():
    """Fails the test during which a sanitizer reported something."""
    yield
    sanitizers.check()
