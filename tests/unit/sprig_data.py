"""The facts that the template tests render with."""

from __future__ import annotations

DATA = {"Values": {"node": {"hostname": "labhost", "n": 3.0},
            "f": 131072.0,
            "m": 1000000.0,
            "b": 2097152.0,
            "z": 0.0,
            "q": 1.5,
            "network": [{"name": "eth0", "macaddress": "52:54"}, {"name": "eth1"}],
            "t": True,
            "e": "",
            "l": ["a", "b"],
            "el": [],
            "em": {},
            "nil": None,
            "u": "hé→x"}}
