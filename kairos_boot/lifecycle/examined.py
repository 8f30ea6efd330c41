"""A look at what an action makes its images of, before anything is changed: a tree, or an image file with all that is in it (G1)."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from kairos_boot.lifecycle.sources import Source
    from kairos_boot.stages.runner import Log
    from kairos_boot.system.copying import Progress
    from kairos_boot.system.host import Host


def system_in(host: Host, source: Source, progress: Callable[[str], Progress]) -> Iterator[str]:
    """The directory of the system that *source*, which has arrived, holds; an image file is checked, and mounted meanwhile. For
    `contextlib.contextmanager`. KairosError: it is damaged, or no system that boots.
    """
    from contextlib import contextmanager

    from kairos_boot.actions.image_file import CheckImage
    from kairos_boot.actions.image_layers import must_be_system
    from kairos_boot.actions.image_tree import mounted

    path = host.path(source.path)
    if source.is_tree:
        must_be_system(host, path, source.path)
        yield path
        return
    CheckImage(source.path, progress("check the image")).apply(host)
    with contextmanager(mounted)(path, read_only=True) as place:
        must_be_system(host, place, source.path)
        yield place


def checks(source: Source, progress: Callable[[str], Progress], *, runs: bool = False, removed: Sequence[str] = (), made: Sequence[str] = (),
           keys: tuple[str, str] = ("", ""), opens: bool = False) -> tuple[Callable[[Host], None], ...]:
    """What must hold of a source that is on this machine already; what is fetched is checked when it is there.

    An image that this boot *runs* boots, as is seen: only its file is checked. What is *removed* from it and *made* in it, as *keys* ask, leaves it a system. It *opens*
    encrypted partitions, where the node has some.
    """
    if not source.path or not source.arrived:
        return ()

    def check(host: Host) -> None:
        from contextlib import contextmanager

        from kairos_boot.actions.image_file import CheckImage
        from kairos_boot.actions.image_layers import must_stay_system
        from kairos_boot.lifecycle.encrypting import must_open

        if runs and not source.is_tree:
            CheckImage(source.path, progress("check the image")).apply(host)
            return
        with contextmanager(system_in)(host, source, progress) as tree:
            must_stay_system(tree, str(source.named), removed, made, keys)
            if opens:
                must_open(host, tree, str(source.named))

    return (check,)


def tell_of_size(log: Log, source: Source, size: object, key: str) -> None:
    """Say that a *size*, asked for at *key*, says nothing of an image that is copied as it is."""
    if size and not source.is_tree:
        log(4, f"{key}: an image file keeps its size; only an image that is made of a tree can have another one", kind="warning", stage=key.partition(".")[0])
