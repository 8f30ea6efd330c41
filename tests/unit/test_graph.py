"""Requirements: the order of steps (A1-A7)."""

from __future__ import annotations

import random

import pytest

from kairos_boot.cloudconfig.model import Document
from kairos_boot.stages.graph import Graph, order
from kairos_boot.stages.names import names


def document(name: str, steps: str, stage: str = "s", **more: object) -> Document:
    """A document from `x y<A.x,A.z z` : names, and after `<` the entries of `after`; `.` is a step without a name."""
    listed = []
    for word in steps.split():
        own, _, after = word.partition("<")
        plain: dict[str, object] = {} if own == "." else {"name": own}
        if after:
            plain["after"] = [{"name": "" if n == "-" else n} for n in after.split(",")]
        listed.append(plain)
    return Document(source=f"/oem/{name}.yaml", name=name, stages={stage: listed}, **more)  # type: ignore[arg-type]


def shown(graph: Graph) -> str:
    return " | ".join(" ".join(node.name for node in layer) for layer in graph.layers)


def graph_of(*texts: str) -> Graph:
    """`A: x y` is document A with the steps x and y."""
    return order([document(*text.split(": ")) for text in texts], "s")


@pytest.mark.parametrize(("texts", "layers"), [
    # A1
    (["A: x y", "B: z"], "A.x | A.y | B.z"),
    # A3
    (["A: x y<A.x z<A.x w"], "A.x | A.y A.z | A.w"),
    (["A: a b c<A.a d"], "A.a | A.b A.c | A.d"),
    (["A: a b c d<A.a e"], "A.a | A.b A.d | A.c | A.e"),
    (["A: x x2", "B: y<A.x"], "A.x | A.x2 | B.y"),
    (["A: x z<init w", "B: y<A.x v<A.x,A.z", "C: q"], "A.x A.z | A.w | B.y B.v | C.q"),
    (["A: x<init", "B: y"], "A.x | B.y"),
    # A4
    (["A: x<A.y y"], "A.y | A.x"),
    (["A: x<A.z y z w"], "A.y | A.z | A.x A.w"),
    (["A: a<B.y b", "B: x y"], "A.b | B.x | B.y | A.a"),
    (["A: a<A.d b<A.a c d"], "A.c | A.d | A.a | A.b"),
    (["A: x<A.z y z w v<A.x u"], "A.y | A.z | A.x A.w | A.v | A.u"),
    (["A: c<A.b b<A.a a d"], "A.a | A.b A.d | A.c"),
    (["A: x y", "B: m<C.t", "C: t<A.x u"], "A.x | A.y | C.t | B.m C.u"),
    # A6
    (["R: x y", "R: x y", "R: x"], "R.x | R.y | R.x.1 | R.y.1 | R.x.2"),
    (["R: x x", "R: x"], "R.x.0 | R.x.1 | R.x"),
    (["R: x x", "R: x", "R: x"], "R.x.0 | R.x.1 | R.x | R.x.2"),
    (["A: . ."], "A..0 | A..1"),
    (["A: x y z ."], "A.x | A.y | A.z | A.3"),
    (["A: x x y ."], "A.x.0 | A.x.1 | A.y.2 | A..3"),
    (["R: x<init", "R: w<init x z<R.x v<R.w"], "R.x | R.w | R.x.1 R.v | R.z"),
    (["R: x x y z<R.x.0 v<R.x w<R.y.2"], "R.x.0 | R.x.1 R.z.3 | R.y.2 R.v.4 | R.w.5"),
    (["A: x x y z<A.y"], "A.x.0 | A.x.1 | A.y.2 | A.z.3"),
    (["A: x<A.z a z y<A.x b"], "A.a | A.z | A.x | A.y | A.b"),  # y keeps its place: all that it names, and they name, is before it
    (["A: x<A.z a y<A.x b z c"], "A.a | A.b | A.z | A.x A.c | A.y"),  # z is later than y, so y moves with x
    (["A: x<B.z", "B: z", "C: y<A.x", "D: d"], "B.z | A.x | C.y | D.d"),
    (["A: w<A.x x<A.z z y<A.w b"], "A.z | A.x | A.w | A.y | A.b"),
    (["R: x", "R: a x<R.x b"], "R.x | R.a R.x.1 | R.b"),  # a step that names its own name means the others
])
def test_layers(texts: list[str], layers: str) -> None:
    graph = graph_of(*texts)
    assert shown(graph) == layers
    assert graph.problems == ()


@pytest.mark.parametrize(("texts", "layers", "said"), [
    (["A: a b c<A.nope d"], "A.a | A.b | A.c | A.d", ["A.nope"]),
    (["A: a b c<A.nope,A.a"], "A.a | A.b A.c", ["A.nope"]),
    (["A: x y<-"], "A.x | A.y", ["names nothing"]),
    (["A: x<A.y y<A.x z"], "A.x | A.y | A.z", ["A.x -> A.y -> A.x"]),
    (["A: x y<A.y"], "A.x | A.y", ["A.y -> A.y"]),
    (["A: a b<A.c c<A.b d<A.b"], "A.a | A.b | A.c A.d", ["A.b -> A.c -> A.b"]),
    (["A: a<B.b", "B: b<C.c", "C: c<A.a d"], "A.a | B.b | C.c | C.d", ["A.a -> B.b -> C.c -> A.a"]),
    (["A: a b<A.c,A.e c<A.b d e"], "A.a | A.c | A.d | A.e | A.b", ["A.b -> A.c -> A.b"]),  # the other entry still moves it
    (["A: a<A.b b<A.a c<A.d d<A.c"], "A.a | A.b | A.c | A.d", ["A.a -> A.b -> A.a", "A.c -> A.d -> A.c"]),
    (["R: x<R.x", "R: x<R.x"], "R.x | R.x.1", ["R.x -> R.x.1 -> R.x"]),
])
def test_wrong_entries_cost_only_themselves(texts: list[str], layers: str, said: list[str]) -> None:
    graph = graph_of(*texts)
    assert shown(graph) == layers
    assert len(graph.problems) == len(said)
    for problem, text in zip(graph.problems, said, strict=True):
        assert problem.severity == "error"
        assert text in str(problem)
        assert problem.where.startswith("/oem/")


