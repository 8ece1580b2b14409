"""What is said of a field beside it, shown where help() looks: in the docstring of its class."""

import ast
import inspect
import textwrap
from collections.abc import Iterator
from contextlib import suppress
from itertools import starmap
from typing import Self, SupportsIndex, TypeVar

__all__ = ["FieldsShown", "documented"]

T = TypeVar("T")

_WIDTH = 96


def documented(cls: type[T]) -> type[T]:
    """Have a class's docstring list its fields, with the text that stands below each.

    The source is read when the docstring is asked for, so that importing costs nothing; without
    source files the docstring is as it is written.
    """
    cls.__doc__ = FieldsShown(cls)
    return cls


class FieldsShown(str):
    """Stands for a class's `__doc__`, as `type` allows of what has `__get__`.

    pydoc takes it as it lies in the class where a metaclass has a docstring, as msgspec's has, and
    first expands its tabs.
    """

    _cls: type

    def __new__(cls, described: type) -> Self:
        shown = super().__new__(cls, described.__doc__ or "")
        shown._cls = described
        return shown

    def __get__(self, instance: object, owner: type) -> str:
        return self.expandtabs()

    def expandtabs(self, tabsize: SupportsIndex = 8) -> str:
        """Return the whole text."""
        written = inspect.cleandoc(str(self)).expandtabs(tabsize)
        fields = "\n".join(starmap(_described, _fields(self._cls)))
        return f"{written}\n\nAttributes:\n{fields}" if fields else written


def _fields(cls: type) -> Iterator[tuple[str, str]]:
    """Yield the public fields of a class and of ours that it derives from.

    Each with its text, or its type where it has none; none where there are no sources.
    """
    for base in reversed(cls.__mro__):
        if base.__module__.startswith("linexport."):
            with suppress(OSError):
                (body,) = ast.parse(textwrap.dedent(inspect.getsource(base))).body
                yield from _own_fields(body)


def _own_fields(body: ast.stmt) -> Iterator[tuple[str, str]]:
    assert isinstance(body, ast.ClassDef)
    for field, below in zip(body.body, [*body.body[1:], None], strict=True):
        if not (isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name)):
            continue
        text = ast.unparse(field.annotation)
        if field.target.id.startswith("_") or text.startswith("ClassVar"):
            continue
        match below:
            case ast.Expr(value=ast.Constant(value=str(said))):
                text = said
        yield field.target.id, " ".join(text.split())


def _described(name: str, text: str) -> str:
    said = f"{name}: {text}"
    return textwrap.fill(said, _WIDTH, initial_indent=" " * 4, subsequent_indent=" " * 8)
