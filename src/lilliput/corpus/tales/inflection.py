"""English inflection by rule and table: plurals, articles, tenses, pronouns."""

from functools import cache

from lilliput.corpus.tales.words import KINDS

Inflected = dict[str, str]
"""A word's forms: "" as listed, and by kind "s" and "a" (nouns), "ed", "ing", "s" (verbs), pronouns (who is who)."""

PLURALS = {
    "calf": "calves",
    "deer": "deer",
    "domino": "dominoes",
    "goose": "geese",
    "knife": "knives",
    "leaf": "leaves",
    "loaf": "loaves",
    "man": "men",
    "mouse": "mice",
    "ox": "oxen",
    "potato": "potatoes",
    "scarf": "scarves",
    "sheep": "sheep",
    "tomato": "tomatoes",
    "wolf": "wolves",
}
"""Nouns whose plural no rule gives."""

VERBS = {
    "admit": "admitted,admitting",
    "begin": "began,beginning",
    "blow": "blew",
    "break": "broke",
    "bring": "brought",
    "build": "built",
    "buy": "bought",
    "catch": "caught",
    "come": "came",
    "creep": "crept",
    "dig": "dug",
    "do": "did",
    "draw": "drew",
    "eat": "ate",
    "fall": "fell",
    "feed": "fed",
    "feel": "felt",
    "find": "found",
    "fly": "flew",
    "get": "got",
    "give": "gave",
    "go": "went",
    "grind": "ground",
    "have": "had",
    "hear": "heard",
    "hide": "hid",
    "keep": "kept",
    "know": "knew",
    "lay": "laid",
    "lead": "led",
    "leave": "left",
    "lie": "lay,lying",
    "light": "lit",
    "lose": "lost",
    "make": "made",
    "meet": "met",
    "prefer": "preferred,preferring",
    "put": "put,putting",
    "read": "read",
    "ride": "rode",
    "ring": "rang",
    "run": "ran",
    "say": "said",
    "see": "saw",
    "sell": "sold",
    "sew": "sewed",
    "shake": "shook",
    "shovel": "shovelled,shovelling",
    "sing": "sang",
    "sit": "sat",
    "sleep": "slept",
    "speak": "spoke",
    "stand": "stood",
    "steal": "stole",
    "stride": "strode",
    "sweep": "swept",
    "take": "took",
    "teach": "taught",
    "tell": "told",
    "think": "thought",
    "throw": "threw",
    "tie": "tied,tying",
    "wake": "woke",
    "weave": "wove",
    "win": "won",
    "wind": "wound",
    "write": "wrote",
}
"""Past forms that no rule gives, and participles after a comma."""

BE = (("was", "is"), ("were", "are"))
"""Past and present, singular and plural."""

PRONOUNS = {
    "m": {"he": "he", "him": "him", "his": "his", "He": "He", "His": "His", "child": "boy"},
    "f": {"he": "she", "him": "her", "his": "her", "He": "She", "His": "Her", "child": "girl"},
    "n": {"he": "it", "him": "it", "his": "its", "He": "It", "His": "Its"},
}


@cache
def lexicon(kind: str) -> tuple[Inflected, ...]:
    """The words of a kind, in order."""
    how, listed = KINDS[kind]
    return tuple(_capitals(_inflect(how, word.replace("_", " "))) for word in listed.split())


def _capitals(forms: Inflected) -> Inflected:
    """The forms, and each with a capital letter under `^`."""
    return forms | {f"^{form}": said[0].upper() + said[1:] for form, said in forms.items()}


def _inflect(how: str, word: str) -> Inflected:
    if how == "verb":
        return verb(word)
    if how == "action":
        first, space, rest = word.partition(" ")
        return {form: said + space + rest for form, said in verb(first).items()}
    if how in PRONOUNS:
        return {"": word, "a": article(word), "s": plural(word), **PRONOUNS[how]}
    if how == "person":
        word, _, gender = word.partition(":")
        return {"": word, "a": article(word), "s": plural(word), **PRONOUNS[gender]}
    return {"": word, "a": article(word), "s": plural(word)}


def article(phrase: str) -> str:
    """The phrase after "a" or "an", by its sound."""
    silent, glides = ("hour", "honest"), ("uni", "use", "one", "eu")
    sounds_open = phrase.startswith(silent) or (phrase[0].lower() in "aeiou" and not phrase.startswith(glides))
    return f"{'an' if sounds_open else 'a'} {phrase}"


@cache
def plural(phrase: str) -> str:
    """The plural of a noun, or of a phrase that ends in one."""
    before, space, noun = phrase.rpartition(" ")
    if noun in PLURALS:
        noun = PLURALS[noun]
    elif noun.endswith(("s", "x", "z", "ch", "sh")):
        noun += "es"
    elif noun.endswith("y") and noun[-2:-1] not in "aeiou":
        noun = noun[:-1] + "ies"
    else:
        noun += "s"
    return before + space + noun


@cache
def verb(base: str) -> Inflected:
    """The forms of a verb; what the table of irregular verbs does not say follows from spelling."""
    past, _, ing = VERBS.get(base, "").partition(",")
    if base.endswith(("s", "x", "z", "ch", "sh", "o")):
        third = base + "es"
    elif _consonant_y(base):
        third = base[:-1] + "ies"
    else:
        third = base + "s"
    stem = base + base[-1] if _doubles(base) else base
    if not past:
        past = base + "d" if base.endswith("e") else base[:-1] + "ied" if _consonant_y(base) else stem + "ed"
    if not ing:
        ing = base[:-1] + "ing" if base.endswith("e") and not base.endswith(("ee", "ye", "oe")) else stem + "ing"
    return {"": base, "s": "has" if base == "have" else third, "ed": past, "ing": ing}


def _consonant_y(word: str) -> bool:
    return word.endswith("y") and word[-2:-1] not in "aeiou"


def _doubles(base: str) -> bool:
    """One short syllable that ends in vowel and consonant: hop, hopped."""
    vowels = sum(letter in "aeiou" for letter in base)
    return len(base) > 2 and vowels == 1 and base[-2] in "aeiou" and base[-1] not in "aeiouwxy"
