__all__ = ["__version__", "show_versions"]
__version__: str

def show_versions() -> None: ...
