"""The configurations that the image brings: what `validate` says, and what only the system they are for can tell."""

from __future__ import annotations

from kairos_boot.reports.shell_words import called
from kairos_boot.stages.conditions import meant_for

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from kairos_boot.cloudconfig.model import File, Step
    from kairos_boot.reports.examined import Examined, Fault

CONDITIONS = ("if_", "if_files", "node", "only_os", "only_os_version", "only_arch", "only_service_manager")


def documents(examined: Examined) -> Iterator[Fault]:
    """What cannot be read, unknown keys, values that are none, `after` entries that name nothing or stand in a circle."""
    for problem in examined.problems:
        yield ("error" if problem.severity == "error" else "warning"), problem.where, problem.message, problem.hint


def shell(examined: Examined) -> Iterator[Fault]:
    """Texts that no shell takes."""
    for step in _steps(examined):
        for where, text in _texts(step):
            if said := examined.speaks(text):
                yield "error", where, f"the shell does not take this text: {said}", "correct it: sh -n tells the same"


def programs(examined: Examined) -> Iterator[Fault]:
    """Programs that commands and conditions call, and that the image does not have."""
    made = {made.path for step in _steps(examined) for made in step.files} | {made.path for step in _steps(examined) for made in step.downloads}
    reported = set()
    for step in _steps(examined):
        if not meant_for(step, examined.host):
            continue
        texts = _texts(step)
        unasked = called(*(text for _, text in texts))
        for where, text in texts:
            for name in sorted(called(text) & unasked):
                if name not in made and not name.startswith("./") and (name, where) not in reported and not examined.program(name):
                    reported.add((name, where))
                    yield "warning", where, f"it calls {name}, which the image does not have", "install it, or let a condition ask for it (command -v)"


def modes(examined: Examined) -> Iterator[Fault]:
    """Files that nobody can read, or everybody can write."""
    for step in _steps(examined):
        for number, file in enumerate(step.files):
            mode = file.permissions
            if isinstance(mode, int) and file.path:
                where = step.where("files", number, "permissions")
                if not mode & 0o777:
                    yield "warning", where, f"{file.path} gets a mode that lets nobody read it ({mode:04o})", "write it as an octal number: 0644"
                elif mode & 0o002:
                    yield "warning", where, f"{file.path} gets a mode that lets everybody write it ({mode:04o})", "0644, or 0755 for a program"


def written_twice(examined: Examined) -> Iterator[Fault]:
    """One path, written differently by two steps of which both may run: which one is last is all that decides."""
    first: dict[tuple[str, str, str], tuple[Step, File, str]] = {}
    for stage, step in _staged(examined):
        for number, file in enumerate(step.files):
            where = step.where("files", number, "path")
            key = (stage.partition(".")[0], file.path, repr([getattr(step, name) for name in CONDITIONS]))
            other = first.setdefault(key, (step, file, where))
            if (file.content, file.permissions) != (other[1].content, other[1].permissions) and other[0] is not step:
                yield ("warning", where, f"it writes {file.path} differently from {other[2]}, under the same conditions",
                       "leave one of them, or let their conditions exclude each other")


def state_paths(examined: Examined) -> Iterator[Fault]:
    """What is to persist is mounted on a directory that the image, or something writable above it, has."""
    for step in _steps(examined):
        if not meant_for(step, examined.host):
            continue
        writable = step.environment.get("RW_PATHS", "/etc /root /home /opt /srv /usr/local /var").split()
        for path in step.environment.get("PERSISTENT_STATE_PATHS", "").split():
            if path.startswith("/") and not any(path == above or path.startswith(f"{above.rstrip('/')}/") for above in writable) and not examined.host.is_directory(path):
                yield ("warning" if step.if_ else "error", step.where("environment", "PERSISTENT_STATE_PATHS"), f"{path} is to persist, and the image has no such directory: on its read-only root none can be made",
                       "make it when the image is built, or add what is above it to RW_PATHS")


def _steps(examined: Examined) -> Iterator[Step]:
    return (step for _, step in _staged(examined))


def _staged(examined: Examined) -> Iterator[tuple[str, Step]]:
    for document in examined.documents:
        if not document.broken:
            for stage in document.stages:
                for step in document.steps(stage):
                    yield stage, step


def _texts(step: Step) -> list[tuple[str, str]]:
    """The shell's texts of *step*, and where they stand; what a template makes of itself is not known."""
    texts = [(step.where("if"), step.if_)] if step.if_ else []
    texts += [(step.where("commands", number), text) for number, text in enumerate(step.commands)]
    return [(where, text) for where, text in texts if "{{" not in text]
