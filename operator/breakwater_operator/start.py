"""Where the operator's process begins, before anything is imported."""

import gc


def run() -> int:
    """Run the operator until it is told to stop; return its exit code.

    Imports are most of a start. They make a hundred thousand objects that all stay, and looking
    through those for garbage again and again takes a tenth of the time.
    """
    gc.disable()
    from breakwater_operator.main import run as operate

    return operate()
