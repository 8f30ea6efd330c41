"""Verdicts as JUnit's XML, which CI systems read."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from kairos_boot.golden.cases import Verdict


def junit(verdicts: Mapping[str, Sequence[Verdict]]) -> bytes:
    """A suite for each file."""
    from xml.etree import ElementTree as ET

    top = ET.Element("testsuites")
    for file, cases in verdicts.items():
        suite = ET.SubElement(top, "testsuite", name=file, tests=str(len(cases)), failures=str(sum(bool(v.differences and not v.error) for v in cases)),
                               errors=str(sum(bool(v.error) for v in cases)))
        for verdict in cases:
            case = ET.SubElement(suite, "testcase", name=_clean(verdict.name), classname=file)
            if verdict.error:
                ET.SubElement(case, "error", message="not run").text = _clean(verdict.error)
            elif verdict.differences:
                ET.SubElement(case, "failure", message="not what came out").text = _clean("\n".join(verdict.differences))
    text: bytes = ET.tostring(top, encoding="utf-8", xml_declaration=True)
    return text + b"\n"


def _clean(text: str) -> str:
    """*text* without what XML does not allow."""
    return "".join(char if char.isprintable() or char in "\n\t" else "\N{REPLACEMENT CHARACTER}" for char in text)
