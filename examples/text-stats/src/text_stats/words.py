"""Split text into words, sentences and syllables.

Plain functions on strings, without a word about MCP: they are easy to test and to use elsewhere.
"""

import re

# Letters of any script, with apostrophes and hyphens inside: "don't", "well-known", "naïve".
_WORD = re.compile(r"[^\W\d_]+(?:['’\-][^\W\d_]+)*")
# An end mark, closing quotes or brackets, then white space or the end of the text. "3.14" does not end a sentence.
_SENTENCE_END = re.compile(r"[.!?…]+[\"'”’)\]]*(?=\s|$)")
_PARAGRAPH_BREAK = re.compile(r"\n\s*\n")
_VOWELS = re.compile(r"[aeiouy]+")
_ABBREVIATIONS = frozenset({"dr", "e.g", "etc", "i.e", "mr", "mrs", "ms", "prof", "st", "vs"})


def words(text: str) -> list[str]:
    """Return the words of `text` in order, as written."""
    return _WORD.findall(text)


def sentences(text: str) -> list[str]:
    """Return the sentences of `text`; what follows the last end mark counts as one more."""
    found: list[str] = []
    start = 0
    for end in _SENTENCE_END.finditer(text):
        if _is_abbreviation(text[start : end.start()]):
            continue
        found.append(text[start : end.end()].strip())
        start = end.end()
    found.append(text[start:].strip())
    return [sentence for sentence in found if words(sentence)]


def paragraphs(text: str) -> list[str]:
    """Return the blocks of `text` that blank lines separate."""
    return [block.strip() for block in _PARAGRAPH_BREAK.split(text) if block.strip()]


def syllables(word: str) -> int:
    """Estimate the syllables of one English word, at least one.

    Groups of vowels are counted and a silent final "e" is taken off. Against a pronouncing dictionary such a rule is
    right about nine times in ten, which is enough for averages over a text and not enough for a single word.
    """
    lowered = word.lower()
    count = len(_VOWELS.findall(lowered))
    if lowered.endswith("e") and not lowered.endswith(("le", "ee", "oe", "ye")):
        count -= 1
    return max(count, 1)


def _is_abbreviation(before_mark: str) -> bool:
    last = before_mark.split()[-1:] or [""]
    return last[0].lower().lstrip("(\"'“‘[") in _ABBREVIATIONS