@pytest.mark.parametrize(("name", "hint"), [
    ("Network.setpu", "did you mean 'Network.setup'"), ("network.Setup", "did you mean 'Network.setup'"),
    ("Completely.else", "run-stage -a s"),
])
def test_a_missing_name_is_answered_with_the_nearest(name: str, hint: str) -> None:
    [problem] = graph_of("Network: setup middle", f"B: x<{name}").problems
    assert hint in problem.hint
    assert repr(name) in problem.message


def test_a_name_of_another_stage_is_told_so() -> None:
    documents = [document("A", "there", "boot"), document("B", "x y<A.there")]
    [problem] = order(documents, "s").problems
    assert "stage boot" in problem.hint


def test_broken_documents_count_for_nothing() -> None:
    assert shown(order([document("A", "x", broken=True), document("B", "y")], "s")) == "B.y"


def test_a_gap_does_not_break_the_chain() -> None:
    assert shown(order([document("A", "x"), document("B", "o", "other"), document("C", "y")], "s")) == "A.x | C.y"


def test_printed_form() -> None:
    assert graph_of("A: x y<init").lines() == [
        "1.", " <init> (background: false) (weak: false)",
        "2.", " <A.x> (background: false) (weak: true)", " <A.y> (background: false) (weak: true)"]
    assert order([], "s").lines() == []


def written_out(documents: list[Document]) -> list[list[str]]:
    """The layers by the rules of A3-A6 as they are written, with sets and no thought of speed: what `order` must agree with."""
    steps = [(number, step) for number, one in enumerate(documents) for step in one.steps("s")]
    unique = [node.name for layer in order([Document(d.source, d.name, {"s": [{k: v for k, v in s.items() if k == "name"} for s in d.stages["s"]]})
                                            for d in documents], "s").layers for node in layer]
    borne = [borne for one in documents for _, borne in names(one.name, [step.name for step in one.steps("s")])]
    everyone = range(len(steps))
    entries = {i: [targets for targets in ({j for j in everyone if entry.name in (unique[j], borne[j])} if entry.name != "init" else {-1}
                                           for entry in steps[i][1].after) if targets] for i in everyone}
    reach = {i: {j for targets in entries[i] for j in targets if j >= 0} for i in everyone}
    for middle in everyone:
        for i in everyone:
            if middle in reach[i]:
                reach[i] |= reach[middle]
    for i in everyone:
        around = {j for j in everyone if j in reach[i] and i in reach[j]}
        if around == {i}:
            entries[i] = [targets - {i} for targets in entries[i] if targets != {i}]
        else:
            entries[i] = [targets for targets in entries[i] if not targets & around]
    named = {i: {j for targets in entries[i] for j in targets if j >= 0} for i in everyone}
    for middle in everyone:
        for i in everyone:
            if middle in named[i]:
                named[i] |= named[middle]
    moved = {i for i in everyone if any(j > i for j in named[i])}
    waits = {i: {j for j in everyone if j not in moved and (steps[j][0] < steps[i][0] or (not entries[i] and j < i))}
             | {j for targets in entries[i] for j in targets if j >= 0} for i in everyone}
    layers: list[list[str]] = []
    done: set[int] = set()
    while len(done) < len(steps):
        ready = [i for i in everyone if i not in done and waits[i] <= done]
        assert ready, "what waits for itself would never run"
        layers.append([unique[i] for i in ready])
        done |= set(ready)
    return layers


@pytest.mark.parametrize("rounds", [1000, pytest.param(3000, marks=pytest.mark.slow)])
def test_any_documents_are_ordered_as_the_rules_say(rounds: int) -> None:
    dice = random.Random(3)
    for _ in range(rounds):
        documents = []
        for number in range(dice.randrange(1, 4)):
            root = dice.choice("ABR")
            words = []
            for _ in range(dice.randrange(1, 5)):
                known = [f"{r}.{n}" for r in "ABR" for n in ("x", "y", "z", "x.1", "x.0", "0")]
                after = [dice.choice([*known, "init"]) for _ in range(dice.choice([0, 0, 0, 1, 1, 2]))]
                words.append(dice.choice(["x", "y", "z", "x.1", "w", "."]) + ("<" + ",".join(after) if after else ""))
            documents.append(document(root, " ".join(words)))
            documents[-1] = Document(f"/oem/{number}.yaml", root, documents[-1].stages)
        expected = written_out(documents)
        assert [[node.name for node in layer] for layer in order(documents, "s").layers] == expected, documents
