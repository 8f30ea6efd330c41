"""kairos-boot: cloud-config documents in, a booted, configured, resettable node out."""

__version__ = "0.1.0"
