"""The classic keys `write_files` and `milpa_files` of #cloud-config documents (B8, C2)."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from kairos_boot.cloudconfig.classic import ClassicReader
    from kairos_boot.cloudconfig.nodes import YamlNode

ENCODINGS = ("", "text/plain", "b64", "base64", "gz", "gzip", "gz+b64", "gz+base64", "gzip+b64", "gzip+base64")
KEYS = ("path", "content", "owner", "permissions", "encoding", "append", "defer", "source")


class Files:
    """Reads lists of files."""

    def __init__(self, values: ClassicReader) -> None:
        self.values = values
        self.fetched: list[tuple[dict[str, Any], YamlNode]] = []
        """Downloads: files whose content comes from a URL, which needs the network."""
        self.mixed: list[tuple[dict[str, Any], YamlNode]] = []
        """Those of them that are appended, or have a `content` for want of an answer."""

    def write(self, node: YamlNode, path: str) -> list[tuple[dict[str, Any], YamlNode]]:
        """The files of a list; one whose content comes from a URL is kept for `fetched`."""
        found = []
        for number, item in enumerate(self.values.items(node, path)):
            where = f"{path}[{number}]"
            file, fetched = self._file(item, where)
            if not file.get("path"):
                self.values.error(item, where, "the file has no path", "add `path: /…`")
            elif fetched and (file.get("content") or file.get("append")):
                self.mixed.append(({**{k: v for k, v in file.items() if k != "defer"}, "url": fetched}, item))
            elif fetched:
                self.fetched.append(({**{k: v for k, v in file.items() if k in ("path", "permissions", "ownerstring")}, "url": fetched}, item))
            else:
                found.append((file, item))
        return found

    def _file(self, node: YamlNode, path: str) -> tuple[dict[str, Any], str]:
        """The fields of a file, and the URL that its content comes from."""
        file: dict[str, Any] = {}
        fetched = ""
        for key, item in self.values.pairs(node, path):
            name, where = key.value, f"{path}.{key.value}"
            if name in ("path", "content"):
                file[name] = self.values.text(item, where)
            elif name == "encoding":
                file[name] = self.values.text(item, where).strip().lower()
                if file[name] not in ENCODINGS:
                    self.values.advise(item, where, f"unknown encoding {file[name][:20]!r}, so the content is taken as it stands", f"known are {', '.join(ENCODINGS[1:])}")
            elif name == "owner":
                file["ownerstring"] = self.values.name(item, where)
            elif name in ("append", "defer"):
                file[name] = self.values.boolean(item, where)
            elif name == "permissions":
                self._permissions(file, item, where)
            elif name == "source":
                fetched = self._source(item, where)
            else:
                self.values.unknown(key, where, KEYS)
        return file, fetched

    def _permissions(self, file: dict[str, Any], item: YamlNode, path: str) -> None:
        """Octal text, in quotes or not; null and an empty text are as good as no key."""
        text = self.values.text(item, path)
        digits = text.removeprefix("0o")
        if text and not digits.strip("01234567") and 0 < len(digits) <= 6 and int(digits, 8) <= 0o7777:
            file["permissions"] = int(digits, 8)
        elif text:
            self.values.error(item, path, f"{text[:20]!r} is not a mode in octal", 'write it like "0644"')

    def _source(self, node: YamlNode, path: str) -> str:
        uri = ""
        for key, item in self.values.pairs(node, path):
            if key.value == "uri":
                uri = self.values.text(item, f"{path}.uri")
            elif key.value == "headers":
                self.values.advise(key, f"{path}.headers", "headers of a download are not supported here", "fetch the file by a command")
            else:
                self.values.unknown(key, f"{path}.{key.value}", ("uri", "headers"))
        return uri
