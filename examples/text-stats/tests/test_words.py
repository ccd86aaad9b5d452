"""The parts below the tools."""

import pytest

from text_stats.readability import Formula, averages, level, score
from text_stats.words import paragraphs, sentences, syllables, words


def test_words_keep_apostrophes_hyphens_and_accents() -> None:
    assert words("Don't stop: the well-known naïve café, 42 times.") == [
        *("Don't", "stop", "the", "well-known", "naïve", "café", "times"),
    ]


def test_sentences_end_at_marks_but_not_in_numbers_or_abbreviations() -> None:
    text = 'Pi is 3.14, e.g. for Dr. Smith. "Really?" No… And so on'
    assert sentences(text) == ["Pi is 3.14, e.g. for Dr. Smith.", '"Really?"', "No…", "And so on"]


def test_paragraphs_are_separated_by_blank_lines() -> None:
    assert paragraphs("one\ntwo\n\n  \nthree\n") == ["one\ntwo", "three"]


@pytest.mark.parametrize(
    ("word", "count"),
    [("cat", 1), ("table", 2), ("make", 1), ("readability", 5), ("Queue", 1), ("agree", 2), ("rhythm", 1), ("hmm", 1)],
)
def test_syllables(word: str, count: int) -> None:
    assert syllables(word) == count


def test_averages_of_nothing_are_refused() -> None:
    with pytest.raises(ValueError, match="no words"):
        averages("12, 34.")


def test_formulas_agree_that_short_words_are_easier() -> None:
    easy = averages("The cat sat. The dog ran. We had fun.")
    hard = averages("Institutional heterogeneity necessitates considerable methodological sophistication.")
    assert score(Formula.FLESCH_READING_EASE, easy) > score(Formula.FLESCH_READING_EASE, hard)
    for grade in (Formula.FLESCH_KINCAID, Formula.AUTOMATED, Formula.COLEMAN_LIAU):
        assert score(grade, easy) < score(grade, hard)


def test_known_scores() -> None:
    # Worked out by hand: 9 words, 3 sentences, 9 syllables, 27 letters.
    measured = averages("The cat sat. The dog ran. The fox hid.")
    assert score(Formula.FLESCH_READING_EASE, measured) == pytest.approx(206.835 - 1.015 * 3 - 84.6)
    assert score(Formula.FLESCH_KINCAID, measured) == pytest.approx(0.39 * 3 + 11.8 - 15.59)
    assert score(Formula.AUTOMATED, measured) == pytest.approx(4.71 * 3 + 0.5 * 3 - 21.43)
    assert score(Formula.COLEMAN_LIAU, measured) == pytest.approx(5.88 * 3 - 29.6 / 3 - 15.8)


@pytest.mark.parametrize(
    ("formula", "value", "word"),
    [
        (Formula.FLESCH_READING_EASE, 95, "easy"),
        (Formula.FLESCH_READING_EASE, 10, "hard"),
        (Formula.FLESCH_KINCAID, 7, "plain"),
        (Formula.COLEMAN_LIAU, 11, "fairly hard"),
    ],
)
def test_levels(formula: Formula, value: float, word: str) -> None:
    assert level(formula, value) == word
