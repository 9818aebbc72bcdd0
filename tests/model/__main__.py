"""`python -m tests.model`: explore everything, print every red proof's trace."""

import sys

from tests.model.proofs import prove

sys.exit(0 if prove(sys.stdout) else 1)
