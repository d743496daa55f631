"""One file after its rules: a clean file beside it, of the same kind."""

import json
from collections.abc import Iterator
from pathlib import Path

from lilliput.config.errors import Exit, LilliputError
from lilliput.corpus import watching
from lilliput.corpus.cleaning import Cleaning, Funnel, cleaned
from lilliput.corpus.document import Document
from lilliput.corpus.emptied import emptied
from lilliput.corpus.files import shown
from lilliput.corpus.listing import source_of
from lilliput.corpus.reading import Reader, Reading
from lilliput.runs import durable, stop

SEPARATOR = "\n<|endoftext|>\n"


def clean_file(path: Path, output: Path | None, cleaning: Cleaning, reading: Reading) -> tuple[Path, Funnel]:
    """Write what the rules leave of a file, and count what they did; nothing is overwritten.

    Text files become text with lines `<|endoftext|>` between documents, files of rows become JSON lines.
    Raises LilliputError: what reading raises; EXISTS; CONTENT where nothing is left.
    """
    source, funnel, reader = source_of(str(path)), Funnel(), Reader(reading)
    is_text = source.kind == "text"
    target = output or path.with_name(f"{path.name.partition('.')[0]}.clean.{'txt' if is_text else 'jsonl'}")
    if target.exists():
        raise LilliputError(f"{shown(target)} exists already", "name another file with `--output`", Exit.EXISTS)
    documents = cleaned(source.documents(reader), cleaning.rules, funnel)
    temporary = durable.scratch(target.parent, target.name)
    try:
        with watching.working(f"cleaning {shown(path)}"):
            durable.write_new(temporary, _texts(documents) if is_text else _rows(documents))
        if not funnel.kept:
            cause, action = f"the rules leave nothing of {shown(path)}", "use fewer or milder ones"
            raise emptied(cause, funnel.dropped) or LilliputError(cause, action, Exit.CONTENT)
        durable.rename(temporary, target)
        durable.sync_dir(target.parent)
    except OSError as error:
        raise durable.explain(error) from None
    finally:
        if temporary.exists():
            durable.remove(temporary)
    funnel.unread(reader.dropped)
    return target, funnel


def _texts(documents: Iterator[Document]) -> Iterator[bytes]:
    for number, document in enumerate(documents):
        stop.yield_point()
        yield ((SEPARATOR if number else "") + document.text).encode()


def _rows(documents: Iterator[Document]) -> Iterator[bytes]:
    for document in documents:
        stop.yield_point()
        yield (json.dumps({"text": document.text}, ensure_ascii=False) + "\n").encode()
