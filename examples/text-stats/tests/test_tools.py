"""The tools, called in-process through everything that a client's call goes through."""

import pytest
from mcp_tool import ToolError
from mcp_tool.testing import call

from text_stats.readability import Formula
from text_stats.tools import compare, count, formula_notes, frequent_words, readability, simplify, stop_word_list

TEXT = """The river runs to the sea. The sea is wide.

A boat goes down the river, and the boat comes home."""


def test_count() -> None:
    assert call(count, text=TEXT) == {
        "characters": 97,
        "words": 21,
        "distinct_words": 14,
        "sentences": 3,
        "paragraphs": 2,
        "reading_minutes": 0.09,
    }


def test_nothing_counts_as_nothing() -> None:
    assert set(call(count, text="").values()) == {0}


def test_readability_names_its_formula() -> None:
    answer = call(readability, text=TEXT, formula="coleman-liau")
    assert answer["formula"] == "coleman-liau"
    assert answer["level"] == "easy"


def test_an_unknown_formula_is_refused_with_the_known_ones() -> None:
    with pytest.raises(ToolError, match="flesch-kincaid"):
        call(readability, text=TEXT, formula="fog")


def test_a_text_without_words_is_the_callers_mistake() -> None:
    with pytest.raises(ToolError, match="no words"):
        call(readability, text="42")


def test_frequent_words_are_ranked_and_ties_are_alphabetical() -> None:
    assert call(frequent_words, text=TEXT, limit=3) == [
        {"word": "boat", "count": 2, "share": 0.0952},
        {"word": "river", "count": 2, "share": 0.0952},
        {"word": "sea", "count": 2, "share": 0.0952},
    ]


def test_frequent_words_can_be_chosen() -> None:
    with_stop_words = call(frequent_words, text=TEXT, limit=1, stop_words=True)
    assert with_stop_words == [{"word": "the", "count": 5, "share": 0.2381}]
    without_boats = call(frequent_words, text=TEXT, limit=1, ignore=["BOAT"])
    assert without_boats[0]["word"] == "river"


@pytest.mark.parametrize("limit", [0, 101, "many"])
def test_a_limit_out_of_range_is_refused(limit: object) -> None:
    with pytest.raises(ToolError, match="limit"):
        call(frequent_words, text=TEXT, limit=limit)


def test_compare() -> None:
    answer = call(compare, before="one\ntwo\nthree\n", after="one\n2\nthree\nfour\n", context=0)
    assert (answer["added_lines"], answer["removed_lines"]) == (2, 1)
    assert answer["similarity"] == pytest.approx(4 / 7, abs=1e-4)
    assert answer["diff"].splitlines()[2:] == ["@@ -2 +2 @@", "-two", "+2", "@@ -3,0 +4 @@", "+four"]


def test_lines_that_look_like_marks_are_counted_as_lines() -> None:
    answer = call(compare, before="a\n-- b\n", after="a\n++ c\n")
    assert (answer["added_lines"], answer["removed_lines"]) == (1, 1)


def test_equal_texts() -> None:
    assert call(compare, before=TEXT, after=TEXT) == {
        "similarity": 1.0,
        "added_lines": 0,
        "removed_lines": 0,
        "diff": "",
    }


def test_the_prompt_and_the_resources() -> None:
    assert "grade 5" in simplify(TEXT, grade="5")
    assert "the\n" in stop_word_list()
    assert all("per word" in formula_notes(formula) for formula in Formula)
