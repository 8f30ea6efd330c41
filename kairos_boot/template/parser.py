"""Tokens into nodes: the grammar of actions, with Go's error texts."""

from __future__ import annotations

from kairos_boot.template import functions, limits
from kairos_boot.template import nodes as n
from kairos_boot.template.literals import number
from kairos_boot.template.text import quote, unquote
from kairos_boot.template.tokenstream import TokenStream
from kairos_boot.template.values import Failure, located, syntax_error

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Collection

    from kairos_boot.template.lexer import Token

_OPERANDS = frozenset(("bool", "char", ".", "field", "ident", "number", "nil", "raw", "string", "var", "("))
_PLAIN = (n.Dot, n.Nil, n.Literal)


def parse(text: str, known: Collection[str] = (), *, checking: bool = False) -> dict[str, list[n.SyntaxNode]]:
    """The templates of *text* by name, the text's own under `template`; *known* are functions beyond the language's.

    With *checking* a regular expression that is written out must be one, too; a rendering finds that out when it gets there.
    """
    parser = _Parser(text, known, checking=checking)
    try:
        return parser.whole()
    except RecursionError:
        raise parser.error("the template is nested too deeply") from None


class _Parser(TokenStream):
    __slots__ = ("checking", "depth", "known", "loops", "templates", "variables")

    def __init__(self, text: str, known: Collection[str], *, checking: bool) -> None:
        super().__init__(text)
        self.checking = checking
        self.known = known
        self.depth = 0
        self.loops = 0
        self.variables = ["$"]
        self.templates: dict[str, list[n.SyntaxNode]] = {}

    def whole(self) -> dict[str, list[n.SyntaxNode]]:
        """The text at top level, where `define` may stand."""
        body: list[n.SyntaxNode] = []
        while self.peek()[0] != "eof":
            start = self.at
            if self.next()[0] == "{{" and self.next()[:2] == ("keyword", "define"):
                self.action = self.tokens[start][2]
                self.define("define clause")
                continue
            self.at = start
            node = self.item()
            if isinstance(node, n.Stop):
                raise self.error(f"unexpected {node}")
            body.append(node)
        self.add("template", body)
        return self.templates

    def define(self, context: str) -> None:
        """The rest of a define, with variables and loops of its own."""
        name = self.name(self.next(), context)
        self.expect("}}", context)
        self.own_scope(name)

    def own_scope(self, name: str) -> None:
        """The body of a template, up to its end."""
        outer, self.variables = self.variables, ["$"]
        loops, self.loops = self.loops, 0
        body, stop = self.items()
        if stop.name != "end":
            raise self.error(f"unexpected {stop} in define clause")
        self.variables, self.loops = outer, loops
        self.add(name, body)

    def add(self, name: str, body: list[n.SyntaxNode]) -> None:
        """Keep a template; an empty one never replaces another, two full ones are an error."""
        old = self.templates.get(name)
        if old is None or _empty(old):
            self.templates[name] = body
        elif not _empty(body):
            raise self.error(f"template: multiple definition of template {quote(name)}")

    def name(self, token: Token, context: str) -> str:
        if token[0] not in {"string", "raw"}:
            raise self.unexpected(token, context)
        return self.string(token)

    def items(self) -> tuple[list[n.SyntaxNode], n.Stop]:
        """Nodes up to the else or end that closes them."""
        self.depth += 1
        if self.depth > limits.DEPTH:
            raise self.error("the template is nested too deeply", hint=f"at most {limits.DEPTH} levels")
        body: list[n.SyntaxNode] = []
        while self.peek()[0] != "eof":
            node = self.item()
            if isinstance(node, n.Stop):
                self.depth -= 1
                return body, node
            body.append(node)
        self.next()
        raise syntax_error(located(self.text, len(self.text))[0], "unexpected EOF")

    def item(self) -> n.SyntaxNode:
        """Text, or one action."""
        token = self.next()
        if token[0] == "text":
            return n.Text(token[2], token[1])
        if token[0] != "{{":
            raise self.unexpected(token, "input")
        self.action = token[2]
        start = self.at
        kind, word, position = self.next()
        if kind == "keyword":
            if word in {"if", "range", "with"}:
                return self.branch(word, position)
            if word == "end":
                self.expect("}}", "end")
                return n.Stop(position, word)
            if word == "else":
                following = self.peek()
                if following[:2] not in {("keyword", "if"), ("keyword", "with")}:
                    self.expect("}}", "else")
                return n.Stop(position, word)
            if word == "template":
                position = self.peek()[2]
                name = self.name(self.next(), "template clause")
                pipe = None
                if self.peek()[0] == "}}":
                    self.next()
                else:
                    pipe = self.pipeline("template clause", "}}")
                return n.Call(position, name, pipe)
            if word == "block":
                position = self.peek()[2]
                name = self.name(self.next(), "block clause")
                pipe = self.pipeline("block clause", "}}")
                self.own_scope(name)
                return n.Call(position, name, pipe)
            if word in {"break", "continue"}:
                following = self.next()
                if following[0] != "}}":
                    raise self.unexpected(following, f"{{{{{word}}}}}")
                if not self.loops:
                    raise self.error(f"{{{{{word}}}}} outside {{{{range}}}}")
                return n.Jump(position, word)
        self.at = start
        mark = len(self.variables)
        pipe = self.pipeline("command", "}}")
        del self.variables[mark + (len(pipe.variables) if not pipe.assigns else 0) :]
        return n.Action(position, pipe)

    def branch(self, keyword: str, position: int) -> n.Branch:
        """if, with or range, up to and with its end."""
        mark = len(self.variables)
        pipe = self.pipeline(keyword, "}}")
        self.loops += keyword == "range"
        body, stop = self.items()
        self.loops -= keyword == "range"
        otherwise: list[n.SyntaxNode] | None = None
        if stop.name == "else":
            following = self.peek()
            if keyword != "range" and following[:2] == ("keyword", keyword):
                self.next()
                self.depth += 1
                otherwise = [self.branch(keyword, following[2])]
                self.depth -= 1
            elif following[0] == "keyword":
                raise self.unexpected(following, "input")
            else:
                otherwise, stop = self.items()
                if stop.name != "end":
                    raise self.error(f"expected end; found {stop}")
        del self.variables[mark:]
        return n.Branch(position, keyword, pipe, body, otherwise)

    # Pipelines

    def pipeline(self, context: str, end: str) -> n.Pipe:
        """Declarations and commands up to the token *end*."""
        position = self.peek()[2]
        names, assigns = self.declarations(context)
        commands: list[n.Command] = []
        while True:
            token = self.next()
            if token[0] == end:
                break
            if token[0] not in _OPERANDS:
                raise self.unexpected(token, context)
            self.at -= 1
            commands.append(self.command())
        if not commands:
            raise self.error(f"missing value for {context}")
        for stage, command in enumerate(commands[1:], 2):
            if isinstance(command.args[0], _PLAIN):
                raise self.error(f"non executable command in pipeline stage {stage}")
        return n.Pipe(position, names, commands, assigns=assigns)

    def declarations(self, context: str) -> tuple[list[str], bool]:
        """`$x :=`, `$x =`, `$k, $v :=` or nothing; True for `=`."""
        names: list[str] = []
        while True:
            start = self.at
            token = self.peek()
            if token[0] != "var":
                self.at = start
                return names, False
            self.next()
            following = self.peek()
            if following[0] in {":=", "="}:
                self.next()
                names.append(token[1])
                if following[0] == "=":
                    for name in names:
                        self.used(name)
                self.declare(token[1])
                return names, following[0] == "="
            if following[:2] != ("other", ","):
                self.at = start
                return names, False
            self.next()
            names.append(token[1])
            self.declare(token[1])
            if context != "range" or len(names) > 1:
                raise self.error(f"too many declarations in {context}")
            if self.peek()[0] not in {"var", "}}", ")"}:
                raise self.error("range can only initialize variables")

    def command(self) -> n.Command:
        """Operands up to a `|` or what closes the pipeline."""
        args: list[n.SyntaxNode] = []
        position = self.peek()[2]
        while True:
            operand = self.operand()
            if operand:
                args.append(operand)
            token = self.next(blank=True)
            if token[0] == "space":
                continue
            if token[0] in {"}}", ")"}:
                self.at -= 1
            elif token[0] != "|":
                raise self.unexpected(token, "operand")
            break
        if not args:
            raise self.error("empty command")
        if self.checking and len(args) > 1:
            self.expression(args[0], args[1])
        return n.Command(position, args)

    def expression(self, function: n.SyntaxNode, argument: n.SyntaxNode) -> None:
        """Check the expression that a function for regular expressions is given, if it is written out."""
        if isinstance(function, n.Identifier) and "egex" in function.name and function.name != "regexQuoteMeta" and isinstance(argument, n.Literal):
            from kairos_boot.template.regex.compile import compile_expression

            try:
                compile_expression(str(argument.value))
            except Failure as fault:
                raise self.error(fault.reason, hint=fault.hint) from None

    def operand(self) -> n.SyntaxNode | None:
        """A term with the fields behind it."""
        node = self.term()
        if node is None or self.peek(blank=True)[0] != "field":
            return node
        position = self.peek(blank=True)[2]
        names = []
        while self.peek(blank=True)[0] == "field":
            names.append(self.next(blank=True)[1][1:])
        if isinstance(node, n.Field):
            return n.Field(position, node.names + names)
        if isinstance(node, n.Variable):
            return n.Variable(position, node.name, node.names + names)
        if isinstance(node, _PLAIN):
            raise self.error(f"unexpected . after term {quote(str(node))}")
        return n.Chain(position, node, names)

    def term(self) -> n.SyntaxNode | None:
        token = self.next()
        kind, value, position = token
        if kind == "ident":
            if not functions.known(value) and value not in self.known:
                raise self.error(f"function {quote(value)} not defined", function=value, hint=functions.suggestion(value))
            return n.Identifier(position, value)
        if kind == ".":
            return n.Dot(position, value)
        if kind == "nil":
            return n.Nil(position, value)
        if kind == "var":
            self.used(value)
            return n.Variable(position, value, [])
        if kind == "field":
            return n.Field(position, [value[1:]])
        if kind == "bool":
            return n.Literal(position, kind, value == "true", value)
        if kind in {"char", "number"}:
            try:
                return n.Literal(position, "number", number(kind, value), value)
            except Failure as fault:
                raise self.error(fault.reason, hint=fault.hint) from None
        if kind == "(":
            self.depth += 1
            if self.depth > limits.DEPTH:
                raise self.error("the template is nested too deeply", hint=f"at most {limits.DEPTH} levels")
            pipe = self.pipeline("parenthesized pipeline", ")")
            self.depth -= 1
            return pipe
        if kind in {"string", "raw"}:
            return n.Literal(position, "string", self.string(token), value)
        self.at -= kind not in {"eof", "error"}
        return None

    def string(self, token: Token) -> str:
        kind, literal, _ = token
        value = literal[1:-1].replace("\r", "") if kind == "raw" else unquote(literal)
        if value is None:
            raise self.error("invalid syntax", hint=f"{literal} has an escape that Go does not know")
        return value

    def declare(self, name: str) -> None:
        """Make a variable. Each look at one goes through all that there are, so their number is bounded."""
        if len(self.variables) > limits.VARIABLES:
            raise self.error("the template has too many variables", hint=f"at most {limits.VARIABLES} at a time")
        self.variables.append(name)

    def used(self, name: str) -> None:
        if name not in self.variables:
            raise self.error(f"undefined variable {quote(name)}")


def _empty(body: list[n.SyntaxNode]) -> bool:
    return all(isinstance(node, n.Text) and not node.text.strip() for node in body)
