"""Docstrings of both styles, with the markup that the real ones have."""

from __future__ import annotations

import inspect

import pytest

from ragdiag.demo.docstrings import Field, parse_docstring, plain_words

NUMPYDOC = """
    mean(a, axis=None)

    Compute the arithmetic mean along the axis.

    Returns the average of the elements. The average is taken over the
    flattened array by default, otherwise over `axis`; see [1]_.

    .. math:: \\frac{1}{n} \\sum x

    where the sum runs over all elements.

    .. versionadded:: 1.7.0

    Parameters
    ----------
    a : array_like
        Array containing numbers, e.g. A matrix.
    axis : {int, tuple}, optional
        Axis along which the means are computed:

        - None: of the flattened array
        - int: of that axis

    Returns
    -------
    ndarray
        The mean values.
    out : bool
        Whether it worked.

    See Also
    --------
    average, std : Weighted average.
    :func:`numpy.var`

    Notes
    -----
    Never read.

    Examples
    --------
    >>> mean([1])
    1
    """

GOOGLE = """
    Applies a thing over :attr:`input`. It is ``fast``.

    .. note::
        Also works on the GPU.

    Args:
        input (Tensor): the input
            tensor. Second sentence.
        dim (int, optional): the dimension. Default: ``-1``
        bias: If set to ``False``, no bias

    Shape:
        - Input: any

    Returns:
        A tensor that holds
        the result.

    Example::

        >>> m = Thing()

    It may also be called twice.
    """


def clean(text: str) -> str:
    return inspect.cleandoc(text)


def test_numpydoc_sections_become_fields() -> None:
    parsed = parse_docstring(clean(NUMPYDOC))

    assert parsed.summary == "Compute the arithmetic mean along the axis."
    assert parsed.description == (
        "Returns the average of the elements.",
        "The average is taken over the flattened array by default, otherwise over axis; see.",
    )
    assert parsed.parameters == (
        Field("a", "array_like", ("Array containing numbers, e.g. A matrix.",)),
        Field(
            "axis",
            "{int, tuple}, optional",
            ("None: of the flattened array.", "int: of that axis."),
        ),
    )
    assert parsed.returns == (
        Field("", "ndarray", ("The mean values.",)),
        Field("out", "bool", ("Whether it worked.",)),
    )
    assert parsed.see_also == ("average", "std", "numpy.var")


def test_google_sections_become_the_same_fields() -> None:
    parsed = parse_docstring(clean(GOOGLE))

    assert parsed.summary == "Applies a thing over input."
    assert parsed.description == (
        "It is fast.",
        "Also works on the GPU.",
        "It may also be called twice.",
    )
    assert parsed.parameters == (
        Field("input", "Tensor", ("the input tensor.", "Second sentence.")),
        Field("dim", "int, optional", ("the dimension.", "Default: -1.")),
        Field("bias", "", ("If set to False, no bias.",)),
    )
    assert parsed.returns == (Field("", "", ("A tensor that holds the result.",)),)


def test_a_summary_of_two_lines_is_one_sentence_and_the_rest_is_description() -> None:
    parsed = parse_docstring("Find the roots\nof a polynomial. Slowly.\n\nAnd surely.")

    assert parsed.summary == "Find the roots of a polynomial."
    assert parsed.description == ("Slowly.", "And surely.")


@pytest.mark.parametrize(
    "text",
    ["", "   ", "f(x)", "f(x, /, out=None, *,\n  where=True)\n"],
    ids=["empty", "blank", "signature", "long signature"],
)
def test_a_docstring_without_prose_has_no_summary(text: str) -> None:
    parsed = parse_docstring(text)

    assert parsed.summary == ""
    assert parsed.description == ()


def test_code_and_tables_are_left_out_with_what_announces_them() -> None:
    text = """
    Build a table.

    It is called like this::

        build(1)

    and returns nothing.

    It has these columns:

    >>> columns
    [1, 2]

    The end is kept.
    """

    assert parse_docstring(clean(text)).description == ("The end is kept.",)


@pytest.mark.parametrize(
    ("markup", "plain"),
    [
        (":func:`~torch.nn.functional.relu`", "torch.nn.functional.relu"),
        (":ref:`the guide <user.guide>` says", "the guide says"),
        ("``x[0]`` and `y`", "x[0] and y"),
        ("as in [1]_ and [Knu98]_.", "as in and."),
        ("`~numpy.random.Generator.beta` method", "numpy.random.Generator.beta method"),
        ("an *important* word, 2 * 3 * 4", "an important word, 2 * 3 * 4"),
    ],
)
def test_markup_becomes_the_words_it_holds(markup: str, plain: str) -> None:
    assert plain_words(markup) == plain
