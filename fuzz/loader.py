"""200 000 mutated documents and as many command lines through the loader: the unit test of that name with a higher count.

python fuzz/loader.py [COUNT]
"""

from __future__ import annotations

import os
import sys

os.environ["KAIROS_BOOT_FUZZ"] = sys.argv[1] if len(sys.argv) > 1 else "200000"
os.execv(sys.executable, [sys.executable, "-m", "pytest", "-q", os.path.join(os.path.dirname(__file__), "../tests/unit/test_decode_fuzz.py")])
