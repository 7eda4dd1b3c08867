"""Small changes of a source text that a test should notice.

Docstrings, annotations, imports, decorators, assertions, display code and what makes messages (f-strings, what is raised) stay.
"""

import ast
import dataclasses
import itertools
import re
from collections.abc import Iterator
from typing import Any

COMPARED = {
    ast.Lt: ("<", "<="),
    ast.LtE: ("<=", "<"),
    ast.Gt: (">", ">="),
    ast.GtE: (">=", ">"),
    ast.Eq: ("==", "!="),
    ast.NotEq: ("!=", "=="),
    ast.Is: ("is", "is not"),
    ast.IsNot: (r"is\s+not", "is"),
    ast.In: ("in", "not in"),
    ast.NotIn: (r"not\s+in", "in"),
}
COMPUTED = {
    ast.Add: (r"\+", "-"),
    ast.Sub: ("-", "+"),
    ast.Mult: (r"\*", "/"),
    ast.Div: ("/", "*"),
    ast.Mod: ("%", "//"),
    ast.Pow: (r"\*\*", "*"),
    ast.BitAnd: ("&", "|"),
    ast.BitOr: (r"\|", "&"),
    ast.LShift: ("<<", ">>"),
    ast.RShift: (">>", "<<"),
}
PAIRS = [
    *("min max", "minimum maximum", "argmin argmax", "nanmin nanmax", "fmin fmax", "any all", "floor ceil"),
    *("logical_and logical_or", "left right"),
]
OPPOSITE = {one: other for pair in PAIRS for one, other in (pair.split(), pair.split()[::-1])}
CHOICES = {"where": 1, "select": 1, "cond": 1}
"""Functions of (condition, one, other), and where `one` is."""
DISPLAY = re.compile(r"__(repr|str|format|rich\w*)__|_repr_\w+|_?plot\w*|_?draw\w*")
TYPES = {"int", "float", "bool", "str", "bytes", "complex", "dict", "list", "tuple", "set", "None"}
SKIPPED = {"TypeVar", "ParamSpec", "NewType", "cast", "isinstance", "issubclass"}
"""Calls whose arguments are types, behind the first."""
UNSAFE = {"kill", "killpg"}
"""Calls that stay as they are: another signal, or to another process, would end what is no test."""

Function = ast.FunctionDef | ast.AsyncFunctionDef


@dataclasses.dataclass(frozen=True)
class Mutation:
    """One change of one file.

    Attributes:
      file: relative to the package.
      operator: the kind of change.
      start, end: the bytes that are replaced.
      text: what replaces them.
      before, after: the lines that change, stripped.
      lines: the numbers of the lines that hold what is replaced.
      scope: the names of the classes and functions around it.
      function: the first line of the innermost function, decorators included; None outside of functions.
      default: whether it is in a default of an argument of that function.
      named: the name that is assigned, outside of functions.
      caller: the first and the last line of the innermost class, outside of functions.
    """

    file: str
    operator: str
    start: int
    end: int
    text: str
    before: str
    after: str
    lines: tuple[int, ...]
    scope: str
    function: int | None = None
    default: bool = False
    named: str = ""
    caller: tuple[int, int] | None = None

    @property
    def line(self) -> int:
        """The number of the first line that changes."""
        return self.lines[0]

    @property
    def key(self) -> str:
        """What a change is known by when the file has changed elsewhere."""
        return f"{self.file}|{self.scope}|{self.before}|{self.after}"

    def applied(self, source: bytes) -> bytes:
        """The source with the change."""
        return source[: self.start] + self.text.encode() + source[self.end :]


def mutations(file: str, source: bytes) -> list[Mutation]:
    """All changes of a file, each once."""
    walk = Walk(file, source)
    walk.visit(ast.parse(source))
    return list({(one.start, one.end, one.text): one for one in walk.found}.values())


def differs(mutation: Mutation, source: bytes) -> bool:
    """Whether a change makes another program, rather than the same or none."""
    try:
        return ast.dump(ast.parse(mutation.applied(source))) != ast.dump(ast.parse(source))
    except SyntaxError:
        return False


