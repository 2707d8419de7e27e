import atexit
import os
import shutil
import sys

import pytest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

# Servers that a test starts without --state: never the machine's own place.
os.environ['BULKHEAD_STATE'] = f'/srv/bht-state-{os.getpid()}'
atexit.register(shutil.rmtree, os.environ['BULKHEAD_STATE'], ignore_errors=True)

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
