"""Which function lives in which family. A family is imported when one of its functions is called."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    Function = tuple[str, Callable[..., object]]

FAMILIES = {
    "go_builtins": "call eq ge gt html index js le len lt ne not print printf println slice urlquery mustSlice",
    "sprig_strings": "trim trimAll trimall trimPrefix trimSuffix upper lower title untitle repeat substr trunc abbrev abbrevboth nospace"
    " initials swapcase contains hasPrefix hasSuffix quote squote cat indent nindent replace plural toString hello",
    "sprig_cases": "snakecase camelcase kebabcase",
    "sprig_words": "wrap wrapWith split splitn splitList toStrings join sortAlpha",
    "sprig_random": "shuffle randAlphaNum randAlpha randAscii randNumeric randBytes randInt uuidv4",
    "sprig_hashes": "sha1sum sha256sum sha512sum adler32sum b64enc b64dec b32enc b32dec",
    "sprig_crypto": "bcrypt htpasswd derivePassword encryptAES decryptAES",
    "sprig_numbers": "atoi int int64 float64 toDecimal add1 add sub div mod mul add1f addf subf divf mulf max min biggest maxf minf"
    " ceil floor round seq until untilStep",
    "sprig_logic": "default empty coalesce all any ternary fail typeOf typeIs typeIsLike kindOf kindIs deepEqual",
    "sprig_json": "fromJson mustFromJson toJson mustToJson toPrettyJson mustToPrettyJson toRawJson mustToRawJson",
    "sprig_lists": "list tuple first mustFirst rest mustRest last mustLast initial mustInitial append mustAppend push mustPush prepend"
    " mustPrepend concat reverse mustReverse uniq mustUniq without mustWithout has mustHas compact mustCompact chunk mustChunk",
    "sprig_dicts": "dict get set unset hasKey pluck keys values pick omit merge mustMerge mergeOverwrite mustMergeOverwrite dig deepCopy"
    " mustDeepCopy",
    "sprig_dates": "now date date_in_zone dateInZone date_modify dateModify must_date_modify mustDateModify ago duration durationRound"
    " htmlDate htmlDateInZone unixEpoch toDate mustToDate",
    "sprig_paths": "base dir clean ext isAbs osBase osDir osClean osExt osIsAbs urlParse urlJoin",
    "sprig_regex": "regexMatch mustRegexMatch regexFind mustRegexFind regexFindAll mustRegexFindAll regexReplaceAll mustRegexReplaceAll"
    " regexReplaceAllLiteral mustRegexReplaceAllLiteral regexSplit mustRegexSplit regexQuoteMeta",
    "sprig_semver": "semver semverCompare",
}
"""Family (module of this package) and the functions in it; `and` and `or` belong to the interpreter."""

LEFT_OUT = frozenset(
    (
        "env", "expandenv", "getHostByName", "genPrivateKey", "genCA", "genCAWithKey", "genSelfSignedCert",
        "genSelfSignedCertWithKey", "genSignedCert", "genSignedCertWithKey", "buildCustomCert",
    )
)  # fmt: skip
"""Functions of sprig that are not offered: they read the program's environment, ask the network, or make keys."""

_LAZY = frozenset(("and", "or"))


def known(name: str) -> bool:
    """True if *name* is a function of the language."""
    return name in _LAZY or _family(name) is not None


def find(name: str) -> Function:
    """Signature and code of the function *name*, which is known."""
    module = __import__(f"kairos_boot.template.{_family(name)}", None, None, ("FUNCTIONS",))  # importlib costs more
    function: Function = module.FUNCTIONS[name]
    return function


def suggestion(name: str) -> str:
    """A remedy for the unknown function *name*."""
    if name in LEFT_OUT:
        return f"{name} is left out on purpose: a document renders from the node's facts alone"
    if name == "required":
        return "required is a function of configuration URLs only; use default or fail"
    every = [word for names in FAMILIES.values() for word in names.split()] + sorted(_LAZY)
    best, nearest = 1 + max(1, len(name) // 3), ""
    for word in every:
        distance = _distance(name.lower(), word.lower()) if abs(len(word) - len(name)) < best else best
        if distance < best:
            best, nearest = distance, word
    return f"did you mean {nearest}?" if nearest else "docs/reference/templates.md lists the functions"


def _family(name: str) -> str | None:
    for family, names in FAMILIES.items():
        if name in names and name in names.split():
            return family
    return None


def _distance(one: str, two: str) -> int:
    """Letters to insert, delete, change or swap to turn *one* into *two*."""
    before: list[int] = []
    last = list(range(len(two) + 1))
    for i, a in enumerate(one, 1):
        row = [i]
        for j, b in enumerate(two, 1):
            cost = min(last[j] + 1, row[j - 1] + 1, last[j - 1] + (a != b))
            if i > 1 and j > 1 and a == two[j - 2] and one[i - 2] == b:
                cost = min(cost, before[j - 2] + 1)
            row.append(cost)
        before, last = last, row
    return last[-1]
