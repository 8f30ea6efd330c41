"""kairos-boot: cloud-config documents in, a booted, configured, resettable node out."""
from __future__ import annotations

__version__ = "0.1.0"
