"""The versions that a report of a bug needs."""

import sklearn

__all__ = ["__version__", "show_versions"]
__version__ = "0.1.0"


def show_versions():
    """Print the versions of skgd, of Python and of the libraries it uses, for bug reports.

    Examples
    --------
    >>> import skgd
    >>> skgd.show_versions()  # doctest: +ELLIPSIS
    skgd: ...
    """
    print(f"skgd: {__version__}")
    sklearn.show_versions()