class Walk(ast.NodeVisitor):
    """Collects the changes of one file."""

    def __init__(self, file: str, source: bytes) -> None:
        self.file, self.source, self.found = file, source, list[Mutation]()
        self.starts = [0]
        for line in source.split(b"\n"):
            self.starts.append(self.starts[-1] + len(line) + 1)
        self.functions: list[Function] = []
        self.classes: list[ast.ClassDef] = []
        self.scope: list[str] = []
        self.default, self.named = False, ""

    # what is replaced

    def place(self, node: Any) -> tuple[int, int]:
        """The bytes of a node."""
        return self.starts[node.lineno - 1] + node.col_offset, self.starts[node.end_lineno - 1] + node.end_col_offset

    def text(self, node: Any) -> str:
        """The source of a node."""
        start, end = self.place(node)
        return self.source[start:end].decode()

    def add(self, operator: str, start: int, end: int, text: str) -> None:
        """Adds a change."""
        first, last = self.source.count(b"\n", 0, start), self.source.count(b"\n", 0, end)
        left, right = self.starts[first], self.starts[last + 1] - 1
        after = self.source[left:start] + text.encode() + self.source[end:right]
        function = self.functions[-1] if self.functions else None
        caller = self.classes[-1] if self.classes and function is None else None
        self.found.append(
            Mutation(
                *(self.file, operator, start, end, text),
                *("\n".join(line.strip() for line in one.decode().split("\n")) for one in (self.source[left:right], after)),
                tuple(range(first + 1, last + 2)),
                ".".join(self.scope),
                function and min(node.lineno for node in (function, *function.decorator_list)),
                self.default,
                self.named,
                caller and (caller.lineno, caller.end_lineno or caller.lineno),
            )
        )

    def replace(self, operator: str, node: Any, text: str) -> None:
        """Replaces a node."""
        self.add(operator, *self.place(node), text)

    def between(self, operator: str, left: Any, right: Any, pattern: str, text: str) -> None:
        """Replaces the operator between two nodes."""
        start, end = self.place(left)[1], self.place(right)[0]
        found = re.search(pattern.encode(), self.source[start:end])
        if found:
            self.add(operator, start + found.start(), start + found.end(), text)

    def swap(self, operator: str, left: Any, right: Any) -> None:
        """Swaps two nodes that follow each other."""
        (start, one), (other, end) = self.place(left), self.place(right)
        middle = self.source[one:other].decode()
        self.add(operator, start, end, self.text(right) + middle + self.text(left))

    # what is left alone, and where something is

    def visit_Import(self, node: ast.Import) -> None: ...

    def visit_ImportFrom(self, node: ast.ImportFrom) -> None: ...

    def visit_JoinedStr(self, node: ast.JoinedStr) -> None: ...

    def visit_Assert(self, node: ast.Assert) -> None: ...

    def visit_Raise(self, node: ast.Raise) -> None: ...

    def visit_ClassDef(self, node: ast.ClassDef) -> None:
        self.scope.append(node.name)
        self.classes.append(node)
        functions, self.functions = self.functions, []
        self.statements(node.body)
        self.functions = functions
        self.classes.pop()
        self.scope.pop()

    def visit_FunctionDef(self, node: Function) -> None:
        if DISPLAY.fullmatch(node.name):
            return
        self.scope.append(node.name)
        self.functions.append(node)
        self.default = True
        for one in (*node.args.defaults, *(one for one in node.args.kw_defaults if one)):
            self.visit(one)
        self.default = False
        self.statements(node.body, nested=False)
        self.functions.pop()
        self.scope.pop()

    visit_AsyncFunctionDef = visit_FunctionDef  # noqa: N815 (the name that `ast` calls)

    def visit_Module(self, node: ast.Module) -> None:
        self.statements(node.body)

    def visit_Assign(self, node: ast.Assign) -> None:
        names = [one.id for target in node.targets for one in ast.walk(target) if isinstance(one, ast.Name)]
        if "__all__" in names:
            return
        self._assigned(names, node.value)

    def visit_AnnAssign(self, node: ast.AnnAssign) -> None:
        if node.value is not None and "TypeAlias" not in ast.unparse(node.annotation):
            self._assigned([node.target.id] if isinstance(node.target, ast.Name) else [], node.value)

    def _assigned(self, names: list[str], value: ast.expr) -> None:
        outside = not self.functions
        self.named = " ".join(names) if outside else ""
        self.visit(value)
        self.named = ""

    def visit_TypeAlias(self, node: Any) -> None: ...

    # statements

    def statements(self, body: list[ast.stmt], nested: bool = True) -> None:
        """Visits statements; drops those whose absence leaves a program."""
        inside = bool(self.functions)
        for one in body:
            if inside and self._droppable(one, nested):
                self.replace("statement dropped", one, "pass")
            self.visit(one)

    def _droppable(self, node: ast.stmt, nested: bool) -> bool:
        if isinstance(node, ast.Expr):
            return isinstance(node.value, ast.Call)
        if isinstance(node, ast.Return | ast.Raise):
            return nested
        if isinstance(node, ast.Assign):
            return all(self._has_value(target, node) for target in node.targets)
        return isinstance(node, ast.AugAssign | ast.Continue | ast.Break)

    def _has_value(self, target: ast.expr, statement: ast.stmt) -> bool:
        """Whether a target of an assignment has a value before it."""
        if not isinstance(target, ast.Name):
            return isinstance(target, ast.Attribute | ast.Subscript)
        function = self.functions[-1]
        before = [
            node
            for node in ast.walk(function)
            if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store) and node.lineno < statement.lineno
        ]
        return target.id in self._annotations() or target.id in {node.id for node in before}

    def generic_visit(self, node: ast.AST) -> None:
        for name, value in ast.iter_fields(node):
            if name in ("body", "orelse", "finalbody") and isinstance(value, list):
                self.statements(value)
            elif isinstance(value, ast.AST):
                self.visit(value)
            elif isinstance(value, list):
                for one in value:
                    if isinstance(one, ast.AST):
                        self.visit(one)

    def visit_If(self, node: ast.If) -> None:
        if "TYPE_CHECKING" in self.text(node.test):
            return
        self.negate(node.test)
        self.generic_visit(node)

    def visit_IfExp(self, node: ast.IfExp) -> None:
        self.negate(node.test)
        self.generic_visit(node)

    def visit_comprehension(self, node: ast.comprehension) -> None:
        for one in node.ifs:
            self.negate(one)
        self.generic_visit(node)

    def negate(self, test: ast.expr) -> None:
        """Negates a condition that no other change turns round."""
        if not isinstance(test, ast.Compare | ast.BoolOp | ast.UnaryOp):
            self.replace("condition negated", test, f"not ({self.text(test)})")

    # expressions

    def visit_Compare(self, node: ast.Compare) -> None:
        for left, operator, right in zip([node.left, *node.comparators], node.ops, node.comparators, strict=False):
            pattern, other = COMPARED[type(operator)]
            self.between("comparison", left, right, pattern, other)
        self.generic_visit(node)

    def visit_BoolOp(self, node: ast.BoolOp) -> None:
        pattern, other = ("and", "or") if isinstance(node.op, ast.And) else ("or", "and")
        for left, right in itertools.pairwise(node.values):
            self.between("and/or", left, right, pattern, other)
        self.generic_visit(node)

    def visit_UnaryOp(self, node: ast.UnaryOp) -> None:
        if isinstance(node.op, ast.Not | ast.USub | ast.Invert):
            self.replace(
                "`not` dropped" if isinstance(node.op, ast.Not) else "sign dropped", node, f"({self.text(node.operand)})"
            )
        self.generic_visit(node)

    def visit_BinOp(self, node: ast.BinOp) -> None:
        self._compute(node.left, node.op, node.right)
        if isinstance(node.op, ast.FloorDiv):
            self.replace("rounding", node, f"(-(-({self.text(node.left)}) // ({self.text(node.right)})))")
        self.generic_visit(node)

    def visit_AugAssign(self, node: ast.AugAssign) -> None:
        self._compute(node.target, node.op, node.value)
        self.generic_visit(node)

    def _compute(self, left: ast.expr, operator: ast.operator, right: ast.expr) -> None:
        if type(operator) not in COMPUTED or any(map(is_sequence, (left, right))):
            return
        if isinstance(operator, ast.BitOr | ast.BitAnd) and (is_type(left) or is_type(right)):
            return
        pattern, other = COMPUTED[type(operator)]
        self.between("arithmetic", left, right, pattern, other)

    def visit_Constant(self, node: ast.Constant) -> None:
        value, kind = node.value, "default" if self.default else "constant"
        if isinstance(value, str) and value in OPPOSITE:
            self.replace("opposite", node, repr(OPPOSITE[value]))
        elif isinstance(value, bool):
            self.replace(kind, node, str(not value))
        elif isinstance(value, int):
            for other in (value + 1, value - 1, *([2 * value] if value > 2 else [])):
                self.replace(kind, node, f"({other})" if other < 0 else str(other))
        elif isinstance(value, float):
            self.replace(kind, node, repr(2 * value if value else 1.0))

    def visit_Call(self, node: ast.Call) -> None:
        name = node.func.id if isinstance(node.func, ast.Name) else getattr(node.func, "attr", "")
        if name in UNSAFE:
            return
        plain = isinstance(node.func, ast.Name) and not node.keywords and len(node.args) == 1
        if name in OPPOSITE:
            end = self.place(node.func)[1]
            self.add("opposite", end - len(name), end, OPPOSITE[name])
        elif plain and name in ("sorted", "reversed"):
            self.replace("order", node.func, "list")
        elif plain and name == "abs":
            self.replace("sign", node, f"({self.text(node.args[0])})")
        elif plain and name == "round":
            self.replace("rounding", node.func, "int")
        if name in ("range", "arange") and node.args and not is_number(node.args[min(1, len(node.args) - 1)]):
            stop = node.args[min(1, len(node.args) - 1)]
            self.replace("off by one", stop, f"{self.text(stop)} - 1")
        self._swap_arguments(node, name)
        if name in SKIPPED:
            for one in node.args[:1] if name in ("isinstance", "issubclass") else node.args[1:]:
                self.visit(one)
            return
        self.visit(node.func)
        for one in (*node.args, *(word.value for word in node.keywords if word.arg != "strict")):
            self.visit(one)

    def _swap_arguments(self, node: ast.Call, name: str) -> None:
        if name in CHOICES and len(node.args) == 3:
            self.swap("arguments swapped", *node.args[1:])
        else:
            self._swap_neighbours(node.args)
        for one, other in itertools.pairwise(node.keywords):
            if self._are_alike(one.value, other.value):
                start, end = self.place(one.value)[0], self.place(other.value)[1]
                middle = self.source[self.place(one.value)[1] : self.place(other.value)[0]].decode()
                self.add("arguments swapped", start, end, self.text(other.value) + middle + self.text(one.value))

    def visit_Tuple(self, node: ast.Tuple) -> None:
        if isinstance(node.ctx, ast.Load):
            self._swap_neighbours(node.elts)
        self.generic_visit(node)

    def _swap_neighbours(self, nodes: list[ast.expr]) -> None:
        for one, other in itertools.pairwise(nodes):
            if self._are_alike(one, other):
                self.swap("arguments swapped", one, other)

    def _are_alike(self, one: ast.expr, other: ast.expr) -> bool:
        """Whether two expressions are certainly of one type, as far as the function around them says."""
        if self.text(one) == self.text(other):
            return False
        if is_number(one) and is_number(other):
            return True
        if isinstance(one, ast.Name) and isinstance(other, ast.Name):
            known = self._annotations()
            return one.id in known and known.get(one.id) == known.get(other.id)
        both = isinstance(one, ast.Attribute) and isinstance(other, ast.Attribute)
        return both and self.text(one.value) == self.text(other.value)  # type: ignore[attr-defined]

    def _annotations(self) -> dict[str, str]:
        """The annotation of each argument of the innermost function."""
        if not self.functions:
            return {}
        given = self.functions[-1].args
        every = (*given.posonlyargs, *given.args, *given.kwonlyargs)
        return {one.arg: ast.unparse(one.annotation) if one.annotation else one.arg for one in every}

    def visit_Slice(self, node: ast.Slice) -> None:
        for end, sign in ((node.lower, "+"), (node.upper, "-")):
            if end is not None and not is_number(end):
                self.replace("off by one", end, f"{self.text(end)} {sign} 1")
        self.generic_visit(node)


