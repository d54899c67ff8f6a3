"""Every failure that ragdiag names, as one tree.

    RagdiagError                 one line: what failed, and the remedy
    ├── InputError               a file, a line or an argument the user gave
    │   ├── SpecError            a version's TOML
    │   ├── TooMuch              more in one message from outside than is taken at once
    │   └── UnknownName          a version, split, request or build that is not there
    ├── StoreError               the workspace on disk
    │   ├── NoWorkspace          not created yet
    │   ├── KeyMissing           encrypted, and the environment has no key or another
    │   ├── NewerWorkspace       written by a later ragdiag
    │   ├── DamagedFile          a data file of the lake is missing or changed
    │   ├── StoreBusy            other writers held the catalog past every retry
    │   └── StoreFull            no space left on the device
    ├── ModelError               weights, tokenizer or adapter missing, changed or unusable
    ├── IndexFault               an index build that is missing, corrupt or fed bad vectors
    │   └── IndexUnreachable     the server that holds its vectors does not answer
    ├── GenerationError          one answer could not be generated
    │   ├── ProviderRefused      the server answered, and said no (wrong key, unknown model)
    │   │   └── PromptRefused    … to this prompt alone (too long for the model, malformed)
    │   └── ProviderUnreachable  no answer within the deadline (hanging, down, no network)
    ├── GeneratorDown            several answers in a row failed, so the work was stopped
    ├── TrainingError            a model cannot be trained so: data, options or a loss gone wrong
    │   └── RunCancelled         a run was asked to stop; its last step is kept
    └── HelperEnded              the dashboard's process that answers questions gave none

Commands turn any of them into one line on stderr and exit status 2; anything else is a defect
and keeps its traceback.
"""

from __future__ import annotations


class RagdiagError(Exception):
    """What failed (naming the culprit) and what mends it; ``str`` gives both on one line.

    >>> str(RagdiagError("index build b1 is missing", remedy="run: ragdiag index build v1"))
    'index build b1 is missing; run: ragdiag index build v1'
    """

    def __init__(self, message: str, *, remedy: str) -> None:
        super().__init__(message)
        self.message = message
        self.remedy = remedy

    def __str__(self) -> str:
        return " ".join(f"{self.message}; {self.remedy}".split())


class InputError(RagdiagError):
    """A file, a line or an argument from outside that cannot be used."""


class SpecError(InputError):
    """A version's TOML that does not say one complete, known configuration."""


class TooMuch(InputError):
    """A message from outside that holds more than is taken at once."""


class UnknownName(InputError):
    """A version, split, request or build that this workspace does not have."""


class StoreError(RagdiagError):
    """The workspace on disk cannot be opened, read or written."""


class NoWorkspace(StoreError):
    """Nothing has been created in this workspace yet."""


class KeyMissing(StoreError):
    """Something is or should be encrypted, and the environment does not hold the key."""


class NewerWorkspace(StoreError):
    """The workspace was migrated by a later ragdiag than this one."""


class DamagedFile(StoreError):
    """A data file of the lake is missing, cut or changed; nothing of its table can be read."""


class StoreBusy(StoreError):
    """Other writers held the catalog past every retry; nothing was written."""


class StoreFull(StoreError):
    """No space left on the device; nothing was written."""


class ModelError(RagdiagError):
    """Weights, tokenizer or adapter missing, changed on disk, or unusable."""


class IndexFault(RagdiagError):
    """An index build that is missing, corrupt, or was given vectors it must refuse."""


class IndexUnreachable(IndexFault):
    """What holds the vectors of an index build gives no answer within its deadline."""


class GenerationError(RagdiagError):
    """One answer could not be generated."""


class ProviderRefused(GenerationError):
    """The language-model server answered and refused: wrong key, unknown model, bad request."""


class PromptRefused(ProviderRefused):
    """This prompt cannot be answered, whatever the state of the model: another one may be."""


class ProviderUnreachable(GenerationError):
    """No answer from the language-model server within its deadline."""


class GeneratorDown(RagdiagError):
    """Several answers in a row failed: the generator is at fault, not the questions."""


class TrainingError(RagdiagError):
    """A model cannot be trained so: too little data, options that do not fit, a loss gone wrong."""


class RunCancelled(TrainingError):
    """A run was asked to stop; its last step is kept."""


class HelperEnded(RagdiagError):
    """The process that answers questions for the dashboard ended, or took too long."""


def first_line(error: Exception) -> str:
    """What a library says went wrong, as one line of at most 200 characters; the error's type
    where it says nothing.

    >>> first_line(ValueError("bad header\\nat byte 3")), first_line(MemoryError())
    ('bad header', 'MemoryError')
    """
    lines = str(error).strip().splitlines()
    return lines[0][:200] if lines else type(error).__name__
