"""The tools, the prompt and the resources of text-stats.

Every tool is an ordinary function that can be called and tested as one. The types and docstrings are what a client
sees: a dataclass, a TypedDict, a list or a number becomes structured output with a schema of its own.
"""

import difflib
from collections import Counter
from dataclasses import dataclass
from importlib.resources import files
from typing import Annotated, TypedDict

from mcp_tool import ToolError, prompt, resource, tool
from pydantic import Field

from text_stats import readability as formulas
from text_stats.readability import Formula
from text_stats.words import paragraphs, sentences, words

STOP_WORDS = frozenset(files("text_stats").joinpath("stop_words.txt").read_text(encoding="utf-8").split())
WORDS_PER_MINUTE = 238  # silent reading of English non-fiction by adults


@dataclass(frozen=True)
class Counts:
    """How much text there is."""

    characters: int
    words: int
    distinct_words: int
    sentences: int
    paragraphs: int
    reading_minutes: float


@dataclass(frozen=True)
class Readability:
    """How hard a text is to read by one formula."""

    formula: Formula
    score: float
    level: str
    words_per_sentence: float
    syllables_per_word: float


class WordFrequency(TypedDict):
    """How often one word occurs."""

    word: str
    count: int
    share: float


@dataclass(frozen=True)
class Comparison:
    """What changed from one text to another."""

    similarity: float
    added_lines: int
    removed_lines: int
    diff: str


@tool(read_only=True, idempotent=True)
def count(text: str) -> Counts:
    """Count the characters, words, sentences and paragraphs of a text.

    Args:
        text: The text to measure; blank lines separate paragraphs.
    """
    found = words(text)
    return Counts(
        characters=len(text),
        words=len(found),
        distinct_words=len({word.casefold() for word in found}),
        sentences=len(sentences(text)),
        paragraphs=len(paragraphs(text)),
        reading_minutes=round(len(found) / WORDS_PER_MINUTE, 2),
    )


@tool(read_only=True, idempotent=True)
def readability(text: str, formula: Formula = Formula.FLESCH_KINCAID) -> Readability:
    """Say how hard an English text is to read.

    Args:
        text: At least a sentence; a hundred words and more give a steady score.
        formula: `flesch-reading-ease` is high for easy texts; the others are school grades.
    """
    try:
        measured = formulas.averages(text)
    except ValueError as error:
        raise ToolError("The text has no words, so there is nothing to score.") from error
    value = formulas.score(formula, measured)
    return Readability(
        formula=formula,
        score=round(value, 1),
        level=formulas.level(formula, value),
        words_per_sentence=round(measured.words_per_sentence, 1),
        syllables_per_word=round(measured.syllables_per_word, 2),
    )


@tool(read_only=True, idempotent=True)
def frequent_words(
    text: str,
    limit: Annotated[int, Field(ge=1, le=100)] = 10,
    *,
    ignore: frozenset[str] = frozenset(),
    stop_words: bool = False,
) -> list[WordFrequency]:
    """List the most frequent words of a text, the most frequent first.

    Args:
        text: The text to look at.
        limit: How many words to list.
        ignore: Further words to leave out, in any case.
        stop_words: Count words such as "the" and "of" as well.
    """
    left_out = {word.casefold() for word in ignore} | (frozenset() if stop_words else STOP_WORDS)
    found = [word.casefold() for word in words(text)]
    kept = Counter(word for word in found if word not in left_out)
    # Words that occur equally often stand in alphabetical order, so that the same text gives the same answer.
    ranked = sorted(kept.items(), key=lambda item: (-item[1], item[0]))[:limit]
    return [{"word": word, "count": times, "share": round(times / len(found), 4)} for word, times in ranked]


@tool(read_only=True, idempotent=True)
def compare(before: str, after: str, context: Annotated[int, Field(ge=0, le=20)] = 3) -> Comparison:
    """Compare two texts line by line.

    Args:
        before: The old text.
        after: The new text.
        context: Unchanged lines to show around each change.
    """
    old, new = before.splitlines(), after.splitlines()
    lines = list(difflib.unified_diff(old, new, "before", "after", n=context, lineterm=""))
    changes = lines[2:]
    return Comparison(
        similarity=round(difflib.SequenceMatcher(a=old, b=new, autojunk=False).ratio(), 4),
        added_lines=sum(line.startswith("+") for line in changes),
        removed_lines=sum(line.startswith("-") for line in changes),
        diff="\n".join(lines),
    )


@prompt(title="Rewrite more plainly")
def simplify(text: str, grade: str = "7") -> str:
    """Ask for a plainer version of a text.

    Args:
        text: The text to rewrite.
        grade: The school grade whose pupils should understand it.
    """
    return (
        f"Rewrite the text below so that pupils of grade {grade} understand it. Keep every fact. "
        "Check the result with the `readability` tool and go on until its score is at or below the grade.\n\n"
        f"{text}"
    )


@resource("text-stats://stop-words", mime_type="text/plain")
def stop_word_list() -> str:
    """Return the words that `frequent_words` leaves out, one on each line."""
    return "\n".join(sorted(STOP_WORDS)) + "\n"


@resource("text-stats://formulas/{formula}", mime_type="text/markdown")
def formula_notes(formula: Formula) -> str:
    """Explain one readability formula.

    Args:
        formula: The formula's name, as the `readability` tool takes it.
    """
    match formula:
        case Formula.FLESCH_READING_EASE:
            return "206.835 − 1.015 × words per sentence − 84.6 × syllables per word. 60 to 70 is plain English."
        case Formula.FLESCH_KINCAID:
            return "0.39 × words per sentence + 11.8 × syllables per word − 15.59. A school grade."
        case Formula.AUTOMATED:
            return "4.71 × letters per word + 0.5 × words per sentence − 21.43. A school grade; needs no syllables."
        case Formula.COLEMAN_LIAU:
            return "5.88 × letters per word − 29.6 × sentences per word − 15.8. A school grade; needs no syllables."
