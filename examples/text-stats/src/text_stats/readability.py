"""Readability formulas: a number for how hard an English text is to read."""

from dataclasses import dataclass
from enum import StrEnum

from text_stats.words import sentences, syllables, words


class Formula(StrEnum):
    """A published readability formula."""

    FLESCH_READING_EASE = "flesch-reading-ease"
    FLESCH_KINCAID = "flesch-kincaid"
    AUTOMATED = "automated-readability-index"
    COLEMAN_LIAU = "coleman-liau"


@dataclass(frozen=True)
class Averages:
    """What the formulas are made of."""

    words_per_sentence: float
    syllables_per_word: float
    letters_per_word: float
    sentences_per_word: float


def averages(text: str) -> Averages:
    """Measure `text`.

    Raises:
        ValueError: there is not a single word in it.
    """
    found = words(text)
    if not found:
        raise ValueError("the text has no words")
    total = len(found)
    ends = len(sentences(text))
    return Averages(
        words_per_sentence=total / ends,
        syllables_per_word=sum(map(syllables, found)) / total,
        letters_per_word=sum(sum(map(str.isalpha, word)) for word in found) / total,
        sentences_per_word=ends / total,
    )


def score(formula: Formula, of: Averages) -> float:
    """Return the score of a text with these averages.

    `FLESCH_READING_EASE` goes from about 100 (very easy) down to 0 and below; the other three are school grades in the
    United States, where a higher number is harder.
    """
    match formula:
        case Formula.FLESCH_READING_EASE:
            return 206.835 - 1.015 * of.words_per_sentence - 84.6 * of.syllables_per_word
        case Formula.FLESCH_KINCAID:
            return 0.39 * of.words_per_sentence + 11.8 * of.syllables_per_word - 15.59
        case Formula.AUTOMATED:
            return 4.71 * of.letters_per_word + 0.5 * of.words_per_sentence - 21.43
        case Formula.COLEMAN_LIAU:
            return 5.88 * of.letters_per_word - 29.6 * of.sentences_per_word - 15.8


def level(formula: Formula, value: float) -> str:
    """Say in words what `value` means."""
    grade = (100 - value) / 6 if formula is Formula.FLESCH_READING_EASE else value
    if grade < 6:
        return "easy"
    if grade < 9:
        return "plain"
    if grade < 13:
        return "fairly hard"
    return "hard"
