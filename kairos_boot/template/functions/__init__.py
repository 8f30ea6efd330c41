"""The functions of templates: those of Go and of sprig 3, by family, one file each.

This table says which name is in which file; a file is imported when one of its functions is called.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    Function = tuple[str, Callable[..., object]]

FAMILIES = {
    "go": "call eq ge gt html index js le len lt ne not print printf println slice urlquery mustSlice",
    "strings": "trim trimAll trimall trimPrefix trimSuffix upper lower title untitle repeat substr trunc abbrev abbrevboth nospace"
    " initials swapcase contains hasPrefix hasSuffix quote squote cat indent nindent replace plural toString hello",
    "cases": "snakecase camelcase kebabcase",
    "words": "wrap wrapWith split splitn splitList toStrings join sortAlpha",
    "randomness": "shuffle randAlphaNum randAlpha randAscii randNumeric randBytes randInt uuidv4",
    "hashes": "sha1sum sha256sum sha512sum adler32sum b64enc b64dec b32enc b32dec bcrypt",
    "arithmetic": "atoi int int64 float64 toDecimal add1 add sub div mod mul add1f addf subf divf mulf max min biggest maxf minf"
    " ceil floor round seq until untilStep",
    "logic": "default empty coalesce all any ternary fail typeOf typeIs typeIsLike kindOf kindIs deepEqual",
    "json_text": "fromJson mustFromJson toJson mustToJson toPrettyJson mustToPrettyJson toRawJson mustToRawJson",
    "lists": "list tuple first mustFirst rest mustRest last mustLast initial mustInitial append mustAppend push mustPush prepend"
    " mustPrepend concat reverse mustReverse uniq mustUniq without mustWithout has mustHas compact mustCompact chunk mustChunk",
    "dicts": "dict get set unset hasKey pluck keys values pick omit merge mustMerge mergeOverwrite mustMergeOverwrite dig deepCopy"
    " mustDeepCopy",
    "dates": "now date date_in_zone dateInZone date_modify dateModify must_date_modify mustDateModify ago duration durationRound"
    " htmlDate htmlDateInZone unixEpoch toDate mustToDate",
    "paths": "base dir clean ext isAbs osBase osDir osClean osExt osIsAbs urlParse urlJoin",
    "regex": "regexMatch mustRegexMatch regexFind mustRegexFind regexFindAll mustRegexFindAll regexReplaceAll mustRegexReplaceAll"
    " regexReplaceAllLiteral mustRegexReplaceAllLiteral regexSplit mustRegexSplit regexQuoteMeta",
    "versions": "semver semverCompare",
}
"""Family (module of this package) and the functions in it; `and` and `or` belong to the interpreter."""

_FACTS = "a document is rendered from the node's facts alone"
_KEYS = "keys and certificates are made where they are kept"
_CRYPTO = "a boot derives and encrypts no secrets; put the result into the document"
LEFT_OUT = {
    **dict.fromkeys(("env", "expandenv", "getHostByName"), _FACTS),
    **dict.fromkeys(("genPrivateKey", "genCA", "genCAWithKey", "genSelfSignedCert", "genSelfSignedCertWithKey", "genSignedCert",
                     "genSignedCertWithKey", "buildCustomCert"), _KEYS),
    **dict.fromkeys(("encryptAES", "decryptAES", "derivePassword"), _CRYPTO),
    "htpasswd": 'write `{{ printf "%s:%s" USER (bcrypt PASSWORD) }}`',
}  # fmt: skip
"""Functions of sprig that are not offered, and why."""

_LAZY = frozenset(("and", "or"))


def known(name: str) -> bool:
    return name in _LAZY or _family(name) is not None


def find(name: str) -> Function:
    """Signature and code of the function *name*, which is known."""
    module = __import__(f"kairos_boot.template.functions.{_family(name)}", None, None, ("FUNCTIONS",))  # importlib costs more
    function: Function = module.FUNCTIONS[name]
    return function


def suggestion(name: str) -> str:
    if name in LEFT_OUT:
        return f"{name} is left out on purpose: {LEFT_OUT[name]}"
    if name == "required":
        return "required is a function of configuration URLs only; use default or fail"
    from kairos_boot.nearest import did_you_mean

    every = [word for names in FAMILIES.values() for word in names.split()] + sorted(_LAZY)
    return did_you_mean(name, every) or "docs/reference/templates.md lists the functions"


_families: dict[str, str] = {}


def _family(name: str) -> str | None:
    if not _families:
        _families.update((word, family) for family, names in FAMILIES.items() for word in names.split())
    return _families.get(name)