def is_number(node: ast.expr) -> bool:
    """Whether a node is a number, with a sign or without."""
    if isinstance(node, ast.UnaryOp):
        return is_number(node.operand)
    return isinstance(node, ast.Constant) and isinstance(node.value, int | float) and not isinstance(node.value, bool)


def is_sequence(node: ast.expr) -> bool:
    """Whether a node is a text, a list or a tuple, with which one cannot compute."""
    if isinstance(node, ast.BinOp):
        return is_sequence(node.left) or is_sequence(node.right)
    text = isinstance(node, ast.Constant) and isinstance(node.value, str | bytes)
    return text or isinstance(node, ast.JoinedStr | ast.List | ast.Tuple | ast.ListComp)


def is_type(node: ast.expr) -> bool:
    """Whether a node names a type, as in `int | None`."""
    if isinstance(node, ast.BinOp):
        return is_type(node.left) or is_type(node.right)
    if isinstance(node, ast.Constant):
        return node.value is None
    if isinstance(node, ast.Subscript):
        return is_type(node.value)
    name = node.id if isinstance(node, ast.Name) else getattr(node, "attr", "")
    return name in TYPES or (name[:1].isupper() and not name.isupper())


def loads(source: bytes) -> Iterator[tuple[str, int]]:
    """Each name and attribute that a file reads, and the line."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Name | ast.Attribute) and isinstance(node.ctx, ast.Load):
            yield node.id if isinstance(node, ast.Name) else node.attr, node.end_lineno or node.lineno
